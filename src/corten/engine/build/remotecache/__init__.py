"""Build caches that travel: written to registries, folders and images, and read from there."""
