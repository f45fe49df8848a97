"""What the service does, once for all its doors: every handler calls the same functions."""
