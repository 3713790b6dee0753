"""What a container sees of file systems besides its root: mounts with their options and propagation, masked and read-only paths."""
