"""Making containers, starting programs in them, and being attached to those programs."""
