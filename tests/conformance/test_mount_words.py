"""Each word of a mount's options, as /proc/self/mountinfo shows its effect. runc 1.3 passes them all."""

import pytest

from tests.conformance.harness import Bundle
from tests.conformance.test_mounts import options_at

pytestmark = pytest.mark.privileged

# word -> what the mount table then says of a tmpfs and of a bind mount
ATTRIBUTES = {
    "ro": "ro,relatime",
    "rw": "rw,relatime",
    "nosuid": "rw,nosuid,relatime",
    "suid": "rw,relatime",
    "nodev": "rw,nodev,relatime",
    "dev": "rw,relatime",
    "noexec": "rw,noexec,relatime",
    "exec": "rw,relatime",
    "nosymfollow": "rw,relatime,nosymfollow",
    "noatime": "rw,noatime",
    "atime": "rw,relatime",
    "nodiratime": "rw,nodiratime,relatime",
    "diratime": "rw,relatime",
    "relatime": "rw,relatime",
    "norelatime": "rw,relatime",
    "strictatime": "rw",
    "nostrictatime": "rw,relatime",
}
RECURSIVE = {"rro": "ro", "rnosuid": "nosuid", "rnodev": "nodev", "rnoexec": "noexec", "rnosymfollow": "nosymfollow", "rnoatime": "noatime"}
# What the file system itself is told, or what is for nobody any more.
FILE_SYSTEM = ("sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand", "iversion", "noiversion", "silent", "loud")


def words(text: str) -> set[str]:
    return set(text.split(",")) - {"seclabel", "inode64"}


def test_attributes_of_a_new_file_system(bundle: Bundle) -> None:
    for word in ATTRIBUTES:
        bundle.mount(f"/m/{word}", "tmpfs", word)
    found = options_at(bundle, *(f"/m/{word}" for word in ATTRIBUTES))
    assert {word: words(text) for word, text in zip(ATTRIBUTES, found, strict=True)} == {w: words(text) for w, text in ATTRIBUTES.items()}


def test_attributes_of_a_bind(bundle: Bundle) -> None:
    for word in ATTRIBUTES:
        bundle.mount(f"/m/{word}", "bind", "bind", word, source=str(bundle.directory))
    found = options_at(bundle, *(f"/m/{word}" for word in ATTRIBUTES))
    shown = {word: words(text) & words(ATTRIBUTES[word]) for word, text in zip(ATTRIBUTES, found, strict=True)}
    assert shown == {word: words(text) for word, text in ATTRIBUTES.items()}


def test_recursive_words_reach_what_is_mounted_below(bundle: Bundle) -> None:
    for word in RECURSIVE:
        bundle.mount(f"/m/{word}", "bind", "rbind", word, source="/dev")
    found = options_at(bundle, *(f"/m/{word}/shm" for word in RECURSIVE))
    assert [word for word, text in zip(RECURSIVE, found, strict=True) if RECURSIVE[word] not in words(text)] == []


@pytest.mark.parametrize("word", FILE_SYSTEM)
def test_words_for_the_file_system_are_taken(bundle: Bundle, word: str) -> None:
    bundle.mount("/fs", "tmpfs", word)
    (shown,) = options_at(bundle, "/fs")
    assert (word in words(shown)) == (word in ("sync", "dirsync", "lazytime", "mand"))


def test_a_bind_takes_no_option_of_a_file_system(bundle: Bundle) -> None:
    bundle.mount("/x", "bind", "bind", "size=1m", source=str(bundle.directory))
    done = bundle.run()
    assert done.code != 0
    assert "size=1m" in done.err
    assert "bind mounts cannot have any filesystem-specific options" in done.err
