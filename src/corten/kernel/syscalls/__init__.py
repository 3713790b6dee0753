"""System call tables, our own: distributions' headers lag behind kernels (Debian 12 knows nothing past 450).

One data module per architecture, read only when a seccomp profile is compiled. Regenerate from `asm/unistd*.h` of a newer
kernel by listing runs of consecutive numbers.
"""

from importlib import import_module

ARCHITECTURES = ("x86_64", "i386", "aarch64", "arm")


def syscall_table(architecture: str) -> dict[str, int]:
    """Name -> number on one of ARCHITECTURES. Takes some 60 us; the caller keeps what it needs again."""
    text: str = import_module(f"corten.kernel.syscalls.{architecture}").TABLE
    table: dict[str, int] = {}
    for line in text.splitlines():
        first, *names = line.split()
        table.update(zip(names, range(int(first), int(first) + len(names)), strict=True))
    return table
