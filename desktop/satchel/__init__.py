"""Satchel, the client: drop a file, get a link; keep a folder in step; on storage that you own."""

__version__ = "0.2.0.dev0"
