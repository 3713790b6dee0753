"""Option words of OCI mounts become plans."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.errors import Invalid
from corten.kernel import mount as m
from corten.runtime.config.mount_options import OPTIONS, Attributes, IdMapping, parse_mount, propagation_flag


def plan(*options: str, type: str = "tmpfs", **more: Any) -> Any:
    return parse_mount({"destination": "/x", "type": type, "source": "src", "options": list(options), **more})


def test_attributes_file_system_options_and_propagation_are_told_apart() -> None:
    found = plan("nosuid", "nodev", "size=64k", "mode=1777", "sync", "rslave", "noatime")
    assert found.attributes == Attributes(m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NODEV | m.MOUNT_ATTR_NOATIME, m.MOUNT_ATTR__ATIME)
    assert found.fs_options == ("size=64k", "mode=1777", "sync")
    assert found.propagation == (m.MS_SLAVE | m.MS_REC,)
    assert not found.bind


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ro", "rw"), Attributes(0, m.MOUNT_ATTR_RDONLY)),
        (("rw", "ro"), Attributes(m.MOUNT_ATTR_RDONLY, 0)),
        (("noexec", "exec", "nosuid"), Attributes(m.MOUNT_ATTR_NOSUID, m.MOUNT_ATTR_NOEXEC)),
        (("strictatime",), Attributes(m.MOUNT_ATTR_STRICTATIME, m.MOUNT_ATTR__ATIME)),
        (("defaults", "", "silent"), Attributes()),
    ],
)
def test_the_later_word_wins(words: tuple[str, ...], expected: Attributes) -> None:
    assert plan(*words).attributes == expected


def test_recursive_words_are_kept_apart() -> None:
    found = plan("rbind", "rro", "rnosuid", "ro", type="bind")
    assert found.bind == 2
    assert found.recursive == Attributes(m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOSUID, 0)
    assert found.attributes == Attributes(m.MOUNT_ATTR_RDONLY, 0)


def test_a_bind_has_no_file_system_options() -> None:
    assert plan("bind", "sync", type="").fs_options == ()
    with pytest.raises(Invalid, match="mode=755"):
        plan("bind", "mode=755", type="")
    assert plan(type="bind").bind == 1
    assert plan(type="none").bind == 1


def test_a_disk_is_opened_read_only_a_pseudo_file_system_is_not() -> None:
    assert plan("ro", type="ext4").fs_options == ("ro",)
    assert plan("ro", type="tmpfs").fs_options == ()


def test_id_mappings() -> None:
    maps = [{"containerID": 0, "hostID": 1000, "size": 10}]
    found = plan("bind", type="bind", uidMappings=maps, gidMappings=maps)
    assert (found.idmap, found.uid_mappings) == (1, (IdMapping(0, 1000, 10),))
    assert plan("rbind", "ridmap", type="bind").idmap == 2


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ({"uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}], "options": ["bind"]}, "come together"),
        ({"options": ["nosuid"]}, "neither a type"),
        ({"type": "tmpfs", "options": ["idmap"]}, "only bind mounts"),
    ],
)
def test_contradictions_are_refused(mount: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse_mount({"destination": "/x", **mount})


def test_extras() -> None:
    assert plan("tmpcopyup").copy_up
    assert plan("remount", type="").remount
    assert str(plan()) == 'mounting "src" to rootfs at "/x"'
    assert parse_mount({"destination": "/proc", "type": "proc"}).source == "proc"


def test_propagation_words() -> None:
    assert propagation_flag("rshared") == m.MS_SHARED | m.MS_REC
    assert propagation_flag("private") == m.MS_PRIVATE
    assert propagation_flag("ro") is None
    assert propagation_flag("rro") is None


@given(st.lists(st.sampled_from(OPTIONS), max_size=12))
def test_no_word_that_features_lists_reaches_the_file_system_unknown(words: list[str]) -> None:
    known = {"sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"}
    if "idmap" in words or "ridmap" in words:
        words = [*words, "bind"]
    found = plan(*words)
    assert set(found.fs_options) <= known
    assert not found.attributes.set & found.attributes.clear & ~m.MOUNT_ATTR__ATIME
