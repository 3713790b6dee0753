"""`builder`, `buildx` and `cache`: the engine as a builder, and what builds keep."""
