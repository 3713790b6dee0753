"""Mounts, devices, masked and read-only paths, the root."""

import os
from pathlib import Path

import pytest

from tests.conformance.harness import IS_OURS, Bundle

pytestmark = pytest.mark.privileged


def options_at(bundle: Bundle, *places: str) -> list[str]:
    """What /proc/self/mounts says of each, the last mount winning."""
    bundle.process["args"] = ["cat", "/proc/self/mounts"]
    found = {line.split()[1]: line.split()[3] for line in bundle.run().ok().lines}
    return [found[place] for place in places]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "below").mkdir(parents=True)
    (folder / "file").write_text("content\n")
    return folder


def test_a_bind_shows_the_host_and_is_writable(bundle: Bundle, data: Path) -> None:
    bundle.mount("/made/here", "bind", "rbind", source=str(data))
    bundle.shell("cat /made/here/file; echo new > /made/here/new")
    assert bundle.run().ok().lines == ["content"]
    assert (data / "new").read_text() == "new\n"


def test_a_read_only_bind_of_a_file(bundle: Bundle, data: Path) -> None:
    bundle.mount("/etc/given", "bind", "bind", "ro", source=str(data / "file"))
    bundle.shell("cat /etc/given; echo x > /etc/given")
    done = bundle.run()
    assert done.out == "content\n"
    assert "Read-only" in done.err


def test_attributes_of_a_bind(bundle: Bundle, data: Path) -> None:
    bundle.mount("/a", "bind", "bind", "nosuid", "nodev", "noexec", "noatime", source=str(data))
    bundle.mount("/b", "bind", "bind", "ro", "nosymfollow", source=str(data))
    a, b = options_at(bundle, "/a", "/b")
    assert {"rw", "nosuid", "nodev", "noexec", "noatime"} <= set(a.split(","))
    assert {"ro", "nosymfollow"} <= set(b.split(","))


def test_recursive_read_only_reaches_below(bundle: Bundle, tmp_path: Path) -> None:
    """`ro` of an rbind leaves what is mounted below writable, `rro` does not."""
    bundle.mount("/data", "tmpfs")
    bundle.mount("/proc-soft", "bind", "rbind", "ro", source="/dev")
    bundle.mount("/proc-hard", "bind", "rbind", "rro", source="/dev")
    soft, hard = options_at(bundle, "/proc-soft/shm", "/proc-hard/shm")
    assert soft.split(",")[0] == "rw"
    assert hard.split(",")[0] == "ro"


def test_a_missing_source_is_an_error_that_names_both_ends(bundle: Bundle) -> None:
    bundle.mount("/x", "bind", "bind", source="/no/such/source")
    done = bundle.run()
    assert done.code != 0
    assert "/no/such/source" in done.err
    assert "/x" in done.err


def test_tmpfs_with_options(bundle: Bundle) -> None:
    bundle.mount("/run", "tmpfs", "size=128k", "mode=0711", "noexec")
    bundle.shell("stat -c %a /run; grep ' /run ' /proc/self/mounts")
    mode, line = bundle.run().ok().lines
    assert mode == "711"
    assert {"size=128k", "noexec"} <= set(line.split()[3].split(","))


def test_a_read_only_tmpfs_still_gets_its_mount_points(bundle: Bundle) -> None:
    bundle.config["mounts"][1]["options"].append("ro")
    bundle.shell("ls /dev/pts /dev/null; touch /dev/x; touch /dev/shm/y")
    done = bundle.run()
    assert "/dev/null" in done.out
    assert "/dev/x: Read-only" in done.err
    assert "shm" not in done.err


def test_copy_up(bundle: Bundle) -> None:
    source = bundle.rootfs / "var" / "seed"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_text("kept\n")
    (source / "deep" / "file").chmod(0o640)
    os.chown(source / "deep" / "file", 7, 8)
    os.symlink("deep/file", source / "link")
    os.mkfifo(source / "pipe")
    os.setxattr(source / "deep", "user.note", b"hi")
    bundle.mount("/var/seed", "tmpfs", "tmpcopyup", "nosuid")
    bundle.shell("cd /var/seed; cat link; stat -c '%a %u %g' deep/file; test -p pipe && echo pipe; echo x > link; readlink link")
    assert bundle.run().ok().lines == ["kept", "640 7 8", "pipe", "deep/file"]
    assert (source / "deep" / "file").read_text() == "kept\n"


def test_a_private_and_a_shared_mount(bundle: Bundle, data: Path) -> None:
    bundle.mount("/private", "bind", "rbind", "rprivate", source=str(data))
    bundle.mount("/shared", "bind", "rbind", "rshared", source=str(data))
    bundle.mount("/slave", "bind", "rbind", "rslave", source=str(data))
    bundle.mount("/unbindable", "bind", "bind", "unbindable", source=str(data))
    bundle.process["args"] = ["cat", "/proc/self/mountinfo"]
    tags = {line.split()[4]: line.split(" - ")[0].split()[6:] for line in bundle.run().ok().lines}
    assert tags["/private"] == []
    assert any(tag.startswith("shared:") for tag in tags["/shared"])
    assert not any(tag.startswith("shared:") for tag in tags["/slave"])
    assert tags["/unbindable"] == ["unbindable"]


def test_a_read_only_root(bundle: Bundle) -> None:
    bundle.config["root"]["readonly"] = True
    bundle.shell("touch /x; touch /dev/shm/y && echo shm")
    done = bundle.run()
    assert "/x: Read-only" in done.err
    assert done.lines == ["shm"]


