"""Caches that travel: written by one engine, every step found by another that starts from nothing. Wrong ones are missed, and said."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.registry_process import registry_beside

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]
DOCKERFILE = """FROM corpus/base AS tools
RUN echo made > /tool && sleep 0.01
FROM corpus/base
ENV A=1
WORKDIR /app
COPY file .
RUN true
RUN cat file > copy && echo $A >> copy
COPY --from=tools /tool /tool
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "file").write_text("text\n")
    for path in (folder / "Dockerfile", folder / "file", folder):
        os.utime(path, (1577934245, 1577934245))  # whole seconds: a tar tells no more, and copied files keep their times
    return folder


@pytest.fixture
def build(daemon: Daemon, context: Path) -> Build:
    import_base(daemon)

    def run(*flags: str, fails: bool = False, tag: str = "app") -> Said:
        said = corten(daemon.host, "build", "--progress", "plain", "-t", tag, *flags, str(context))
        assert (said.status != 0) == fails, said.err
        return said

    return run


@pytest.fixture
def registry(daemon: Daemon) -> Iterator[str]:
    with registry_beside(daemon.namespace_pid) as host:
        yield host


def steps(said: Said) -> dict[str, bool]:
    """Of each RUN and COPY whether it was cached."""
    names = {line.partition(" ")[0]: line for line in said.err.splitlines() if "] RUN" in line or "] COPY" in line}
    return {line.partition("] ")[2]: f"{number} CACHED" in said.err for number, line in names.items()}


def forget(daemon: Daemon) -> None:
    """As a new engine: no image of ours, no cache, no layer."""
    daemon.call("DELETE", "/images/app?force=1")
    daemon.call("POST", "/build/prune?all=1").ok()
    daemon.call("POST", "/corten/trash/empty").ok()
    layers = [path for path in (daemon.data_root / "layers").iterdir() if path.name != "empty"]
    assert len(layers) == 2, "busybox and the base"


@pytest.mark.parametrize("kind", ["registry", "local"])
def test_every_step_is_found_by_an_engine_that_has_nothing(build: Build, daemon: Daemon, registry: str, tmp_path: Path, kind: str) -> None:
    to, source = {
        "registry": (f"type=registry,ref={registry}/cache:main,mode=max", f"type=registry,ref={registry}/cache:main"),
        "local": (f"type=local,dest={tmp_path}/cache,mode=max", f"type=local,src={tmp_path}/cache"),
    }[kind]
    first = build("--cache-to", to)
    assert not any(steps(first).values())
    image = daemon.call("GET", "/images/app/json").json()["Id"]
    forget(daemon)
    assert not any(steps(build()).values())
    forget(daemon)
    again = build("--cache-from", source)
    assert all(steps(again).values()), again.err
    assert len(steps(again)) == 5
    assert daemon.call("GET", "/images/app/json").json()["Id"] == image
    if kind == "local":
        assert {p.stat().st_uid for p in (tmp_path / "cache").rglob("*")} == {os.getuid()}


def test_the_smaller_mode_holds_the_images_own_steps(build: Build, daemon: Daemon, registry: str) -> None:
    build("--cache-to", f"type=registry,ref={registry}/cache:min")
    forget(daemon)
    found = steps(build("--cache-from", f"{registry}/cache:min"))
    assert [name for name, cached in found.items() if not cached] == ["RUN echo made > /tool && sleep 0.01"]


def test_inside_the_image(build: Build, daemon: Daemon, registry: str) -> None:
    """It travels with a push; and an image here serves as well."""
    build("--cache-to", "type=inline", "--push", tag=f"{registry}/app:1")
    daemon.call("DELETE", f"/images/{registry}/app:1").ok()
    forget(daemon)
    found = steps(build("--cache-from", f"type=registry,ref={registry}/app:1", "--cache-to", "type=inline"))
    assert [name for name, cached in found.items() if not cached] == ["RUN echo made > /tool && sleep 0.01"]


def test_classic_builder_takes_runs_from_an_images_history(build: Build, daemon: Daemon, context: Path, tmp_path: Path) -> None:
    build()
    daemon.call("POST", "/images/app/tag?repo=old").ok()
    daemon.call("POST", "/build/prune?all=1").ok()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(context, ".")
    said = daemon.call("POST", f"/build?t=app&cachefrom={quote(json.dumps(['old', 'nothing:here']))}", out.getvalue()).body.decode()
    lines = [json.loads(line).get("stream", "") for line in said.splitlines()]
    runs = [n for n, line in enumerate(lines) if " : RUN cat file" in line]
    assert lines[runs[0] + 1] == " ---> Using cache\n"


