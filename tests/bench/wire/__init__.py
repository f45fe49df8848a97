"""Transfers beside s5cmd and rclone, against one S3 server for all: `python -m tests.bench.wire`."""
