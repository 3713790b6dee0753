"""The `cgroup` mount of a container: /sys/fs/cgroup as it looks from inside its own cgroup."""

import errno
import os

from corten.kernel import mount as m
from corten.kernel.cgroup import Hierarchies
from corten.kernel.openat2 import make_directory_in_root
from corten.runtime.config.mount_options import MountPlan
from corten.runtime.rootfs.mounts import finish_readonly, mount_one, open_source

_FLAGS = m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC | m.MS_RELATIME


def mount_cgroups(plan: MountPlan, root_fd: int, hierarchies: Hierarchies, paths: dict[str, str], own_namespace: bool) -> None:
    """`paths`: controller -> the container's host directory. Hierarchies that it is not in are left out: they would show the host's."""
    if hierarchies.version == 2:
        _mount_v2(plan, root_fd, paths)
    else:
        _mount_v1(plan, root_fd, hierarchies, paths, own_namespace)


def _mount_v2(plan: MountPlan, root_fd: int, paths: dict[str, str]) -> None:
    unified = plan._replace(type="cgroup2", source="cgroup", bind=0, fs_options=())
    try:
        source = open_source(unified)
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.EBUSY):
            raise
        source = open_source(unified._replace(bind=1, source=paths.get("", "/sys/fs/cgroup")))
    mount_one(unified, root_fd, source)


def _mount_v1(plan: MountPlan, root_fd: int, hierarchies: Hierarchies, paths: dict[str, str], own_namespace: bool) -> None:
    """A tmpfs with one directory per hierarchy, named as on the host, and a link per controller where several share one."""
    tmpfs = plan._replace(type="tmpfs", source="tmpfs", bind=0, fs_options=("mode=755",))
    mount_one(tmpfs, root_fd)
    folder = make_directory_in_root(root_fd, plan.destination)
    os.fchdir(folder)
    read_only = m.MS_RDONLY if plan.attributes.set & m.MOUNT_ATTR_RDONLY else 0
    by_point: dict[str, list[str]] = {}
    for controller, point in hierarchies.roots.items():
        if controller and controller in paths:
            by_point.setdefault(point, []).append(controller)
    for point, controllers in by_point.items():
        name = os.path.basename(point)
        os.mkdir(name, 0o755)
        if own_namespace:
            m.mount("cgroup", name, "cgroup", _FLAGS | read_only, ",".join(controllers))
        else:
            m.mount(paths[controllers[0]], name, None, m.MS_BIND)
            m.mount(None, name, None, m.MS_BIND | m.MS_REMOUNT | _FLAGS | read_only)
        for controller in controllers:
            if controller != name and not controller.startswith("name="):
                os.symlink(name, controller)
    finish_readonly((tmpfs,), root_fd)
    os.close(folder)
