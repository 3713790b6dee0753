"""`corten-runtime`: the OCI runtime's command line, with runc's and crun's options.

What it cannot do (checkpoints) it refuses by name. Exit codes: 0, the container's own for `run` and `exec`, 126 and 127 for a program
that cannot be executed or is not there, 1 for all other errors, which are also written to --log.
"""

import sys

from corten.runtime.sealed import ensure_sealed

MAKES_PROCESSES = ("create", "run", "exec")


def main() -> int:
    """The console script."""
    words = sys.argv[1:]
    if not {*MAKES_PROCESSES}.isdisjoint(words):
        ensure_sealed()
    from corten.runtime.commands.table import run_line  # the sealed start needs it, the first one does not: 25 ms

    return run_line(words)


if __name__ == "__main__":
    sys.exit(main())
