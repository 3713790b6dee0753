"""Registries by a real daemon: over TLS, through proxies and mirrors, killed and cut off in the middle."""
