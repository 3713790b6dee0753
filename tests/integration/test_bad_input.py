"""What is wrong is refused in words that name it, by a real daemon, and nothing is lost or left: files of the host, images, containers."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.daemon import IMAGE, Called, Daemon
from tests.support.images import busybox_tar

pytestmark = pytest.mark.privileged
HUGE = 10 << 30


def refused(called: Called, status: int, text: str) -> None:
    assert called.status == status, called.body
    assert text in called.json()["message"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"Image": "corten-nothing"}, "No such image: corten-nothing:latest"),
        ({"Image": "UPPER CASE"}, "invalid reference format"),
        ({"Image": IMAGE, "HostConfig": {"Binds": ["/no/such:relative"]}}, "mount path must be absolute"),
        ({"Image": IMAGE, "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/x"}]}}, "/no/such"),
        ({"Image": IMAGE, "StopSignal": "FOO"}, "invalid signal: FOO"),
        ({"Image": IMAGE, "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "big"}}}}, "invalid size: 'big'"),
        ({"Image": IMAGE, "HostConfig": {"Memory": "64m"}}, "HostConfig.Memory"),
        ({"Image": IMAGE, "HostConfig": {"Ulimits": [{"Name": "nofile"}, {"Name": 5}]}}, "HostConfig.Ulimits[1].Name"),
        ({"Image": IMAGE, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": 80}]}}}, 'HostConfig.PortBindings["80/tcp"][0].HostPort'),
        ({"Image": IMAGE, "Labels": {"a": "b", "c": 1}}, 'Labels["c"]'),
        ({"Image": 5}, "Image: expected str"),
        ([], "expected object"),
    ],
)
def test_a_container_that_cannot_be(engine: Daemon, name: str, body: Any, text: str) -> None:
    called = engine.call("POST", f"/containers/create?name={name}", body)
    refused(called, 404 if "No such image" in text else 400, text)
    assert engine.call("GET", f"/containers/{name}/json").status == 404


@pytest.mark.parametrize("raw", [b'{"Image": "busybox"', b"{'Image': 1}", b"\xff\xfe{}", b'{"Image":"busybox"} more', b"[" * 100_000])
def test_what_is_no_json(engine: Daemon, raw: bytes) -> None:
    with engine.client() as client:
        answer = client.request("POST", "/containers/create", headers=[("Content-Type", "application/json")], body=raw)
        assert answer.status == 400
        assert answer.json()["message"]


def test_a_huge_body(engine: Daemon, name: str) -> None:
    body = {"Image": IMAGE, "Labels": {"big": "x" * (20 << 20)}}
    refused(engine.call("POST", f"/containers/create?name={name}", body), 400, "request body is larger than")
    assert engine.call("GET", "/_ping").status == 200


def test_names_signals_and_states(engine: Daemon, name: str) -> None:
    create = f"/containers/create?name={name}"
    engine.call("POST", create, {"Image": IMAGE, "Cmd": ["sleep", "300"]}).ok()
    try:
        refused(engine.call("POST", create, {"Image": IMAGE}), 409, f'The container name "/{name}" is already in use by container')
        engine.call("POST", f"/containers/{name}/start").ok()
        assert engine.call("POST", f"/containers/{name}/start").status == 304
        refused(engine.call("POST", f"/containers/{name}/kill?signal=FOO"), 400, "invalid signal: FOO")
        refused(engine.call("POST", f"/containers/{name}/rename?name=a%20b"), 400, "Invalid container name")
        assert engine.call("GET", f"/containers/{name}/json").ok()["State"]["Status"] == "running"
    finally:
        engine.call("DELETE", f"/containers/{name}?force=1").ok()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    info.devmajor, info.devminor = (1, 5) if kind == tarfile.CHRTYPE else (0, 0)
    return info, data


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Path]:
    """A file of the host that hostile archives aim at."""
    target = tmp_path / "bait"
    target.write_text("untouched")
    yield target
    assert target.read_text() == "untouched"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bait"]


def hostile(bait: Path) -> dict[str, tuple[bytes, bool]]:
    """Archives by what they try, and whether they are refused; the others are contained."""
    up, here = f"{'../' * 30}{bait.parent}/new", str(bait.parent)
    return {
        "dots": (tar_of(member(up, data=b"x")), True),
        "dots in a hard link": (tar_of(member("h", tarfile.LNKTYPE, f"{'../' * 30}{bait}")), True),
        "an absolute path": (tar_of(member(f"{here}/new", data=b"x")), False),
        "an absolute hard link": (tar_of(member("h", tarfile.LNKTYPE, str(bait))), True),
        "through a symbolic link": (tar_of(member("l", tarfile.SYMTYPE, here), member("l/new", data=b"x")), True),
        "through links up": (tar_of(member("l", tarfile.SYMTYPE, "../" * 30), member(f"l{here}/new", data=b"x")), False),
        "over a symbolic link": (tar_of(member("l", tarfile.SYMTYPE, str(bait)), member("l", data=b"x")), False),
    }


@pytest.mark.parametrize("attempt", list(hostile(Path("/tmp/bait"))))
def test_archives_stay_inside(engine: Daemon, name: str, bait: Path, attempt: str) -> None:
    data, is_refused = hostile(bait)[attempt]
    called = engine.call("POST", f"/images/create?fromSrc=-&repo={name}", data)
    assert ("error" in called.body.decode() or called.status >= 400) == is_refused, called.body
    assert (engine.call("GET", f"/images/{name}/json").status == 404) == is_refused
    engine.call("DELETE", f"/images/{name}?force=1")


def test_a_device_node_of_an_archive_opens_nothing(engine: Daemon, name: str) -> None:
    """It is made, as Docker does, but the container's device rules keep it shut; a block device is no way to the disk."""
    disk = member("disk", tarfile.BLKTYPE)
    disk[0].devmajor, disk[0].devminor = 254, 0
    base = io.BytesIO()
    with tarfile.open(fileobj=base, mode="w") as tar, tarfile.open(fileobj=io.BytesIO(busybox_tar())) as source:
        for info in source:
            tar.addfile(info, source.extractfile(info) if info.isreg() else None)
        tar.addfile(disk[0])
        tar.addfile(member("kmsg", tarfile.CHRTYPE)[0])
    engine.call("POST", f"/images/create?fromSrc=-&repo={name}", base.getvalue()).ok()
    script = "for d in /disk /kmsg; do head -c 1 $d > /dev/null && echo open $d; done; exit 0"
    engine.call("POST", f"/containers/create?name={name}", {"Image": name, "Cmd": ["sh", "-c", script]}).ok()
    engine.call("POST", f"/containers/{name}/start").ok()
    engine.call("POST", f"/containers/{name}/wait").ok()
    said = engine.call("GET", f"/containers/{name}/logs?stdout=1&stderr=1").body
    engine.call("DELETE", f"/containers/{name}").ok()
    engine.call("DELETE", f"/images/{name}?force=1").ok()
    assert b"open /disk" not in said
    assert said.count(b"Operation not permitted") == 1  # 1:5 is /dev/zero, which every container may read


