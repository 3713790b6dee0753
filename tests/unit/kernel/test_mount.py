"""mountinfo, read."""

from corten.kernel.mount import MountInfo, parse_mountinfo, read_mountinfo


def test_a_line_with_propagation_and_escapes() -> None:
    line = r"36 35 98:0 /mnt1 /a\040b\011c rw,noatime master:1 propagate_from:2 - ext3 /dev/my\134root rw,errors=continue"
    assert parse_mountinfo(line) == MountInfo(
        36, 35, "98:0", "/mnt1", "/a b\tc", "rw,noatime", ("master:1", "propagate_from:2"), "ext3", "/dev/my\\root", "rw,errors=continue"
    )


def test_a_line_without_optional_fields() -> None:
    info = parse_mountinfo("22 27 0:21 / /proc rw,relatime - proc proc rw")
    assert (info.propagation, info.fstype, info.mount_point) == ((), "proc", "/proc")


def test_our_own_mounts_are_read() -> None:
    assert "/" in {info.mount_point for info in read_mountinfo()}
