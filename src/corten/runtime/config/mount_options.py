"""OCI mounts as plans: option words sorted into mount attributes, file system options, propagation and our own extras. No I/O."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from corten.errors import Invalid
from corten.kernel.mount import (
    MOUNT_ATTR__ATIME,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_RELATIME,
    MOUNT_ATTR_STRICTATIME,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
)


class Attributes(NamedTuple):
    """What mount_setattr(2) is to set and clear."""

    set: int = 0
    clear: int = 0

    def with_word(self, bits: int, cleared: int) -> "Attributes":
        """A later option wins over an earlier one."""
        return Attributes(self.set & ~cleared | bits, self.clear & ~bits | cleared)


class IdMapping(NamedTuple):
    container_id: int
    host_id: int
    size: int


class MountPlan(NamedTuple):
    """One mount, told apart. `bind`: 0 a new file system, 1 bind, 2 rbind. `attributes` apply to the mount itself,
    `recursive` to it and those below. `fs_options` go to the file system. `idmap`: 0 none, 1 this mount, 2 those below too."""

    destination: str
    type: str
    source: str
    bind: int = 0
    attributes: Attributes = Attributes()
    recursive: Attributes = Attributes()
    propagation: tuple[int, ...] = ()
    fs_options: tuple[str, ...] = ()
    copy_up: bool = False
    remount: bool = False
    idmap: int = 0
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()

    def __str__(self) -> str:
        return f'mounting "{self.source}" to rootfs at "{self.destination}"'


_ATIME = MOUNT_ATTR__ATIME
# word -> (bits set, bits cleared); each also exists with an "r" before it, for the mounts below too
_ATTRIBUTES = {
    "ro": (MOUNT_ATTR_RDONLY, 0),
    "rw": (0, MOUNT_ATTR_RDONLY),
    "nosuid": (MOUNT_ATTR_NOSUID, 0),
    "suid": (0, MOUNT_ATTR_NOSUID),
    "nodev": (MOUNT_ATTR_NODEV, 0),
    "dev": (0, MOUNT_ATTR_NODEV),
    "noexec": (MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, MOUNT_ATTR_NOEXEC),
    "nosymfollow": (MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, MOUNT_ATTR_NOSYMFOLLOW),
    "noatime": (MOUNT_ATTR_NOATIME, _ATIME),
    "atime": (MOUNT_ATTR_RELATIME, _ATIME),
    "relatime": (MOUNT_ATTR_RELATIME, _ATIME),
    "norelatime": (MOUNT_ATTR_RELATIME, _ATIME),  # no word at all, and without one the kernel takes relatime
    "strictatime": (MOUNT_ATTR_STRICTATIME, _ATIME),
    "nostrictatime": (MOUNT_ATTR_RELATIME, _ATIME),
    "nodiratime": (MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, MOUNT_ATTR_NODIRATIME),
}
_PROPAGATION = {"private": MS_PRIVATE, "shared": MS_SHARED, "slave": MS_SLAVE, "unbindable": MS_UNBINDABLE}
# Words of mount(2) flags that belong to the file system; what the kernel has no name for is its default.
_FS_FLAGS = {
    "sync": "sync",
    "async": "async",
    "dirsync": "dirsync",
    "lazytime": "lazytime",
    "nolazytime": "nolazytime",
    "mand": "mand",
    "nomand": "nomand",
}
_IGNORED = frozenset(("defaults", "silent", "loud", "iversion", "noiversion", "", "nofail", "_netdev"))
# They have no superblock of their own to be made read-only, or are filled before they are.
_PSEUDO = frozenset(("proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay"))

RECURSIVE_OPTIONS = tuple(f"r{word}" for word in _ATTRIBUTES)
OPTIONS = (
    *_ATTRIBUTES,
    *RECURSIVE_OPTIONS,
    *_PROPAGATION,
    *(f"r{word}" for word in _PROPAGATION),
    *_FS_FLAGS,
    *("bind", "defaults", "idmap", "iversion", "loud", "noiversion", "rbind", "remount", "ridmap", "silent", "tmpcopyup"),
)
"""Every word that is understood here, for `features`."""


def propagation_flag(word: str) -> int | None:
    """MS_SHARED and so on, with MS_REC for `rshared` and so on; None if it is no such word."""
    if word in _PROPAGATION:
        return _PROPAGATION[word]
    if word[:1] == "r" and word[1:] in _PROPAGATION:
        return _PROPAGATION[word[1:]] | MS_REC
    return None


class _Words:
    """The option words of one mount, being sorted."""

    def __init__(self) -> None:
        self.attributes = Attributes()
        self.recursive = Attributes()
        self.propagation: list[int] = []
        self.fs_options: list[str] = []
        self.flags: set[str] = set()

    def add(self, word: str) -> None:
        flag = propagation_flag(word)
        if flag is not None:
            self.propagation.append(flag)
        elif word in _ATTRIBUTES:
            self.attributes = self.attributes.with_word(*_ATTRIBUTES[word])
        elif word[:1] == "r" and word[1:] in _ATTRIBUTES:
            self.recursive = self.recursive.with_word(*_ATTRIBUTES[word[1:]])
        elif word in ("bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"):
            self.flags.add(word)
        elif word in _FS_FLAGS:
            self.fs_options.append(_FS_FLAGS[word])
        elif word not in _IGNORED:
            self.fs_options.append(word)


def _mappings(entries: Iterable[dict[str, int]] | None) -> tuple[IdMapping, ...]:
    return tuple(IdMapping(e["containerID"], e["hostID"], e["size"]) for e in entries or ())


def _ladder(flags: set[str], one: str, two: str) -> int:
    return 2 if two in flags else int(one in flags)


def _refuse_foreign(destination: str, fs_options: list[str]) -> None:
    """A bind shows a file system that is there: words for a new one would be passed over in silence."""
    foreign = [word for word in fs_options if word not in _FS_FLAGS.values()]
    if foreign:
        told = f"bind mounts cannot have any filesystem-specific options: {', '.join(foreign)}"
        raise Invalid(f'mount "{destination}": {told}', reason="bad-mount")


def parse_mount(mount: dict[str, Any]) -> MountPlan:
    """The plan of one entry of config.json's `mounts`. Invalid when it contradicts itself."""
    words = _Words()
    for word in mount.get("options") or ():
        words.add(word)
    kind, destination = mount.get("type") or "", mount["destination"]
    bind = _ladder(words.flags, "bind", "rbind") or int(kind in ("bind", "none") and "remount" not in words.flags)
    idmap = _ladder(words.flags, "idmap", "ridmap")
    uids, gids = _mappings(mount.get("uidMappings")), _mappings(mount.get("gidMappings"))
    if bool(uids) != bool(gids):
        raise Invalid(f'mount "{destination}": uidMappings and gidMappings come together', reason="bad-mount")
    if not bind and not kind and "remount" not in words.flags:
        raise Invalid(f'mount "{destination}" has neither a type nor the option bind', reason="bad-mount")
    if (uids or idmap) and not bind:
        raise Invalid(f'mount "{destination}": only bind mounts can be id-mapped', reason="bad-mount")
    if bind:
        _refuse_foreign(destination, words.fs_options)
    elif words.attributes.set & MOUNT_ATTR_RDONLY and kind not in _PSEUDO:
        words.fs_options.insert(0, "ro")
    return MountPlan(
        destination=destination,
        type=kind,
        source=mount.get("source") or kind,
        bind=bind,
        attributes=words.attributes,
        recursive=words.recursive,
        propagation=tuple(words.propagation),
        fs_options=() if bind else tuple(words.fs_options),
        copy_up="tmpcopyup" in words.flags,
        remount="remount" in words.flags,
        idmap=idmap or (1 if uids else 0),
        uid_mappings=uids,
        gid_mappings=gids,
    )
