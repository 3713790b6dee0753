"""Mounts: the new mount API by fds (Linux 5.2+), mount(2) and its kin, and /proc/PID/mountinfo."""

import ctypes
import errno
import os
from functools import cache
from typing import NamedTuple

from corten.kernel.libc import by_machine, check, failure, libc, syscall

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOSYMFOLLOW = 256  # Linux 5.10
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_SILENT = 32768
MS_POSIXACL = 1 << 16
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_I_VERSION = 1 << 23
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x00
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000  # Linux 5.12
MOUNT_ATTR_NOSYMFOLLOW = 0x200000  # Linux 5.14

CLASSIC_FLAGS = (
    (MOUNT_ATTR_RDONLY, MS_RDONLY),
    (MOUNT_ATTR_NOSUID, MS_NOSUID),
    (MOUNT_ATTR_NODEV, MS_NODEV),
    (MOUNT_ATTR_NOEXEC, MS_NOEXEC),
    (MOUNT_ATTR_NOATIME, MS_NOATIME),
    (MOUNT_ATTR_STRICTATIME, MS_STRICTATIME),
    (MOUNT_ATTR_NODIRATIME, MS_NODIRATIME),
    (MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW),
)
"""What an attribute of the newer calls is called by mount(2)."""

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40
FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_SET_FD = 5
FSCONFIG_CMD_CREATE = 6

_SYS_OPEN_TREE = 428  # this and the next four: Linux 5.2
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_MOUNT_SETATTR = 442  # Linux 5.12
_SYS_PIVOT_ROOT = by_machine(155, 41)

_mount = libc.mount
_mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
_umount2 = libc.umount2
_umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]


def _c(text: str) -> bytes:
    return os.fsencode(text) + b"\0"


def mount(source: str | None, target: str, fstype: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if t is None else os.fsencode(t) for t in (source, target, fstype, data)]
    check(_mount(encoded[0], encoded[1], encoded[2], flags, encoded[3]), "mount", target)


def umount2(target: str, flags: int = 0) -> None:
    check(_umount2(os.fsencode(target), flags), "umount2", target)


def pivot_root(new_root: str, put_old: str) -> None:
    check(syscall(_SYS_PIVOT_ROOT, _c(new_root), _c(put_old)), "pivot_root", new_root)


def fsopen(fstype: str) -> int:
    return check(syscall(_SYS_FSOPEN, _c(fstype), FSOPEN_CLOEXEC), "fsopen", fstype)


def fsconfig(fs_fd: int, command: int, key: str | None = None, value: str | None = None, aux: int = 0) -> None:
    k, v = None if key is None else _c(key), None if value is None else _c(value)
    check(syscall(_SYS_FSCONFIG, fs_fd, command, k, v, aux), "fsconfig", key or "")


def fsmount(fs_fd: int, attributes: int = 0) -> int:
    """A detached mount of a created file system context; MOUNT_ATTR_* apply to it."""
    return check(syscall(_SYS_FSMOUNT, fs_fd, FSMOUNT_CLOEXEC, attributes), "fsmount")


def move_mount(from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int = 0) -> None:
    """An empty path means the fd itself."""
    flags |= (0 if from_path else MOVE_MOUNT_F_EMPTY_PATH) | (0 if to_path else MOVE_MOUNT_T_EMPTY_PATH)
    check(syscall(_SYS_MOVE_MOUNT, from_fd, _c(from_path), to_fd, _c(to_path), flags), "move_mount", to_path)


def open_tree(dirfd: int, path: str, flags: int = 0) -> int:
    """With OPEN_TREE_CLONE a detached copy of the mount at `path` (with AT_RECURSIVE of those below it too)."""
    flags |= OPEN_TREE_CLOEXEC | (0 if path else AT_EMPTY_PATH)
    return check(syscall(_SYS_OPEN_TREE, dirfd, _c(path), flags), "open_tree", path)


class MountAttr(NamedTuple):
    """struct mount_attr; MOUNT_ATTR_IDMAP in `attr_set` takes the user namespace of `userns_fd`."""

    attr_set: int = 0
    attr_clr: int = 0
    propagation: int = 0
    userns_fd: int = 0


def mount_setattr(dirfd: int, path: str, flags: int, attr: MountAttr) -> None:
    """`flags` may hold AT_RECURSIVE. Linux 5.12."""
    flags |= 0 if path else AT_EMPTY_PATH
    check(syscall(_SYS_MOUNT_SETATTR, dirfd, _c(path), flags, (ctypes.c_uint64 * 4)(*attr), 32), "mount_setattr", path)


