"""Archives as other tools write them load and run, and what we save loads and runs elsewhere (`--reference HOST`)."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from corten.store.streams import zstd
from tests.support.clients import DockerCli
from tests.support.images import busybox_tar
from tests.unit.store.tarballs import Member, tarball

pytestmark = pytest.mark.privileged
TOP = tarball(
    [Member("hello", data=b"hello from the top\n"), Member("etc/.wh.group"), Member("etc/.wh..wh..opq"), Member("etc/own", data=b"1")]
)
Files = Mapping[str, bytes]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def config() -> bytes:
    layers = [f"sha256:{sha256(busybox_tar())}", f"sha256:{sha256(TOP)}"]
    run = {"Cmd": ["sh", "-c", "cat /hello; cat /etc/own; ls -A /etc | grep -c passwd || true"]}
    return json.dumps({"architecture": "amd64", "os": "linux", "config": run, "rootfs": {"type": "layers", "diff_ids": layers}}).encode()


def docker_manifest(name: str, config_name: str, *layers: str) -> bytes:
    return json.dumps([{"Config": config_name, "RepoTags": [f"{name}:v1"], "Layers": layers}]).encode()


def old_docker(name: str) -> Files:
    """Docker up to 24: a folder for each layer, plain tars."""
    files = {f"{n * 64}/layer.tar": data for n, data in (("a", busybox_tar()), ("b", TOP))}
    image = f"{sha256(config())}.json"
    return {**files, image: config(), "manifest.json": docker_manifest(name, image, *files), "repositories": b"{}"}


def podman(name: str) -> Files:
    """podman save: layers named by diff id."""
    files = {f"{sha256(data)}.tar": data for data in (busybox_tar(), TOP)}
    image = f"{sha256(config())}.json"
    return {**files, image: config(), "manifest.json": docker_manifest(name, image, *files)}


def kaniko(name: str) -> Files:
    """kaniko's --tar-path and crane's: packed layers named by their digest, the config as `sha256:…`."""
    files = {f"{sha256(packed(data))}.tar.gz": packed(data) for data in (busybox_tar(), TOP)}
    image = f"sha256:{sha256(config())}"
    return {image: config(), **files, "manifest.json": docker_manifest(name, image, *files)}


def layout(name: str, pack: Callable[[bytes], bytes], suffix: str, annotation: str) -> Files:
    blobs = [pack(data) for data in (busybox_tar(), TOP)]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(config(), "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(blob, f"application/vnd.oci.image.layer.v1.tar{suffix}") for blob in blobs],
        }
    ).encode()
    top = {
        **descriptor(manifest, "application/vnd.oci.image.manifest.v1+json"),
        "annotations": {annotation: f"docker.io/library/{name}:v1"},
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()
    named = {f"blobs/sha256/{sha256(data)}": data for data in (config(), manifest, *blobs)}
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **named}


def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256(data)}", "size": len(data)}


FORMATS: dict[str, Callable[[str], Files]] = {
    "old-docker": old_docker,
    "podman": podman,
    "kaniko": kaniko,
    "buildah-gzip": lambda name: layout(name, packed, "+gzip", "org.opencontainers.image.ref.name"),
    "buildah-zstd": lambda name: layout(name, zstd.compress, "+zstd", "org.opencontainers.image.ref.name"),
    "buildx": lambda name: layout(name, lambda data: data, "", "io.containerd.image.name"),
}


@pytest.fixture
def cli(docker_cli: DockerCli, name: str) -> Iterator[DockerCli]:
    yield docker_cli
    docker_cli("rmi", "-f", f"{name}:v1")


@pytest.mark.parametrize("kind", FORMATS)
def test_other_tools_archives_load_and_run(cli: DockerCli, name: str, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(tarball([Member(file, data=data) for file, data in FORMATS[kind](name).items()]))
    assert cli("load", "-i", str(path), check=True).stdout == f"Loaded image: {name}:v1\n"
    assert cli("run", "--rm", f"{name}:v1", check=True).stdout == "hello from the top\n10\n"
    assert cli("inspect", "-f", "{{.Id}}", f"{name}:v1", check=True).stdout.strip() == f"sha256:{sha256(config())}"


def test_what_we_save_loads_and_runs_in_the_reference_engine(cli: DockerCli, name: str, tmp_path: Path, reference_host: str) -> None:
    path, other = tmp_path / "image.tar", DockerCli(reference_host, tmp_path)
    path.write_bytes(tarball([Member(file, data=data) for file, data in old_docker(name).items()]))
    cli("load", "-i", str(path), check=True)
    cli("save", "-o", str(tmp_path / "ours.tar"), f"{name}:v1", check=True)
    try:
        other("load", "-i", str(tmp_path / "ours.tar"), check=True)
        shown = "{{.Id}} {{.RootFS.Layers}} {{.Size}}"
        assert other("image", "inspect", "-f", "{{.Id}}", f"{name}:v1", check=True).stdout.strip() == f"sha256:{sha256(config())}"
        assert other("image", "inspect", "-f", shown, f"{name}:v1").stdout == cli("image", "inspect", "-f", shown, f"{name}:v1").stdout
        ran = other("run", "--rm", "--network", "none", f"{name}:v1", check=True).stdout
        assert ran.startswith("hello from the top\n1")
        other("save", "-o", str(tmp_path / "theirs.tar"), f"{name}:v1", check=True)
    finally:
        other("rmi", "-f", f"{name}:v1")
    cli("rmi", f"{name}:v1", check=True)
    assert f"{name}:v1" in cli("load", "-i", str(tmp_path / "theirs.tar"), check=True).stdout
    assert cli("run", "--rm", f"{name}:v1", check=True).stdout == "hello from the top\n10\n"
