"""`--output` in every form: what arrives, as whom, under which names, and what the engine keeps. Held against BuildKit 0.25 by hand."""

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.registry_process import registry_beside

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]
DOCKERFILE = """FROM corpus/base AS made
RUN mkdir -p /d/e && echo hi > /d/f && chown 12:13 /d/f && chmod 4755 /d/f && ln -s f /d/l && ln /d/f /d/h && mkfifo /d/p && chmod 1777 /d/e
FROM scratch
COPY --from=made /d /
COPY --chown=5:6 Dockerfile /x/
"""


@pytest.fixture
def build(engine: Daemon, tmp_path: Path) -> Build:
    import_base(engine)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)

    def run(*flags: str, fails: bool = False) -> Said:
        said = corten(engine.host, "build", "-q", *flags, str(context))
        assert (said.status != 0) == fails, said.err
        return said

    return run


def names(engine: Daemon) -> list[str]:
    return sorted(tag for image in engine.call("GET", "/images/json").json() for tag in image["RepoTags"] or ["dangling"])


def documents(archive: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {name: json.loads(tar.extractfile(name).read()) for name in tar.getnames() if name.endswith(".json")}  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["type=local,dest={}", "{}"])
def test_folder(build: Build, engine: Daemon, tmp_path: Path, form: str) -> None:
    """The files are the caller's, as BuildKit's client writes them; modes and links stay."""
    folder, before = tmp_path / "out", names(engine)
    assert build("-o", form.format(folder)).out == "\n"
    found = {path.name: path.lstat() for path in folder.rglob("*")}
    assert {name: stat.filemode(s.st_mode) for name, s in found.items()} == {
        "e": "drwxrwxrwt", "f": "-rwsr-xr-x", "h": "-rwsr-xr-x", "l": "lrwxrwxrwx", "p": "prw-r--r--", "x": "drwxr-xr-x",
        "Dockerfile": "-rw-r--r--",
    }  # fmt: skip
    assert {(s.st_uid, s.st_gid) for s in found.values()} == {(os.getuid(), os.getgid())}
    assert found["f"].st_ino == found["h"].st_ino
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert names(engine) == before


def test_tar(build: Build, engine: Daemon, tmp_path: Path) -> None:
    """Owners as in the image, hard links as such. On stdout it is the same."""
    build("-o", f"type=tar,dest={tmp_path}/f.tar")
    with tarfile.open(tmp_path / "f.tar") as tar:
        found = {m.name.rstrip("/"): (m.uid, m.gid, f"{m.mode:o}", m.linkname) for m in tar}
    assert found == {
        "e": (0, 0, "1777", ""), "f": (12, 13, "4755", ""), "h": (12, 13, "4755", "f"), "l": (0, 0, "777", "f"),
        "p": (0, 0, "644", ""), "x": (5, 6, "755", ""), "x/Dockerfile": (5, 6, "644", ""),
    }  # fmt: skip
    command = [sys.executable, "-m", "corten.cli.main", "build", "-q", "-o", "-", str(tmp_path / "context")]
    environment = {**os.environ, "DOCKER_HOST": engine.host}
    piped = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert piped.stdout.removesuffix(b"\n") == (tmp_path / "f.tar").read_bytes(), piped.stderr


def test_archives(build: Build, engine: Daemon, tmp_path: Path) -> None:
    """Under the build's names, which the engine does not get for it; another engine loads either."""
    before = names(engine)
    build("-o", f"type=docker,dest={tmp_path}/d.tar", "-o", f"type=oci,dest={tmp_path}/o.tar", "-t", "out/app:1", "-t", "app")
    assert names(engine) == before
    docker = documents((tmp_path / "d.tar").read_bytes())
    oci = documents((tmp_path / "o.tar").read_bytes())
    assert docker["manifest.json"][0]["RepoTags"] == ["out/app:1", "app:latest"]
    assert list(oci) == ["index.json"]
    noted = [entry["annotations"] for entry in oci["index.json"]["manifests"]]
    assert [n["io.containerd.image.name"] for n in noted] == ["docker.io/out/app:1", "docker.io/library/app:latest"]
    assert [n["org.opencontainers.image.ref.name"] for n in noted] == ["1", "latest"]
    for name in ("d.tar", "o.tar"):
        assert engine.call("POST", "/images/load", (tmp_path / name).read_bytes()).status == 200
        assert {"out/app:1", "app:latest"} <= set(names(engine))
        engine.call("DELETE", "/images/out%2Fapp:1").ok()
        engine.call("DELETE", "/images/app").ok()


