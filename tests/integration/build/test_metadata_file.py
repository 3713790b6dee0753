"""`--metadata-file`, held against what buildx writes for the same outputs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.build.attested import fetcher
from tests.integration.build.building import import_base
from tests.integration.build.test_sbom import built, entering, registry
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
__all__ = ["registry"]
INDEX, OCI, DOCKER = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@pytest.fixture
def told(engine: Daemon, tmp_path: Path) -> Any:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nARG WORD\nRUN echo $WORD > /x\n")

    def build(*words: str) -> dict[str, Any]:
        built(engine, "--build-arg", "WORD=given", *words, "--metadata-file", f"{tmp_path}/meta", str(tmp_path))
        return dict(json.loads((tmp_path / "meta").read_text()))

    return build


def test_pushed_alone_and_with_attestations(engine: Daemon, registry: str, told: Any) -> None:
    fetch = fetcher(registry, entering(engine))
    found = told("--push", "-t", f"{registry}/app:1", "-t", f"{registry}/app:2")
    manifest = json.loads(fetch("app/manifests/1"))
    assert found["containerimage.config.digest"] == manifest["config"]["digest"]
    assert found["containerimage.descriptor"]["mediaType"] == DOCKER
    assert found["containerimage.descriptor"]["digest"] == found["containerimage.digest"]
    assert json.loads(fetch(f"app/manifests/{found['containerimage.digest']}")) == manifest
    assert found["image.name"] == f"{registry}/app:1,{registry}/app:2"
    found = told("--push", "-t", f"{registry}/app:3", "--sbom=true")
    assert found["containerimage.descriptor"]["mediaType"] == INDEX
    assert "containerimage.config.digest" not in found
    assert len(json.loads(fetch(f"app/manifests/{found['containerimage.digest']}"))["manifests"]) == 2


def test_provenance_has_materials_and_no_arguments(told: Any) -> None:
    found = told("-t", "meta-here")["buildx.build.provenance"]
    assert set(found) == {"builder", "buildType", "materials", "invocation"}
    assert found["materials"][0]["uri"] == "pkg:docker/corpus/base@latest?platform=linux%2Famd64"
    assert "args" not in found["invocation"]["parameters"]
    most = told("-t", "meta-here", "--provenance", "mode=max")["buildx.build.provenance"]
    assert most["invocation"]["parameters"]["args"] == {"build-arg:WORD": "given"}
    assert set(told("-t", "meta-here", "--provenance", "version=v1")["buildx.build.provenance"]) == {"buildDefinition", "runDetails"}


def test_archives_and_folders(told: Any, tmp_path: Path) -> None:
    found = told("-o", f"type=oci,dest={tmp_path}/x.tar", "-t", "foo/bar:1")
    assert found["containerimage.descriptor"]["mediaType"] == OCI
    assert found["containerimage.config.digest"].startswith("sha256:")
    assert found["image.name"] == "docker.io/foo/bar:1"
    assert set(told("-o", "type=cacheonly")) == {"buildx.build.provenance"}
