"""Where a container's dynamic loader finds a library without being told: no ldconfig, no variable, no hook.

glibc's loader looks into its cache, then into folders that were chosen when it was built: /usr/lib/x86_64-linux-gnu on Debian's kin,
/usr/lib64 on Red Hat's, /usr/lib on others. The image's own cache shows which kind it is; without one, all of them.
"""

import os
import platform
from collections.abc import Callable

CACHE = "/etc/ld.so.cache"


def library_folders(read_file: Callable[[str], str], machine: str = "") -> list[str]:
    """`read_file` gives the text of a file of the container's root, "" where there is none."""
    own = f"/usr/lib/{machine or platform.machine()}-linux-gnu"
    cache = read_file(CACHE)
    if f"{os.path.basename(own)}/" in cache:
        return [own]
    if "/lib64/" in cache.replace("/lib64/ld-linux", ""):
        return ["/usr/lib64"]
    return ["/usr/lib"] if "/usr/lib/" in cache else all_folders(machine)


def all_folders(machine: str = "") -> list[str]:
    return [f"/usr/lib/{machine or platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib"]
