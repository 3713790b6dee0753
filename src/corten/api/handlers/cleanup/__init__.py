"""Prune of every kind, and what Corten adds: dry runs, the trash, protection."""