@cache
def has_mount_setattr() -> bool:
    """Linux 5.12. Without it a detached mount cannot be changed, an attached one by mount(2), and nothing recursively."""
    return syscall(_SYS_MOUNT_SETATTR, -1, None, 0, None, 0) >= 0 or failure("mount_setattr").errno != errno.ENOSYS


def set_attributes(dirfd: int, path: str, attr_set: int, attr_clr: int = 0) -> None:
    """MOUNT_ATTR_* of one attached mount, whose root `dirfd` and `path` name; an empty path means the fd itself.

    By mount(2) before Linux 5.12, where a descriptor needs /proc.
    """
    if has_mount_setattr():
        mount_setattr(dirfd, path, 0, MountAttr(attr_set, attr_clr))
        return
    target = path or f"/proc/self/fd/{dirfd}"
    kept = _attributes_of(os.statvfs(target).f_flag) & ~attr_clr
    mount(None, target, None, MS_BIND | MS_REMOUNT | sum(old for new, old in CLASSIC_FLAGS if (kept | attr_set) & new))


def _attributes_of(flags: int) -> int:
    """From statvfs(3)'s f_flag, whose bits are those of mount(2). The times of access stay as they are where none is named."""
    return sum(new for new, old in CLASSIC_FLAGS[:4] if flags & old)


def set_propagation(fd: int, flag: int) -> None:
    """MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC of all below too, of an attached mount."""
    if has_mount_setattr():
        mount_setattr(fd, "", AT_RECURSIVE if flag & MS_REC else 0, MountAttr(propagation=flag & ~MS_REC))
    else:
        mount(None, f"/proc/self/fd/{fd}", None, flag)


class FsContext:
    """A file system being configured (fsopen(2)); a context manager that closes its fd.

    An OSError carries what the kernel wrote about it into the context's log, if anything.
    """

    def __init__(self, fstype: str) -> None:
        self.fstype = fstype
        self.fd = fsopen(fstype)

    def __enter__(self) -> "FsContext":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.fd)

    def set_string(self, key: str, value: str) -> None:
        self._config(FSCONFIG_SET_STRING, key, value)

    def set_flag(self, key: str) -> None:
        self._config(FSCONFIG_SET_FLAG, key)

    def set_fd(self, key: str, fd: int) -> None:
        self._config(FSCONFIG_SET_FD, key, None, fd)

    def set_option(self, option: str) -> None:
        """`key=value` or a flag, as in the option string of mount(8)."""
        key, equals, value = option.partition("=")
        if equals:
            self.set_string(key, value)
        else:
            self.set_flag(key)

    def create(self) -> None:
        self._config(FSCONFIG_CMD_CREATE)

    def mount(self, attributes: int = 0) -> int:
        """The fd of a detached mount, the caller's; `create` comes first."""
        return fsmount(self.fd, attributes)

    def _config(self, command: int, key: str | None = None, value: str | None = None, aux: int = 0) -> None:
        try:
            fsconfig(self.fd, command, key, value, aux)
        except OSError as e:
            raise OSError(e.errno, self._explain(e), key or self.fstype) from None

    def _explain(self, error: OSError) -> str:
        try:
            note = os.read(self.fd, 1024).decode(errors="replace").strip()
        except OSError as e:
            if e.errno != errno.ENODATA:
                raise
            note = ""
        return f"{error.strerror} ({note})" if note else str(error.strerror)


class MountInfo(NamedTuple):
    """One line of mountinfo: see proc_pid_mountinfo(5). `propagation` holds its optional fields ("shared:1", "master:2")."""

    mount_id: int
    parent_id: int
    device: str
    root: str
    mount_point: str
    options: str
    propagation: tuple[str, ...]
    fstype: str
    source: str
    super_options: str


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def parse_mountinfo(line: str) -> MountInfo:
    fields = line.split(" ")
    dash = fields.index("-", 6)
    fstype, source, options = fields[dash + 1 : dash + 4]
    return MountInfo(
        int(fields[0]),
        int(fields[1]),
        fields[2],
        _unescape(fields[3]),
        _unescape(fields[4]),
        fields[5],
        tuple(fields[6:dash]),
        fstype,
        _unescape(source),
        options,
    )


def read_mountinfo(pid: int | str = "self") -> list[MountInfo]:
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        return [parse_mountinfo(line) for line in f.read().splitlines()]


def statfs_type(fd: int) -> int:
    """The f_type of the file system that `fd` lies on (PROC_SUPER_MAGIC and so on); Python's statvfs has no such field."""
    buffer = (ctypes.c_long * 32)()
    if libc.fstatfs(fd, buffer) < 0:
        raise failure("fstatfs")
    return int(buffer[0])
