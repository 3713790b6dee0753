"""Corten: a container engine for machine-learning engineers, a drop-in for Docker."""

__version__ = "0.1.0.dev0"