def test_devices_every_container_has(bundle: Bundle) -> None:
    script = "cd /dev; stat -c '%n %t %T %a' null zero full random urandom tty"
    bundle.shell(f"{script}; for l in fd stdin stdout stderr ptmx; do readlink $l; done; echo x > null; head -c 3 zero | wc -c")
    assert bundle.run().ok().lines == [
        "null 1 3 666",
        "zero 1 5 666",
        "full 1 7 666",
        "random 1 8 666",
        "urandom 1 9 666",
        "tty 5 0 666",
        "/proc/self/fd",
        "/proc/self/fd/0",
        "/proc/self/fd/1",
        "/proc/self/fd/2",
        "pts/ptmx",
        "3",
    ]


def test_a_device_of_the_config(bundle: Bundle) -> None:
    bundle.linux["devices"] = [{"path": "/dev/deep/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 3, "gid": 4}]
    bundle.linux["devices"].append({"path": "/dev/pipe", "type": "p", "fileMode": 0o600})
    bundle.shell("stat -c '%t %T %a %u %g' /dev/deep/mine; test -p /dev/pipe && echo pipe")
    assert bundle.run().ok().lines == ["1 5 640 3 4", "pipe"]


def test_a_device_that_the_cgroup_refuses(bundle: Bundle) -> None:
    bundle.process["capabilities"]["bounding"] = [*bundle.process["capabilities"]["bounding"], "CAP_MKNOD"]
    for kind in ("effective", "permitted"):
        bundle.process["capabilities"][kind] = bundle.process["capabilities"]["bounding"]
    bundle.shell("mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg")
    assert "not permitted" in bundle.run().err


def test_masked_paths_are_empty(bundle: Bundle) -> None:
    bundle.shell("cat /proc/kcore | wc -c; cat /proc/keys | wc -c; ls /sys/firmware | wc -l; touch /sys/firmware/x")
    done = bundle.run()
    assert done.lines == ["0", "0", "0"]
    assert "Read-only" in done.err


def test_read_only_paths(bundle: Bundle) -> None:
    bundle.shell("echo 77 > /proc/sys/net/core/somaxconn; cat /proc/sys/net/core/somaxconn")
    done = bundle.run()
    assert done.lines != ["77"]
    assert "Read-only" in done.err


def test_sysctl(bundle: Bundle) -> None:
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "4096", "net/core/somaxconn": "77"}
    bundle.shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/net/core/somaxconn")
    assert bundle.run().ok().lines == ["1", "4096", "77"]


def test_nothing_of_the_hosts_mounts_is_left(bundle: Bundle) -> None:
    bundle.process["args"] = ["cat", "/proc/self/mountinfo"]
    points = {line.split()[4] for line in bundle.run().ok().lines}
    assert not any(point.startswith(("/work", "/tmp", "/run", "/mnt")) for point in points)


def test_the_cgroup_mount(bundle: Bundle) -> None:
    bundle.namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    bundle.shell("cat /proc/self/cgroup | grep -E ':(memory|):'; ls /sys/fs/cgroup; touch /sys/fs/cgroup/x")
    done = bundle.run()
    assert done.lines[0].endswith(":/")
    assert "Read-only" in done.err
    assert {"memory", "cpu"} <= set(done.lines) or "cgroup.controllers" in done.lines


@pytest.mark.skipif(not IS_OURS, reason="runc wants an attribute on the parent")
def test_an_id_mapped_bind(bundle: Bundle, data: Path) -> None:
    maps = [{"containerID": 0, "hostID": 5000, "size": 100}]
    bundle.mount("/mapped", "bind", "bind", source=str(data))
    bundle.config["mounts"][-1] |= {"uidMappings": maps, "gidMappings": maps}
    bundle.process["user"] = {"uid": 5000, "gid": 5000}
    bundle.shell("stat -c '%u %g' /mapped/file; touch /mapped/new")
    assert bundle.run().ok().lines == ["5000 5000"]
    assert (data / "new").stat().st_uid == 0


def test_many_mounts_in_order(bundle: Bundle, data: Path) -> None:
    for number in range(40):
        bundle.mount("/deep" + "/d" * number, "tmpfs", "size=64k")
    bundle.mount("/deep/d/again", "bind", "bind", source=str(data))
    bundle.shell("cat /deep/d/again/file; grep -c /deep /proc/self/mounts")
    assert bundle.run().ok().lines == ["content", "41"] or not IS_OURS


@pytest.mark.parametrize(("word", "is_shared"), [("rshared", True), ("rslave", False), ("rprivate", False)])
def test_root_propagation(bundle: Bundle, word: str, is_shared: bool) -> None:
    bundle.linux["rootfsPropagation"] = word
    bundle.process["args"] = ["cat", "/proc/self/mountinfo"]
    before = Path("/proc/self/mountinfo").read_text()
    line = next(line for line in bundle.run().ok().lines if line.split()[4] == "/")
    assert ("shared:" in line.split(" - ")[0]) == is_shared
    assert Path("/proc/self/mountinfo").read_text() == before


def test_without_pivot_root(bundle: Bundle) -> None:
    bundle.shell("ls /; cat /proc/self/mounts | wc -l")
    lines = bundle.run("--no-pivot").ok().lines
    assert "etc" in lines
    assert "work" not in lines
