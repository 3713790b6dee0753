"""The user's terminal and the streams of a container: raw mode, size, detach keys, signals, copying."""
