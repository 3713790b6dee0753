"""`python -m corten.monitor.launch.start EXEC_ROOT`: what the daemon runs to have a launcher.

A module of its own because the interpreter first starts itself again, sealed (see `runtime.sealed`): what it has imported until then
is imported twice, and while there is no launcher no monitor may die.
"""

import sys

from corten.runtime.sealed import ensure_sealed


def main() -> None:
    ensure_sealed()
    from corten.monitor.launch.launcher import serve
    from corten.monitor.runtime import BuiltinRuntime

    serve(sys.argv[1], BuiltinRuntime())


if __name__ == "__main__":
    main()
