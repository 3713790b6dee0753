"""Remote caches: exported to registries, directories and images (`--cache-to`), imported from there (`--cache-from`)."""
