"""`--sbom`: scanner images by BuildKit's protocol, and our own inventory; held against what BuildKit pushed (see `attested`)."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.build.attested import HERE, app_flags, fetcher, shape, write_app, write_scanner
from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.registry_process import registry_beside

pytestmark = pytest.mark.privileged
WEIGHTS = (64).to_bytes(8, "little") + b"{" + b" " * 63 + b"\0" * 100
STATUS = """Package: one
Status: install ok installed
Version: 1:2
Architecture: amd64

Package: gone
Version: 1
Status: deinstall ok config-files
"""
METADATA = "Metadata-Version: 2.4\nName: Some_Thing\nVersion: 1.2\nLicense-Expression: MIT OR Apache-2.0\n\nName: not this\n"


@pytest.fixture
def registry(engine: Daemon) -> Iterator[str]:
    import_base(engine)
    with registry_beside(engine.namespace_pid) as host:
        yield host


def built(engine: Daemon, *words: str, status: int = 0) -> Said:
    said = corten(engine.host, "build", "--progress", "plain", *words)
    assert said.status == status, said.err
    return said


def entering(engine: Daemon) -> list[str]:
    return ["nsenter", f"--net=/proc/{engine.namespace_pid}/ns/net"]


def scanner(engine: Daemon, registry: str, folder: Path, script: str = "", *, name: str = "scan") -> str:
    tag = f"{registry}/{name}:1"
    built(engine, "--push", "-t", tag, write_scanner(folder / name, script) if script else write_scanner(folder / name))
    return tag


def sboms(engine: Daemon, registry: str, repository: str, tag: str) -> list[dict[str, Any]]:
    """The predicates of the SBOMs that were pushed."""
    fetch = fetcher(registry, entering(engine))
    return [s["predicate"] for s in shape(fetch, repository, tag, registry)["statements"] if "spdx" in s["predicateType"]]


def test_a_scanner_gives_what_it_gives_buildkit(engine: Daemon, registry: str, tmp_path: Path) -> None:
    scanner(engine, registry, tmp_path)
    said = built(engine, *app_flags(registry, tmp_path), write_app(tmp_path / "app"))
    assert f"[linux/amd64] generating sbom using {registry}/scan:1" in said.err
    found = shape(fetcher(registry, entering(engine)), "app", "sbom", registry)
    assert found == json.loads((HERE / "attested.json").read_text())


def test_dockers_tools_read_both(engine: Daemon, registry: str, tmp_path: Path) -> None:
    scanner(engine, registry, tmp_path)
    built(engine, *app_flags(registry, tmp_path), write_app(tmp_path / "app"))
    words = [*entering(engine), "docker", "buildx", "imagetools", "inspect", f"{registry}/app:sbom", "--format"]
    for kind, key in (("SBOM", "SPDX"), ("Provenance", "SLSA")):
        done = subprocess.run([*words, f"{{{{json .{kind}}}}}"], capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[key]


def test_the_same_image_is_looked_at_once(engine: Daemon, registry: str, tmp_path: Path) -> None:
    tag = scanner(
        engine, registry, tmp_path, 'echo \'{"predicateType":"https://spdx.dev/Document","predicate":{}}\' > /run/out/sbom.spdx.json'
    )
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN echo x > /x\n")
    words = (f"--sbom=generator={tag}", str(tmp_path))
    assert "generating sbom" in built(engine, *words).err
    again = built(engine, *words).err
    number = next(line.split()[0] for line in again.splitlines() if "generating sbom" in line)
    assert f"{number} CACHED" in again


def test_an_inventory_of_our_own(engine: Daemon, registry: str, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "METADATA").write_text(METADATA)
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "Dockerfile").write_text(
        "FROM corpus/base\n"
        "COPY METADATA /usr/lib/python3/site-packages/Some_Thing-1.2.dist-info/METADATA\n"
        "COPY m.safetensors /models/m.safetensors\n"
        "COPY status /var/lib/dpkg/status\n"
        "RUN ln -s /etc/passwd /evil.gguf && ln -s / /loop && mkfifo /pipe.gguf\n"
        "RUN mkdir /a.dist-info && ln -s /pipe.gguf /a.dist-info/METADATA\n"
    )
    words = ("-t", f"{registry}/own:1", "--push", "--sbom=true", str(tmp_path))
    assert "[linux/amd64] generating sbom" in built(engine, *words).err
    (found,) = sboms(engine, registry, "own", "1")
    packages = {package["name"]: package for package in found["packages"]}
    assert set(packages) == {"sbom", "one", "Some_Thing", "m.safetensors"}
    assert packages["one"]["versionInfo"] == "1:2"
    assert packages["Some_Thing"]["licenseDeclared"] == "(MIT OR Apache-2.0)"
    assert packages["Some_Thing"]["externalRefs"][0]["referenceLocator"] == "pkg:pypi/some-thing@1.2"
    assert packages["m.safetensors"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": hashlib.sha256(WEIGHTS).hexdigest()}]
    assert f"{len(WEIGHTS)} bytes" in packages["m.safetensors"]["comment"]
    built(engine, "--no-cache", *words)
    (again,) = sboms(engine, registry, "own", "1")
    for sbom in (found, again):
        del sbom["creationInfo"]["created"]  # the image's, and each is dated when it was built
    assert again == found


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("exit 7", 'process "/bin/sh /scan.sh" did not complete successfully: exit code: 7'),
        ("echo nojson > /run/out/sbom.spdx.json", "cannot decode in-toto statement"),
        ("ln -s /etc/passwd /run/out/sbom.spdx.json", "sbom.spdx.json is not a regular file"),
        ("mkfifo /run/out/sbom.spdx.json", "sbom.spdx.json is not a regular file"),
        (
            'echo \'{"predicateType":"https://slsa.dev/provenance/v0.2"}\' > /run/out/a',
            "does not match required predicate type https://spdx.dev/Document",
        ),
        ("dd if=/dev/zero of=/run/out/a bs=1M count=33 2>/dev/null", "exceeds 33554432 bytes"),
    ],
)
def test_a_bad_scanner_fails_the_build(engine: Daemon, registry: str, tmp_path: Path, script: str, complaint: str) -> None:
    tag = scanner(engine, registry, tmp_path, script)
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN echo x > /x\n")
    assert complaint in built(engine, "-t", "never", f"--sbom=generator={tag}", str(tmp_path), status=1).err
    assert engine.call("GET", "/images/never/json").status == 404


def test_a_scanner_without_a_command_and_one_that_is_nowhere(engine: Daemon, registry: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    built(engine, "-t", "mute", str(tmp_path))
    assert "scanner mute does not have cmd" in built(engine, "--sbom=generator=mute", str(tmp_path), status=1).err
    assert "nowhere" in built(engine, f"--sbom=generator={registry}/nowhere:1", str(tmp_path), status=1).err


def test_archives_carry_them(engine: Daemon, registry: str, tmp_path: Path) -> None:
    """Through `save` and `load`, and through `--output type=oci`, to the same statements at a registry."""
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN echo x > /x\n")
    first, second = f"{registry}/saved:1", f"{registry}/saved:2"
    flags = ("--sbom=true", "--provenance", "mode=max", str(tmp_path))
    built(engine, "-t", first, *flags)
    archive = engine.call("GET", f"/images/get?names={first}").body
    built(engine, "-o", f"type=oci,dest={tmp_path}/out.tar", "-t", second, *flags)
    engine.call("DELETE", f"/images/{first}?force=1").ok()
    pushed = []
    for tag, data in ((first, archive), (second, (tmp_path / "out.tar").read_bytes())):
        engine.call("POST", "/images/load", data).ok()
        assert corten(engine.host, "push", tag).status == 0
        found = shape(fetcher(registry, entering(engine)), "saved", tag[-1], registry)
        pushed.append([statement["predicateType"] for statement in found["statements"]])
        (spdx,) = sboms(engine, registry, "saved", tag[-1])
        assert spdx["spdxVersion"] == "SPDX-2.3"
        engine.call("DELETE", f"/images/{tag}?force=1").ok()
    assert pushed == [["https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2"]] * 2


def test_listings_show_them_and_the_trash_keeps_them(engine: Daemon, registry: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN echo x > /x\n")
    tag = f"{registry}/shown:1"
    built(engine, "-t", tag, "--sbom=true", str(tmp_path))

    def attested() -> list[dict[str, Any]]:
        found = next(i for i in engine.call("GET", "/images/json?manifests=1").json() if tag in (i["RepoTags"] or ()))
        return [one for one in found["Manifests"] if one["Kind"] == "attestation"]

    (before,) = attested()
    assert before["Available"]
    assert before["Size"]["Content"] > 500
    assert corten(engine.host, "rmi", tag).status == 0
    assert corten(engine.host, "trash", "restore", tag).status == 0
    assert attested() == [before]
    assert corten(engine.host, "push", tag).status == 0
    (after,) = attested()
    assert after["Available"]
    assert after["Descriptor"]["digest"] != before["Descriptor"]["digest"]


def test_none_when_disabled(engine: Daemon, registry: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN echo x > /x\n")
    said = built(engine, "--push", "-t", f"{registry}/none:1", "--attest", "type=sbom", "--sbom=false", str(tmp_path))
    assert "sbom" not in said.err
    assert b"manifests" not in fetcher(registry, entering(engine))("none/manifests/1")


def test_scanning_leaves_nothing(engine: Daemon, registry: str, tmp_path: Path) -> None:
    scanner(engine, registry, tmp_path)
    built(engine, *app_flags(registry, tmp_path), write_app(tmp_path / "app"))
    assert not list((engine.data_root / "tmp" / "build").glob("*"))
    image = engine.call("GET", f"/images/{registry}/app:sbom/json").json()["Id"]
    engine.call("DELETE", f"/images/{registry}/app:sbom?force=1").ok()
    assert engine.call("GET", f"/images/{image}/json").status == 404
