"""The calls on the engine itself: ping, version, info, events, disk usage."""