def test_oci_layout_as_a_folder(build: Build, tmp_path: Path) -> None:
    build("-o", f"type=oci,tar=false,dest={tmp_path}/layout")
    assert json.loads((tmp_path / "layout" / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    manifest = json.loads((tmp_path / "layout" / "index.json").read_text())["manifests"][0]
    assert (tmp_path / "layout" / "blobs" / manifest["digest"].replace(":", "/")).stat().st_size == manifest["size"]


def test_store(build: Build, engine: Daemon) -> None:
    """A tag goes before an output's own name; several names are quoted."""
    build("-o", "type=docker,name=own/name", "-t", "tagged:1")
    assert "tagged:1" in names(engine)
    assert "own/name:latest" not in names(engine)
    build("-o", '"type=image","name=two/a:1,two/b"')
    assert {"two/a:1", "two/b:latest"} <= set(names(engine))
    before = names(engine)
    assert build("-o", "type=cacheonly", "-t", "nothing").out == "\n"
    assert names(engine) == before


def test_several(build: Build, engine: Daemon, tmp_path: Path) -> None:
    said = build("-o", str(tmp_path / "tree"), "-o", f"type=tar,dest={tmp_path}/t.tar", "--load", "-t", "several")
    assert said.out.startswith("sha256:")
    assert (tmp_path / "tree" / "f").exists()
    assert (tmp_path / "t.tar").exists()
    assert "several:latest" in names(engine)


def test_registry(build: Build, engine: Daemon) -> None:
    with registry_beside(engine.namespace_pid) as host:
        build("-o", f"type=registry,name={host}/pushed:1")
        build("-o", f"type=image,name={host}/pushed:2,push=true")
        build("--push", "-t", f"{host}/pushed:3")
        for tag in (1, 2, 3):
            assert f"{host}/pushed:{tag}" in names(engine)
            engine.call("DELETE", f"/images/{host}/pushed:{tag}").ok()
            engine.call("POST", f"/images/create?fromImage={host}/pushed&tag={tag}")
            assert f"{host}/pushed:{tag}" in names(engine)


def test_what_a_form_is_anyway(build: Build, engine: Daemon, tmp_path: Path) -> None:
    """Options that ask for what is done; a store that is not to keep the image; a folder for the platform."""
    asked = "unpack=false,rewrite-timestamp=true,compression=gzip,oci-mediatypes=false,push-by-digest=false,name-canonical=0"
    build("-o", f"type=image,name=anyway/a,{asked}")
    assert "anyway/a:latest" in names(engine)
    build("-o", f"type=oci,dest={tmp_path}/o.tar,oci-mediatypes=true,compression=uncompressed,force-compression=true")
    before = names(engine)
    build("-o", "type=image,store=false,name=anyway/b")
    assert names(engine) == before
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    build("-o", f"type=local,dest={tmp_path}/split,platform-split=true,mode=copy")
    assert [path.name.partition("_")[2][:5] for path in (tmp_path / "split").iterdir()] == [machine]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("type=registry", "tag is needed when pushing to registry"),
        ("type=local", "dest is required for local exporter"),
        ("type=local,dest=-", "dest cannot be stdout for local exporter"),
        ("type=foo", 'exporter "foo" could not be found'),
        ("type=tar,dest={}", "destination file {} is a directory"),
        ("type=local,dest={}/context/Dockerfile", "destination directory {}/context/Dockerfile is a file"),
        ("type=tar,dest={}/none/x", "failed to open open {}/none/x: no such file or directory"),
        ("x,y", "invalid value x"),
        ("type=image,push=maybe", "invalid value 'maybe' for push"),
        ("type=image,compression=zstd", "type=image with compression=zstd is not supported"),
        ("type=image,annotation.a=b", "annotation.a is not supported"),
        ("type=image,annotation-manifest.a=b", "annotation-manifest.a is not supported"),
        ("type=image,compression=estargz", "type=image with compression=estargz is not supported"),
        ("type=oci,dest={}/x,compression=gzip", "type=oci with compression=gzip is not supported"),
        ("type=image,compression-level=3", "compression-level is not supported"),
        ("type=image,dangling-name-prefix=x", "dangling-name-prefix is not supported"),
        ("type=image,force-compression=true", "force-compression=true is not supported"),
        ("type=image,name-canonical=true", "name-canonical=true is not supported"),
        ("type=image,oci-mediatypes=true", "oci-mediatypes=true is not supported"),
        ("type=oci,dest={}/x,oci-mediatypes=false", "oci-mediatypes=false is not supported"),
        ("type=image,push-by-digest=true", "push-by-digest=true is not supported"),
        ("type=registry,store=false,name=x", "push=true with store=false is not supported"),
        ("type=oci,dest={}/x,push=true", "type=oci with push=true is not supported"),
        ("type=local,dest={}/x,mode=delete", "mode is not supported"),
        ("type=image,foo=bar", "foo is not supported"),
    ],
)
def test_refused_before_anything_is_built(build: Build, tmp_path: Path, wanted: str, complaint: str) -> None:
    assert complaint.format(tmp_path) in build("-o", wanted.format(tmp_path), fails=True).err