def test_wrong_caches_are_missed_and_told(build: Build, daemon: Daemon, registry: str, tmp_path: Path) -> None:
    build("--cache-to", f"type=local,dest={tmp_path}/good,mode=max")
    forget(daemon)
    index = json.loads((tmp_path / "good/index.json").read_text())
    for name, damage, complaint in (
        ("no-index", lambda folder: (folder / "index.json").unlink(), "no such file"),
        ("no-json", lambda folder: (folder / "index.json").write_text("{"), "invalid manifest"),
        ("swapped", lambda folder: blob(folder, index["manifests"][0]["digest"]).write_text("{}"), "has other content"),
        ("huge", lambda folder: grow(folder / "index.json"), "the limit is 4194304"),
        ("link", lambda folder: link(folder / "index.json"), "Too many levels of symbolic links"),
        ("pipe", lambda folder: pipe(folder / "index.json"), "is not a regular file"),
        ("layers", break_layers, "importing cached layer"),
    ):
        folder = tmp_path / name
        shutil.copytree(tmp_path / "good", folder)
        damage(folder)
        said = build("--cache-from", f"type=local,src={folder}")
        assert complaint in said.err, name
        assert not any(steps(said).values()), name
        forget(daemon)
    assert "not found" in build("--cache-from", f"{registry}/nothing:1").err


def blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * (20 << 20))


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/shadow")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def break_layers(folder: Path) -> None:
    """Other bytes in every layer."""
    for path in (folder / "blobs/sha256").iterdir():
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])


def test_from_one_engine_to_another(build: Build, daemon: Daemon, registry: str, tmp_path: Path) -> None:
    """The second has another data root, and knows nothing but the base image. Layers of steps that it does not need stay away."""
    targets = (f"type=registry,ref={registry}/cache:max,mode=max", f"type=local,dest={tmp_path}/cache,mode=max", "type=inline")
    build("--push", *(word for target in targets for word in ("--cache-to", target)), tag=f"{registry}/app:1")
    layers = daemon.call("GET", f"/images/{registry}/app:1/json").json()["RootFS"]["Layers"]
    sources = {
        "registry": (f"type=registry,ref={registry}/cache:max", 5),
        "local": (f"type=local,src={tmp_path}/cache", 5),
        "inline": (f"type=registry,ref={registry}/app:1", 4),
    }
    for name, (source, cached) in sources.items():
        daemon.stop()
        daemon.data_root, daemon.exec_root = daemon.root / f"data-{name}", daemon.root / f"run-{name}"
        daemon.start()
        import_base(daemon)
        again = build("--cache-from", source, "--cache-to", "type=inline")
        assert (sum(steps(again).values()), len(steps(again))) == (cached, 5), again.err
        found = daemon.call("GET", "/images/app/json").json()["RootFS"]["Layers"]
        assert found[:-1] == layers[:-1], "the last one of an inline cache is made anew, at its base's new time"
        assert found == layers or name == "inline"
    daemon.call("DELETE", "/images/app?force=1").ok()
    daemon.call("POST", "/build/prune?all=1").ok()
    daemon.call("POST", "/corten/trash/empty").ok()
    part = build("--target", "tools", "--cache-from", sources["registry"][0])
    assert all(steps(part).values())
    assert len([path for path in (daemon.data_root / "layers").iterdir() if path.name != "empty"]) == 2, "the base and the tools' own"


