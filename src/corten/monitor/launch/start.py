"""`python -I PATH/start.py EXEC_ROOT`: what the daemon runs to have a launcher.

Started by its path, so that the launcher is of the very package that the daemon runs from and not of another one that is installed.
The interpreter is isolated (-I): neither the working directory nor PYTHONPATH decides what root imports.

A module of its own because the interpreter first starts itself again, sealed (see `runtime.sealed`): what it has imported until then
is imported twice, and while there is no launcher no monitor may die.
"""

import importlib.util
import os
import sys


def main() -> None:
    _hold_to_our_package()
    from corten.runtime.sealed import ensure_sealed

    ensure_sealed()
    from corten.monitor.launch.launcher import serve
    from corten.monitor.runtime import BuiltinRuntime

    serve(sys.argv[1], BuiltinRuntime())


def _hold_to_our_package() -> None:
    """`corten` is the folder that this file is in. The search path stays as it is: a checkout's parent could hide the standard library."""
    launch = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(os.path.dirname(launch))
    spec = importlib.util.spec_from_file_location("corten", f"{package}/__init__.py", submodule_search_locations=[package])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["corten"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["corten"])


if __name__ == "__main__":
    main()
