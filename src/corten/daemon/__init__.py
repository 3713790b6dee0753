"""`cortend`: the process, and the one place where the engine's objects meet."""

from corten.daemon.program import main

__all__ = ["main"]
