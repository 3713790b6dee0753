"""Which control-group hierarchies this machine has, where they are mounted, and where this process stands in them.

The answer does not change while a process lives, so whoever opens many cgroups detects once and passes the value on.
"""

import os
from typing import Literal

from corten.kernel.cgroup.files import read_text

UNIFIED = ""
"""The name under which the v2 hierarchy appears next to v1 controllers (/proc/PID/cgroup leaves it empty too)."""


class Hierarchies:
    """`version` 2 = everything unified at `roots[""]`; 1 = `roots` has a directory per v1 controller (`name=systemd` included).

    `own` is the cgroup of this process in each, as /proc/self/cgroup says it. A "hybrid" machine (v1 controllers and an
    almost empty v2 tree) is version 1; its v2 tree stands in `roots[""]` and is not used for limits.
    """

    __slots__ = ("own", "roots", "version")

    def __init__(self, version: Literal[1, 2], roots: dict[str, str], own: dict[str, str]) -> None:
        self.version = version
        self.roots = roots
        self.own = own


def parse_mounts(mountinfo: str) -> dict[str, str]:
    """Controller (or "" for v2) -> mount point, the first mount of each. v1 mounts with several controllers appear once per name."""
    roots: dict[str, str] = {}
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        kind, *rest = tail.split(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        point = head.split(" ")[4]
        if kind == "cgroup2":
            roots.setdefault(UNIFIED, point)
            continue
        for option in rest[-1].split(","):
            if option not in ("rw", "ro", "xattr", "clone_children", "noprefix", "favordynmods"):
                roots.setdefault(option, point)
    return roots


def parse_membership(text: str) -> dict[str, str]:
    """/proc/PID/cgroup as controller -> path; "" is the v2 hierarchy."""
    found = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            found[name] = path
    return found


def detect() -> Hierarchies:
    """Looks at this process's mounts. Raises OSError(ENOENT) where no cgroup file system is mounted."""
    roots = parse_mounts(read_text("/proc/self/mountinfo"))
    if not roots:
        raise FileNotFoundError(2, "no cgroup file system is mounted", "/sys/fs/cgroup")
    own = parse_membership(read_text("/proc/self/cgroup"))
    version: Literal[1, 2] = 2 if set(roots) == {UNIFIED} or roots.get(UNIFIED) == "/sys/fs/cgroup" else 1
    return Hierarchies(version, roots, own)


def detect_version() -> Literal[1, 2]:
    """2 where the unified hierarchy holds the controllers, else 1 (hybrid machines included)."""
    return detect().version


def resolve(path: str, own: str) -> str:
    """The cgroup's path inside a hierarchy. A relative one lies beside the caller's own cgroup: on v2 a cgroup that has
    processes cannot have limited children (the "no internal processes" rule), so beside, not under, works everywhere."""
    if not path.startswith("/"):
        path = f"{os.path.dirname(own)}/{path}"
    return os.path.normpath(f"/{path.lstrip('/')}")
