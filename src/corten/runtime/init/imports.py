"""No module is loaded once a process is on its way into a container.

The interpreter's search path names host folders; inside the container's root the same names are the image's, and what lies there
would run with our powers. All that is needed is imported before the fork. Codecs count too: the first use of one imports it.
"""

import sys


class _Nothing:
    """A finder that finds nothing (an empty list of finders would be warned about, which imports)."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        return None


def forbid_imports() -> None:
    """From now on an import of a module that is not loaded fails, in this process and its forks."""
    sys.meta_path[:] = [_Nothing]
    sys.path_hooks.clear()
    sys.path.clear()