STALLING = """
import sys
from tests.support.faulty_registry import Faults, running_registry
with running_registry(Faults(stall_after=30000)) as registry:
    print(registry.host, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("step", ["COPY big /big", "RUN head -c 300000 /dev/urandom > /big"])
def test_who_goes_while_a_layer_is_fetched_ends_the_download(build: Build, daemon: Daemon, context: Path, step: str) -> None:
    """From a registry that never sends all of it."""
    (context / "big").write_bytes(os.urandom(300_000))
    (context / "Dockerfile").write_text(f"FROM corpus/base\n{step}\n")
    words = ["nsenter", f"--net=/proc/{daemon.namespace_pid}/ns/net", sys.executable, "-c", STALLING]
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as registry:
        assert registry.stdin is not None
        assert registry.stdout is not None
        cache = f"type=registry,ref={registry.stdout.readline().strip()}/cache:1"
        build("--cache-to", cache)
        forget(daemon)
        command = [sys.executable, "-m", "corten.cli.main", "build", "--progress", "plain", "--cache-from", cache, str(context)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as client:
            assert client.stderr is not None
            assert any("importing cached layer" in line for line in client.stderr)
            client.kill()
        deadline = time.monotonic() + 10
        while any((daemon.data_root / "tmp/work").iterdir()):
            assert time.monotonic() < deadline, "the build still has its context"
            time.sleep(0.02)
        registry.stdin.close()


FORMS = (
    "compression=zstd,compression-level=5",
    "compression=uncompressed",
    "compression=gzip,compression-level=9,force-compression=true",
    "image-manifest=false",
    "oci-mediatypes=false,compression=zstd",
)
INDEX, DOCKER_INDEX = "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"
START = {"zstd": b"\x28\xb5\x2f\xfd", "uncompressed": b"", "gzip": b"\x1f\x8b"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_written_and_read(build: Build, daemon: Daemon, registry: str, tmp_path: Path, form: str) -> None:
    """Two kinds of places, one build."""
    places = (f"type=local,dest={tmp_path}/cache", f"type=registry,ref={registry}/cache:form")
    build(*(word for place in places for word in ("--cache-to", f"{place},mode=max,{form}")))
    top = json.loads((tmp_path / "cache/index.json").read_text())["manifests"][0]
    wanted = INDEX if "image-manifest=false" in form else DOCKER_INDEX if "oci" in form else "application/vnd.oci.image.manifest.v1+json"
    assert top["mediaType"] == wanted
    inner = json.loads(blob(tmp_path / "cache", top["digest"]).read_text())
    layers = [d for d in inner.get("layers", inner.get("manifests")) if "cacheconfig" not in d["mediaType"]]
    kind = next((kind for kind in START if kind in form), "gzip")
    assert all(blob(tmp_path / "cache", d["digest"]).read_bytes().startswith(START[kind]) for d in layers)
    assert all((kind in d["mediaType"]) == (kind != "uncompressed") for d in layers)
    for source in (f"type=local,src={tmp_path}/cache", f"type=registry,ref={registry}/cache:form"):
        forget(daemon)
        again = build("--cache-from", source)
        assert all(steps(again).values()), again.err
        assert len(steps(again)) == 5


def test_tags_of_a_folder(build: Build, daemon: Daemon, context: Path, tmp_path: Path) -> None:
    """Each export replaces its own tag; the others stay, and share layers."""
    folder = f"{tmp_path}/cache"
    build("--cache-to", f"type=local,dest={folder},mode=max,tag=one")
    forget(daemon)
    (context / "file").write_text("other\n")
    build("--cache-to", f"type=local,dest={folder},mode=max,tag=two")
    build("--cache-to", f"type=local,dest={folder},mode=max,tag=two")
    tops = json.loads((tmp_path / "cache/index.json").read_text())["manifests"]
    assert [top["annotations"]["org.opencontainers.image.ref.name"] for top in tops] == ["one", "two"]
    forget(daemon)
    assert "holds no cache latest" in build("--cache-from", f"type=local,src={folder}").err
    forget(daemon)
    assert not all(steps(build("--cache-from", f"type=local,src={folder},tag=one")).values())
    forget(daemon)
    assert all(steps(build("--cache-from", f"type=local,src={folder},tag=two")).values())
    forget(daemon)
    assert all(steps(build("--cache-from", f"type=local,src={folder},digest={tops[1]['digest']}")).values())
    forget(daemon)
    both = ("--cache-from", f"type=local,src={folder},tag=one", "--cache-from", f"type=local,src={folder},tag=two")
    assert all(steps(build(*both)).values())


@pytest.mark.parametrize(
    ("flag", "value", "complaint"),
    [
        ("--cache-to", "type=gha", "--cache-to type=gha is not supported"),
        ("--cache-from", "type=s3,bucket=x", "--cache-from type=s3 is not supported"),
        ("--cache-to", "type=registry", "needs ref=REFERENCE"),
        ("--cache-to", "type=local", "needs dest=FOLDER"),
        ("--cache-to", "type=registry,ref=x,mode=most", 'invalid mode \'most\' of --cache-to: "min" or "max"'),
        ("--cache-to", "type=registry,ref=x,compression=estargz", "with compression=estargz is not supported"),
        ("--cache-to", "type=registry,ref=x,compression-level=11", "compression-level=11 of gzip: 0 to 9"),
        ("--cache-to", "type=registry,ref=x,compression=zstd,compression-level=-3", "compression-level=-3 of zstd: 0 to 22"),
        ("--cache-to", "type=registry,ref=x,oci-mediatypes=false,image-manifest=true", "image-manifest=true needs oci-mediatypes=true"),
        ("--cache-to", "type=registry,ref=x,reset=true", "with reset= is not supported"),
        ("--cache-from", "type=local,src=/x,digest=sha256:1", "digest"),
        ("--cache-to", "type=registry,ref=127.0.0.1:1/x", "connection refused"),
    ],
)
def test_refused(build: Build, flag: str, value: str, complaint: str) -> None:
    assert complaint.lower() in build(flag, value, fails=True).err.lower()


def test_a_failed_export_can_be_forgiven(build: Build, daemon: Daemon) -> None:
    build("--cache-to", "type=registry,ref=127.0.0.1:1/x,ignore-error=true")
    assert daemon.call("GET", "/images/app/json").status == 200
