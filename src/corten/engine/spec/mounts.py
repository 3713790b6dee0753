"""All mounts of a container but its root: Docker's own, the user's binds, volumes and tmpfs, and the engine's files."""

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from corten.engine.spec.placement import Placement
from corten.engine.spec.tmpfs import request_text, tmpfs_options
from corten.engine.values.container import Container, HostConfig, MountPoint, MountRequest
from corten.errors import EngineError, Invalid

Mount = dict[str, Any]

_PLAIN = ("nosuid", "noexec", "nodev")
_STAY_WRITABLE = frozenset(("/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"))
INIT_PATH = "/sbin/docker-init"
"""Where `--init` puts its program, as Docker does; `ps` in the container shows it."""
_MODES = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_SHARED, _SLAVE = ("shared", "rshared"), ("slave", "rslave")


def _mount(destination: str, kind: str, source: str, *options: str) -> Mount:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def default_mounts(shm_size: int) -> list[Mount]:
    """What every container has, before anything replaces it."""
    return [
        _mount("/proc", "proc", "proc", *_PLAIN),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        _mount("/sys", "sysfs", "sysfs", *_PLAIN, "ro"),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", *_PLAIN),
        _mount("/dev/mqueue", "mqueue", "mqueue", *_PLAIN),
        _mount("/dev/shm", "tmpfs", "shm", *_PLAIN, "mode=1777", f"size={shm_size}"),
    ]


def container_mounts(container: Container, placement: Placement, *, writable_cgroups: bool) -> tuple[list[Mount], str]:
    """(OCI mounts in mounting order, rootfsPropagation or ""). Raises Invalid or EngineError in Docker's words."""
    host = container.host
    own = _own_mounts(container, placement)
    taken = {posixpath.normpath(mount["destination"]) for mount in own}
    found = [mount for mount in default_mounts(host.shm_size) if not _is_replaced(mount["destination"], taken, host)]
    if host.readonly_rootfs:
        for mount in found:
            if mount["destination"] not in _STAY_WRITABLE and "ro" not in mount["options"]:
                mount["options"].append("ro")
    for mount in found:
        is_cleared = (mount["destination"] == "/sys" and host.privileged) or (mount["type"] == "cgroup" and writable_cgroups)
        if is_cleared:
            mount["options"].remove("ro")
    propagations = [propagation_of(mount["options"]) for mount in own if mount["type"] == "bind"]
    return found + own, root_propagation(propagations)


def _is_replaced(destination: str, taken: set[str], host: HostConfig) -> bool:
    if destination in taken or ("/dev" in taken and destination.startswith("/dev/")):
        return True
    return destination == "/dev/shm" and host.ipc_mode == "none"


def _own_mounts(container: Container, placement: Placement) -> list[Mount]:
    """Parents before children, so that none hides another."""
    host = container.host
    found = [_tmpfs(destination, text) for destination, text in host.tmpfs.items()]
    tmpfs_targets = {posixpath.normpath(destination) for destination in host.tmpfs}
    found += [_mount_point(point, placement) for point in container.mounts if point.destination not in tmpfs_targets]
    taken = {mount["destination"] for mount in found}
    if placement.shm and "/dev/shm" not in taken:
        found.append(_mount("/dev/shm", "bind", placement.shm, "rbind", "rprivate"))
    found += [mount for mount in _engine_files(placement, host) if mount["destination"] not in taken]
    return sorted(found, key=lambda mount: posixpath.normpath(mount["destination"]).count("/"))


def _engine_files(placement: Placement, host: HostConfig) -> Iterable[Mount]:
    files = {"/etc/resolv.conf": placement.resolv_conf_file, "/etc/hostname": placement.hostname_file, "/etc/hosts": placement.hosts_file}
    for destination, source in files.items():
        if source:
            read_only = (_read_only(placement),) if host.readonly_rootfs else ()
            yield _mount(destination, "bind", source, "rbind", *read_only, "rprivate")


def _tmpfs(destination: str, text: str) -> Mount:
    return _mount(destination, "tmpfs", "tmpfs", *tmpfs_options(text))


def _mount_point(point: MountPoint, placement: Placement) -> Mount:
    if point.type == "tmpfs":
        return _tmpfs(point.destination, request_text(replace(point.request, read_only=not point.rw)) if point.request else "")
    request = point.request
    options = ["bind" if request is not None and request.non_recursive else "rbind"]
    if not point.rw:
        options.append(_read_only(placement, request))
    elif request is not None and (request.read_only_non_recursive or request.read_only_force_recursive):
        name = "ReadOnlyNonRecursive" if request.read_only_non_recursive else "ReadOnlyForceRecursive"
        raise Invalid(f"mount options conflict: !ReadOnly && BindOptions.{name}", reason="bad-mount")
    propagation = point.propagation or ("rprivate" if point.type == "bind" else "")
    if propagation:
        check_propagation(propagation, point.source, placement.machine.mountinfo)
        options.append(propagation)
    return _mount(point.destination, "bind", placement.sources.get(point.destination, point.source), *options)


def _read_only(placement: Placement, request: MountRequest | None = None) -> str:
    """`rro` makes what is mounted below the source read-only too; the default where the kernel can (5.12)."""
    if request is not None and request.read_only_non_recursive:
        if request.read_only_force_recursive:
            raise Invalid("mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive", reason="bad-mount")
        return "ro"
    if placement.machine.has_recursive_read_only:
        return "rro"
    if request is not None and request.read_only_force_recursive:
        raise Invalid("rro is not supported: kernel is older than 5.12", reason="no-recursive-read-only")
    return "ro"


def propagation_of(options: Sequence[str]) -> str:
    """The propagation among mount options, "" if none."""
    return next((option for option in options if option in _MODES), "")


def check_propagation(mode: str, source: str, mountinfo: Callable[[], str]) -> None:
    """Raises EngineError, as Docker words it, when a shared or slave bind is asked of a mount that is neither."""
    if mode not in (*_SHARED, *_SLAVE):
        return
    point, optional = source_mount(source, mountinfo())
    is_shared = any(field.startswith("shared:") for field in optional)
    is_slave = any(field.startswith("master:") for field in optional)
    if mode in _SHARED and not is_shared:
        raise EngineError(f"path {source} is mounted on {point} but it is not a shared mount", reason="not-shared")
    if mode in _SLAVE and not (is_shared or is_slave):
        raise EngineError(f"path {source} is mounted on {point} but it is not a shared or slave mount", reason="not-shared")


def root_propagation(modes: Iterable[str]) -> str:
    """`linux.rootfsPropagation` that lets the given binds propagate; "" = the default (private)."""
    found = ""
    for mode in modes:
        if mode in _SHARED:
            return "shared"
        if mode in _SLAVE:
            found = "rslave"
    return found


def source_mount(path: str, mountinfo: str) -> tuple[str, list[str]]:
    """(mount point, optional fields) of the mount on which `path` lies: the longest match, later lines over earlier."""
    best, optional = "", [""]
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape") if "\\" in fields[4] else fields[4]
        is_parent = path == point or path.startswith(point.rstrip("/") + "/")
        if is_parent and len(point) >= len(best):
            best, optional = point, fields[6 : fields.index("-")]
    return best, optional
