"""What `image bootstrap` asks of apt and mmdebstrap, and that the same packages give the same image."""

import io
import json
import tarfile
from collections.abc import Callable, Sequence

import pytest

from corten.cli.bootstrap.archive import About, image_archive
from corten.cli.bootstrap.rootfs import Wanted, lines, make_root, newest_package, options, write_layer
from corten.cli.bootstrap.sources import Source, find_sources, settings, without_secrets
from corten.cli.errors import Failure

TARGETS = """\
http://mirror.test/debian/ bookworm main
http://mirror.test/debian/ bookworm contrib
http://mirror.test/debian/ bookworm-updates main
http://mirror.test/debian-security/ bookworm-security main
http://other.test/tool/ stable main
"""
CONFIG = """\
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.test:3128";
Acquire::https::CaInfo "/etc/ssl/own.pem";
APT::Install-Recommends "1";
"""


def said(text: str) -> Callable[[Sequence[str]], str]:
    return lambda command: text if command[0] in ("apt-get", "apt-config") else ""


def test_the_suite_that_apt_has_is_taken_with_its_updates() -> None:
    found = find_sources("bookworm", run=said(TARGETS))
    assert [source.line for source in found] == [
        "deb http://mirror.test/debian/ bookworm main contrib",
        "deb http://mirror.test/debian/ bookworm-updates main",
        "deb http://mirror.test/debian-security/ bookworm-security main",
    ]


def test_another_suite_comes_from_the_same_archives() -> None:
    assert find_sources("trixie", run=said(TARGETS)) == [
        Source("http://mirror.test/debian/", "trixie", ("main",)),
        Source("http://mirror.test/debian-security/", "trixie-security", ("main",)),
    ]
    assert [s.suite for s in find_sources("sid", run=said(TARGETS))] == ["sid"]
    assert find_sources("trixie", "file:/srv/debian", run=said("")) == [Source("file:/srv/debian/", "trixie", ("main",))]
    with pytest.raises(Failure, match="no archive of Debian"):
        find_sources("trixie", run=said("http://other.test/ubuntu/ noble main\n"))


def test_apts_ways_are_passed_on_and_secrets_are_not() -> None:
    assert settings(said(CONFIG)) == ['Acquire::http::Proxy "http://proxy.test:3128";', 'Acquire::https::CaInfo "/etc/ssl/own.pem";']
    assert without_secrets("deb http://me:word@mirror.test/debian x") == "deb http://mirror.test/debian x"


def test_what_mmdebstrap_is_told() -> None:
    wanted = Wanted("bookworm", True, ("python3", "curl"), find_sources("bookworm", "http://m.test/debian"))
    told = options(wanted, ["A::B"], quiet=True)
    assert {
        "--variant=minbase",
        "--quiet",
        "--include=python3,curl",
        "--aptopt=A::B",
        "--dpkgopt=path-exclude=/usr/share/man/*",
    } <= set(told)
    assert lines(wanted) == ["deb http://m.test/debian/ bookworm main"]
    bare = options(wanted._replace(slim=False, include=()), [], quiet=False)
    assert not [option for option in bare if "dpkgopt" in option or "include" in option]


def test_a_missing_mmdebstrap_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Failure, match="apt-get install mmdebstrap"):
        make_root(Wanted("bookworm", True, (), []), "/nowhere/x.tar", quiet=True)


def root(now: int) -> io.BytesIO:
    """What mmdebstrap would make at `now`: two files of packages, and some that were written while installing."""
    out = io.BytesIO()
    files = {
        "./bin/tool": (b"tool", 1_600_000_000),
        "./bin/newer": (b"newer", 1_700_000_000),
        "./bin/unpackaged": (b"?", 1_650_000_000),
        "./etc/shadow": (f"root:*:{now // 86400}:0:99999:7:::\ndaemon:!::0\n".encode(), now),
        "./etc/apt/sources.list": (b"deb http://me:word@mirror.test/debian bookworm main\n", now),
        "./etc/apt/apt.conf.d/99mmdebstrap": (b"Acquire::http::Proxy ...", now),
        "./var/lib/dpkg/info/tool.md5sums": (b"0cc  bin/tool\n0cc  bin/newer\n0cc  usr/share/doc/left-out\n", now),
    }
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo("./bin")
        folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, now
        tar.addfile(folder)
        for name, (data, mtime) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uname = len(data), mtime, "root"
            entry.pax_headers = {"SCHILY.xattr.user.note": "kept", "atime": str(now)}
            tar.addfile(entry, io.BytesIO(data))
    out.seek(0)
    return out


def layer(now: int) -> tuple[bytes, int]:
    with tarfile.open(fileobj=root(now)) as tar:
        epoch = newest_package(tar)
    out = io.BytesIO()
    with tarfile.open(fileobj=root(now)) as tar:
        write_layer(tar, out, epoch)
    return out.getvalue(), epoch


def test_the_day_on_which_it_is_made_leaves_no_trace() -> None:
    data, epoch = layer(1_800_000_000)
    assert epoch == 1_700_000_000
    assert (data, epoch) == layer(1_900_000_001)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {m.name.removeprefix("./"): m for m in tar}
        assert "etc/apt/apt.conf.d/99mmdebstrap" not in members
        assert max(m.mtime for m in members.values()) == epoch
        assert members["bin/tool"].mtime == 1_600_000_000
        assert members["bin/tool"].pax_headers == {"SCHILY.xattr.user.note": "kept"}
        assert members["usr/sbin/policy-rc.d"].mode == 0o755
        shadow = tar.extractfile(members["etc/shadow"])
        assert shadow is not None
        assert shadow.read() == b"root:*:19675:0:99999:7:::\ndaemon:!::0\n"


def test_a_root_without_packages_is_refused() -> None:
    out = io.BytesIO()
    tarfile.open(fileobj=out, mode="w").close()
    out.seek(0)
    with tarfile.open(fileobj=out) as tar, pytest.raises(Failure, match="no package"):
        newest_package(tar)


def test_the_archive_is_one_that_engines_load() -> None:
    data, epoch = layer(1_800_000_000)
    about = About("debian:bookworm-slim", "arm64", epoch, "corten image bootstrap debian:bookworm-slim")
    made = b"".join(image_archive(io.BytesIO(data), len(data), about))
    assert made == b"".join(image_archive(io.BytesIO(data), len(data), about))
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        files = {m.name: (f := tar.extractfile(m)) and f.read() for m in tar}
    (image,) = json.loads(files["manifest.json"] or b"")
    config = json.loads(files[image["Config"]] or b"")
    assert (image["RepoTags"], files[image["Layers"][0]]) == (["debian:bookworm-slim"], data)
    assert (config["architecture"], config["variant"], config["created"]) == ("arm64", "v8", "2023-11-14T22:13:20Z")
