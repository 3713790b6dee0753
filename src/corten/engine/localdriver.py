"""The driver `local`: what its options (`type`, `o`, `device`) mean, and the mounts they ask for.

Without options a volume is a directory. With them something is mounted over that directory while containers that use it run:
a host directory (`o=bind`), a tmpfs, an NFS export, a block device: whatever mount(2) takes.
"""

import errno
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from corten.errors import EngineError, Invalid
from corten.kernel.mount import (
    MNT_DETACH,
    MS_BIND,
    MS_DIRSYNC,
    MS_MANDLOCK,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_SYNCHRONOUS,
    MS_UNBINDABLE,
    mount,
    umount2,
)
from corten.kernel.mountpoint import is_mount_point

NAME: Final = "local"
_OPTIONS: Final = frozenset(("type", "o", "device", "size"))
_SET: Final = {
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "sync": MS_SYNCHRONOUS,
    "dirsync": MS_DIRSYNC,
    "remount": MS_REMOUNT,
    "mand": MS_MANDLOCK,
    "noatime": MS_NOATIME,
    "nodiratime": MS_NODIRATIME,
    "bind": MS_BIND,
    "rbind": MS_BIND | MS_REC,
    "relatime": MS_RELATIME,
    "strictatime": MS_STRICTATIME,
}
_CLEAR: Final = {
    "rw": MS_RDONLY,
    "suid": MS_NOSUID,
    "dev": MS_NODEV,
    "exec": MS_NOEXEC,
    "async": MS_SYNCHRONOUS,
    "nomand": MS_MANDLOCK,
    "atime": MS_NOATIME,
    "diratime": MS_NODIRATIME,
    "norelatime": MS_RELATIME,
    "nostrictatime": MS_STRICTATIME,
    "defaults": 0,
}
_PROPAGATION: Final = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE | MS_REC,
    "shared": MS_SHARED,
    "rshared": MS_SHARED | MS_REC,
    "slave": MS_SLAVE,
    "rslave": MS_SLAVE | MS_REC,
    "unbindable": MS_UNBINDABLE,
    "runbindable": MS_UNBINDABLE | MS_REC,
}
_NETWORK_KINDS: Final = ("nfs", "nfs4", "cifs")
_PASSWORD: Final = re.compile(r"\bpassword=[^,]*")


@dataclass(frozen=True, slots=True)
class MountPlan:
    """Arguments of mount(2), and the propagation set by a second call (0 = none)."""

    device: str
    kind: str
    flags: int
    propagation: int
    data: str

    @property
    def is_bind(self) -> bool:
        return bool(self.flags & MS_BIND)


def check_options(name: str, options: Mapping[str, str]) -> None:
    """Raises Invalid, in Docker's words, for what `volume create` refuses."""
    for key in options:
        if key not in _OPTIONS:
            raise Invalid(f'create {name}: invalid option: "{key}"', reason="bad-volume-option", hint="known: type, o, device, size")
    if options.get("size"):
        raise Invalid(
            f"create {name}: quota size requested but no quota support", reason="no-quota", hint="limit it with a file system of its own"
        )
    wanted = [key for key in ("device", "type") if not options.get(key)]
    if wanted and options.keys() - {"size"}:
        raise Invalid(f'create {name}: missing required option: "{wanted[0]}"', reason="bad-volume-option")


def is_mounted_kind(options: Mapping[str, str]) -> bool:
    """Whether something has to be mounted for such a volume."""
    return bool(options.get("device"))


def is_lasting_kind(options: Mapping[str, str]) -> bool:
    """Whether what is written into such a volume is there again at the next mount."""
    return options.get("type") not in ("tmpfs", "ramfs")


def plan_mount(options: Mapping[str, str]) -> MountPlan:
    """The mount that these options ask for: flags apart from what the file system itself is told, as mount(8) does."""
    flags = propagation = 0
    data: list[str] = []
    for word in filter(None, options.get("o", "").split(",")):
        if word in _SET:
            flags |= _SET[word]
        elif word in _CLEAR:
            flags &= ~_CLEAR[word]
        elif word in _PROPAGATION:
            propagation |= _PROPAGATION[word]
        else:
            data.append(word)
    device = options.get("device", "")
    if flags & MS_BIND:
        device = os.path.join("/", device)
    return MountPlan(device, options.get("type", ""), flags, propagation, ",".join(data))


def mount_volume(options: Mapping[str, str], target: str) -> None:
    """Mounts it over the directory `target` unless that is done already. Blocks, for a network file system maybe long.

    Raises EngineError in Docker's words, with what to do about it, when the kernel refuses.
    """
    if is_mount_point(target):
        return
    plan = plan_mount(options)
    if plan.kind in _NETWORK_KINDS:
        plan = _resolved(plan, target)
    try:
        mount(plan.device, target, plan.kind, plan.flags, plan.data or None)
    except OSError as error:
        raise _refusal(plan, target, error) from error
    try:
        if plan.is_bind and plan.flags & ~(MS_BIND | MS_REC):
            mount(None, target, None, plan.flags | MS_REMOUNT)
        if plan.propagation:
            mount(None, target, None, plan.propagation)
    except OSError as error:
        umount2(target, MNT_DETACH)
        raise _refusal(plan, target, error) from error


def unmount_volume(target: str) -> None:
    """Whatever is mounted over `target` is mounted no more; fine when nothing is."""
    while is_mount_point(target):
        umount2(target, MNT_DETACH)


def _resolved(plan: MountPlan, target: str) -> MountPlan:
    """The kernel's NFS and CIFS clients resolve no names: `addr=NAME`, or without it the host of a CIFS share, as an address."""
    words = plan.data.split(",")
    position = next((n for n, word in enumerate(words) if word.startswith("addr=") and word != "addr="), None)
    if position is not None:
        words[position] = f"addr={_address(words[position].removeprefix('addr='), target)}"
        return replace(plan, data=",".join(words))
    host, slash, share = plan.device.removeprefix("//").partition("/")
    if plan.kind == "cifs" and plan.device.startswith("//") and host:
        return replace(plan, device=f"//{_address(host, target)}{slash}{share}")
    return plan


def _address(host: str, target: str) -> str:
    """IPv4 where there is a choice, as in Go."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        is_slow = isinstance(error, OSError) and error.errno not in (socket.EAI_NONAME, socket.EAI_NODATA)
        why = str(error).lower() if is_slow else "no such host"
        text = f"error while mounting volume '{target}': error resolving passed in network volume address: lookup {host}: {why}"
        raise EngineError(text, reason="volume-address", hint="check the name in o=addr=…") from error
    return str(min(found, key=lambda one: one[0] != socket.AF_INET)[4][0])


def _refusal(plan: MountPlan, target: str, error: OSError) -> EngineError:
    what = os.strerror(error.errno or 0).lower()
    text = f"mount {plan.device}:{target}"
    if plan.flags:
        text += f", flags: 0x{plan.flags:x}"
    if plan.data:
        text += f", data: {_PASSWORD.sub('password=********', plan.data)}"
    hint = None
    if error.errno == errno.ENODEV:
        hint = f"this kernel knows no file system {plan.kind or '(no type given)'}: load its module, or check the option type"
    return EngineError(
        f"error while mounting volume '{target}': failed to mount local volume: {text}: {what}", reason="volume-mount", hint=hint
    )