def bomb() -> bytes:
    """10 GB of zeros as the only file of a layer: 10 MB of gzip, 100 kB of gzip in gzip."""
    info = tarfile.TarInfo("zeros")
    info.size = HUGE
    packed = io.BytesIO()
    with gzip.open(packed, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        block = bytes(64 << 20)
        for _ in range(HUGE // len(block)):
            file.write(block)
        file.write(bytes(1024))
    return packed.getvalue()


def docker_archive(layer: bytes) -> bytes:
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["bomb:v1"], "Layers": ["l.tar"]}]).encode()
    return tar_of(member("manifest.json", data=manifest), member("c.json", data=config), member("l.tar", data=layer))


@pytest.mark.parametrize("daemon", [["--max-layer-size", "256m"]], indirect=True)
def test_a_zip_bomb_meets_the_limit(daemon: Daemon) -> None:
    """Refused when the limit is passed, long before ten gigabytes; nothing of it is kept."""
    packed = bomb()
    for target, body in (("/images/create?fromSrc=-&repo=bomb", packed), ("/images/load", docker_archive(packed))):
        called = daemon.call("POST", target, body)
        assert f"the layer is larger than {256 << 20} bytes unpacked" in called.body.decode(), called.body
        assert daemon.call("GET", "/images/bomb/json").status == 404
    kept = sum(path.lstat().st_size for path in daemon.data_root.rglob("*") if path.is_file() and "zeros" in path.name)
    assert kept == 0
    assert len(daemon.call("GET", "/images/json").ok()) == 1


DEEP = '{"label":' + "[" * 10_000 + "]" * 10_000 + "}"


@pytest.mark.parametrize(
    ("method", "target", "text"),
    [
        ("GET", f"/containers/json?filters={quote(DEEP)}", "invalid filter"),
        ("GET", "/events?until=1&since=" + "9" * 5000, "value out of range"),
        ("POST", "/images/create?fromSrc=[]", "not an http or https URL"),
        ("POST", f"/images/create?fromSrc={quote('http://[::1')}", "not an http or https URL"),
        ("POST", f"/images/create?fromSrc={quote('http://h:999999/')}", "not an http or https URL"),
        ("POST", "/images/create?fromSrc=%00", "null byte"),
    ],
)
def test_what_a_query_cannot_say(engine: Daemon, method: str, target: str, text: str) -> None:
    refused(engine.call(method, target), 400, text)


def test_a_dockerfile_outside_of_the_context(engine: Daemon) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("Dockerfile"))
    for path in ("../..", "../../etc/passwd"):
        refused(engine.call("POST", f"/build?dockerfile={path}", context.getvalue()), 400, f"Cannot locate specified Dockerfile: {path}")


def test_figures_and_paths_that_no_container_has(engine: Daemon, name: str) -> None:
    engine.call("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["true"]}).ok()
    try:
        assert engine.call("GET", f"/containers/{name}/logs?stdout=1&tail=" + "9" * 5000).status == 200, "more than there are: all"
        refused(engine.call("GET", f"/containers/{name}/logs?stdout=1&since=" + "9" * 5000), 400, "value out of range")
        refused(engine.call("GET", f"/containers/{name}/archive?path=%00"), 400, "null byte")
    finally:
        engine.call("DELETE", f"/containers/{name}?force=1").ok()
