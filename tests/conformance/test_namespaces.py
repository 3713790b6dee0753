"""Namespaces: new, joined by path, shared with the host; user namespaces with maps; time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.kernel import namespaces as ns
from corten.kernel.process import clone3
from tests.conformance.harness import IS_OURS, Bundle

pytestmark = pytest.mark.privileged
KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "mount": "mnt", "network": "net", "cgroup": "cgroup", "user": "user", "time": "time"}


def seen(bundle: Bundle, *kinds: str) -> list[str]:
    bundle.shell("".join(f"readlink /proc/self/ns/{KINDS[kind]};" for kind in kinds))
    return bundle.run().ok().lines


def of_host(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{KINDS[kind]}")


def test_what_is_listed_is_new_and_the_rest_the_hosts(bundle: Bundle) -> None:
    new, shared = ("pid", "ipc", "uts", "mount", "network"), ("user", "cgroup", "time")
    found = dict(zip((*new, *shared), seen(bundle, *new, *shared), strict=True))
    assert [kind for kind in new if found[kind] == of_host(kind)] == []
    assert [kind for kind in shared if found[kind] != of_host(kind)] in ([], ["cgroup"])


def test_host_namespaces(bundle: Bundle) -> None:
    for kind in ("pid", "ipc", "network"):
        bundle.without_namespace(kind)
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/sys"]
    assert seen(bundle, "pid", "ipc", "network") == [of_host("pid"), of_host("ipc"), os.readlink("/proc/self/ns/net")] or not IS_OURS


class Neighbour:
    """A process in namespaces of its own, for others to join."""

    def __init__(self, flags: int) -> None:
        self._reading, self._writing = os.pipe()
        self.pid, self._pidfd = clone3(flags)
        if self.pid == 0:
            os.close(self._writing)
            os.read(self._reading, 1)
            os._exit(0)

    def path(self, kind: str) -> str:
        return f"/proc/{self.pid}/ns/{KINDS[kind]}"

    def end(self) -> None:
        for fd in (self._reading, self._writing, self._pidfd):
            os.close(fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    made = Neighbour(ns.CLONE_NEWNET | ns.CLONE_NEWIPC | ns.CLONE_NEWUTS | ns.CLONE_NEWPID | ns.CLONE_NEWUSER)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{made.pid}/{name}").write_text("0 200000 65536\n")
    yield made
    made.end()


@pytest.fixture
def same_user() -> Iterator[Neighbour]:
    made = Neighbour(ns.CLONE_NEWNET | ns.CLONE_NEWIPC | ns.CLONE_NEWUTS | ns.CLONE_NEWPID)
    yield made
    made.end()


def test_joining_by_path(bundle: Bundle, same_user: Neighbour) -> None:
    for kind in ("network", "ipc", "uts", "pid"):
        bundle.namespace(kind, same_user.path(kind))
    bundle.shell("for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; echo $$")
    lines = bundle.run().ok().lines
    assert lines[:4] == [os.readlink(same_user.path(kind)) for kind in ("network", "ipc", "uts", "pid")]
    assert int(lines[4]) > 1


def test_joining_anothers_user_namespace(bundle: Bundle, neighbour: Neighbour) -> None:
    for path in (bundle.rootfs, *bundle.rootfs.rglob("*")):
        os.chown(path, 200000, 200000, follow_symlinks=False)
    bundle.namespace("user", neighbour.path("user"))
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/dev/pts"]
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] not in ("/dev/shm",)]
    bundle.shell("readlink /proc/self/ns/user; cat /proc/self/uid_map; id -u; echo $$")
    lines = bundle.run().ok().lines
    assert lines[0] == os.readlink(neighbour.path("user"))
    assert lines[1].split() == ["0", "200000", "65536"]
    assert lines[2:] == ["0", "1"]


def test_a_path_that_is_no_namespace(bundle: Bundle) -> None:
    bundle.namespace("network", "/etc/hostname")
    done = bundle.run()
    assert done.code != 0
    assert "/etc/hostname" in done.err or not IS_OURS


def test_a_user_namespace(bundle: Bundle) -> None:
    bundle.map_users(100000)
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [6]}
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    script = "id -u; id -G; cat /proc/self/uid_map; stat -c %u /bin/busybox; ulimit -n; ls /dev/null; cat /proc/keys | wc -c; touch /root/x"
    bundle.shell(script)
    done = bundle.run()
    assert done.lines[:2] == ["1000", "1000 6"]
    assert done.lines[2].split() == ["0", "100000", "65536"]
    assert done.lines[3:] == ["0", "100", "/dev/null", "0"]
    assert "Permission denied" in done.err


def test_root_of_a_user_namespace_owns_its_root(bundle: Bundle) -> None:
    bundle.map_users(100000)
    bundle.shell("touch /root/x; mount -t tmpfs none /tmp 2>/dev/null || echo refused; hostname")
    assert bundle.run().ok().lines == ["refused", "conformance"]
    assert (bundle.rootfs / "root" / "x").stat().st_uid == 100000


def test_a_bind_source_closed_to_the_user(bundle: Bundle, tmp_path: Path) -> None:
    """The folder above is 0700 of the host's root: who makes the container could reach it, its root cannot."""
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    (closed / "data" / "file").write_text("through\n")
    closed.chmod(0o700)
    bundle.map_users(100000)
    bundle.mount("/data", "bind", "bind", "ro", source=str(closed / "data"))
    bundle.shell("cat /data/file")
    assert bundle.run().ok().lines == ["through"]


def test_an_id_mapped_mount_in_a_user_namespace(bundle: Bundle, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").touch()
    bundle.map_users(100000)
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.mount("/data", "bind", "bind", source=str(data))
    bundle.config["mounts"][-1] |= {"uidMappings": maps, "gidMappings": maps}
    bundle.shell("stat -c '%u %g' /data/file; touch /data/new")
    assert bundle.run().ok().lines == ["0 0"]
    assert (data / "new").stat().st_uid == 0


def test_time_offsets(bundle: Bundle) -> None:
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 1_000_000, "nanosecs": 0}, "monotonic": {"secs": 5}}
    bundle.shell("cut -d. -f1 /proc/uptime")
    assert int(bundle.run().ok().out) > 1_000_000


def test_hostname_and_domain(bundle: Bundle) -> None:
    bundle.config["domainname"] = "example.org"
    bundle.shell("hostname; cat /proc/sys/kernel/domainname")
    assert bundle.run().ok().lines == ["conformance", "example.org"]


def test_the_loopback_is_up(bundle: Bundle) -> None:
    bundle.shell(
        "ip link show lo | grep -c UP; nc -l -p 99 -s 127.0.0.1 >/tmp/got & sleep 0.1; echo hi | nc 127.0.0.1 99; wait; cat /tmp/got"
    )
    assert bundle.run().ok().lines[0] == "1"


def test_a_session_keyring_of_its_own(bundle: Bundle) -> None:
    bundle.config["linux"]["maskedPaths"] = []
    bundle.shell(f"grep -c _ses.{bundle.id} /proc/keys; :")
    assert bundle.run().ok().lines == ["1"]
