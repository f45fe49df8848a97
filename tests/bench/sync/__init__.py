"""Keeping 100,000 files in step, beside rclone and Syncthing."""
