"""Garbage collection: what may go when the disk is full, in which order, and why the rest stays."""
