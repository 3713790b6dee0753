"""Modules that are imported when they are first used: a daemon that never pulls does not carry an HTTP client's three megabytes."""

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for the module `name`; its attributes are that module's. May be used by several threads.

    What is evaluated at import defeats it: base classes, decorators, unquoted annotations.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
