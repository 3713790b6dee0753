"""The container's first process under `--init`: a program of some 2 KB for each architecture, built from `init.c` by `build.sh`.

A process of ours would do the same at 1 MB per container; the image need not hold anything for this one.
"""

import os
from importlib.resources import files

ARCHITECTURES = ("x86_64", "aarch64")


def install_init(directory: str, machine: str) -> str:
    """Puts the program for `machine` at `directory`/docker-init, unless it is there, and returns that path; "" where none is built."""
    if machine not in ARCHITECTURES:
        return ""
    program = files(__name__).joinpath(f"init-{machine}").read_bytes()
    path = os.path.join(directory, "docker-init")
    if _content(path) == program:
        return path
    part = f"{path}.part"
    with open(part, "wb") as out:
        out.write(program)
        os.fchmod(out.fileno(), 0o755)
    os.replace(part, path)
    return path


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
