"""`--provenance`: kept with the image, laid out as BuildKit does when it is pushed, found by Docker's own tools."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.registry_process import registry_beside

pytestmark = pytest.mark.privileged


@pytest.fixture
def registry(engine: Daemon) -> Iterator[str]:
    import_base(engine)
    with registry_beside(engine.namespace_pid) as host:
        yield host


def pushed(engine: Daemon, folder: Path, tag: str, *flags: str) -> Said:
    (folder / "Dockerfile").write_text("FROM corpus/base AS one\nARG WORD=x\nRUN --mount=type=secret,id=s echo $WORD > /x\n")
    (folder / "secret").write_text("sesame-9917")
    words = ("--push", "-t", tag, "--build-arg", "WORD=given", "--build-arg", "HTTP_PROXY=http://u:sesame-9917@p:1")
    said = corten(engine.host, "build", "-q", *words, "--secret", f"id=s,src={folder}/secret", *flags, str(folder))
    assert said.status == 0, said.err
    return said


def fetched(engine: Daemon, registry: str, path: str) -> Any:
    accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*"
    words = ["nsenter", f"--net=/proc/{engine.namespace_pid}/ns/net", "curl", "-sSf", "-H", accept, f"http://{registry}/v2/{path}"]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def test_layout(engine: Daemon, registry: str, tmp_path: Path) -> None:
    pushed(engine, tmp_path, f"{registry}/app:min", "--provenance", "true")
    index = fetched(engine, registry, "app/manifests/min")
    image, attestation = index["manifests"]
    assert image["platform"]["os"] == "linux"
    assert attestation["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert attestation["annotations"] == {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    manifest = fetched(engine, registry, f"app/manifests/{attestation['digest']}")
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.in-toto+json"
    assert layer["annotations"] == {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
    config = fetched(engine, registry, f"app/blobs/{manifest['config']['digest']}")
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    statement = fetched(engine, registry, f"app/blobs/{layer['digest']}")
    assert statement["subject"][0]["digest"] == {"sha256": image["digest"].removeprefix("sha256:")}
    predicate = statement["predicate"]
    assert predicate["materials"][0]["uri"] == "pkg:docker/corpus/base@latest?platform=linux%2Famd64"
    assert predicate["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}
    assert "args" not in predicate["invocation"]["parameters"]
    assert "buildConfig" not in predicate


def test_all_of_it_without_secrets(engine: Daemon, registry: str, tmp_path: Path) -> None:
    pushed(engine, tmp_path, f"{registry}/app:max", "--attest", "type=provenance,mode=max,builder-id=https://ci.example/7")
    index = fetched(engine, registry, "app/manifests/max")
    manifest = fetched(engine, registry, f"app/manifests/{index['manifests'][1]['digest']}")
    predicate = fetched(engine, registry, f"app/blobs/{manifest['layers'][0]['digest']}")["predicate"]
    assert predicate["builder"] == {"id": "https://ci.example/7"}
    assert predicate["invocation"]["parameters"]["args"] == {"build-arg:WORD": "given"}
    assert base64.b64decode(predicate["buildConfig"]["dockerfile"]).startswith(b"FROM corpus/base AS one")
    assert predicate["buildConfig"]["steps"][0]["name"].startswith("RUN --mount=type=secret")
    assert "sesame" not in json.dumps(predicate)


def test_dockers_tools_find_it_and_a_pull_works(engine: Daemon, registry: str, tmp_path: Path) -> None:
    pushed(engine, tmp_path, f"{registry}/app:seen", "--provenance", "mode=max")
    words = ["nsenter", f"--net=/proc/{engine.namespace_pid}/ns/net", "docker", "buildx", "imagetools", "inspect", f"{registry}/app:seen"]
    done = subprocess.run([*words, "--format", "{{json .Provenance}}"], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["SLSA"]["invocation"]["parameters"]["args"] == {"build-arg:WORD": "given"}
    engine.call("DELETE", f"/images/{registry}/app:seen?force=1").ok()
    assert engine.call("POST", f"/images/create?fromImage={registry}/app&tag=seen").body.count(b"Downloaded newer image") == 1


def test_pushed_again_it_is_the_same_index(engine: Daemon, registry: str, tmp_path: Path) -> None:
    pushed(engine, tmp_path, f"{registry}/app:one", "--provenance", "true")
    engine.call("POST", f"/images/{registry}/app:one/tag?repo={registry}/other&tag=two").ok()
    words = ["docker", "-H", engine.host, "push", f"{registry}/other:two"]
    subprocess.run(words, check=True, capture_output=True)
    first, second = (fetched(engine, registry, path)["manifests"][0] for path in ("app/manifests/one", "other/manifests/two"))
    assert first == second
    assert len(fetched(engine, registry, "other/manifests/two")["manifests"]) == 2


def test_none_unless_asked_for(engine: Daemon, registry: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN echo plain > /plain\n")
    assert corten(engine.host, "build", "-q", "--push", "-t", f"{registry}/plain:1", str(tmp_path)).status == 0
    assert "manifests" not in fetched(engine, registry, "plain/manifests/1")


def predicate(engine: Daemon, registry: str, tag: str) -> Any:
    index = fetched(engine, registry, f"app/manifests/{tag}")
    manifest = fetched(engine, registry, f"app/manifests/{index['manifests'][1]['digest']}")
    return fetched(engine, registry, f"app/blobs/{manifest['layers'][0]['digest']}")


def test_version_one_has_buildkits_fields(engine: Daemon, registry: str, tmp_path: Path) -> None:
    pushed(engine, tmp_path, f"{registry}/app:v1", "--target", "one", "--provenance", "mode=min,version=v1,reproducible=true")
    statement = predicate(engine, registry, "v1")
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    made, run = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    assert set(made) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert made["externalParameters"]["configSource"] == {"path": "Dockerfile"}
    locals_ = [{"name": "context"}, {"name": "dockerfile"}]
    assert made["externalParameters"]["request"] == {"frontend": "dockerfile.v0", "args": {"target": "one"}, "locals": locals_}
    assert made["internalParameters"] == {"builderPlatform": "linux/amd64"}
    assert run["metadata"]["buildkit_completeness"] == {"request": False, "resolvedDependencies": False}
    assert run["metadata"]["buildkit_reproducible"] is True


def test_the_most_names_secrets_and_shows_the_dockerfile_where_docker_does(engine: Daemon, registry: str, tmp_path: Path) -> None:
    pushed(engine, tmp_path, f"{registry}/app:most", "--provenance", "mode=max")
    found = predicate(engine, registry, "most")["predicate"]
    assert found["invocation"]["parameters"]["secrets"] == [{"id": "s", "optional": True}]
    (info,) = found["metadata"]["https://mobyproject.org/buildkit@v1#metadata"]["source"]["infos"]
    assert base64.b64decode(info["data"]).startswith(b"FROM corpus/base AS one")
    assert found["metadata"]["completeness"] == {"parameters": True, "environment": True, "materials": False}
