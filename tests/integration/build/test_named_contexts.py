"""`--build-context` as what FROM begins with: a folder, an OCI layout."""

import json
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.images import busybox_tar

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]


@pytest.fixture
def build(engine: Daemon, tmp_path: Path, name: str) -> Build:
    import_base(engine)
    context = tmp_path / "context"
    context.mkdir()

    def run(dockerfile: str, *flags: str, fails: bool = False) -> Said:
        (context / "Dockerfile").write_text(dockerfile)
        said = corten(engine.host, "build", "--reproducible", "--progress", "plain", "-t", name, *flags, str(context))
        assert (said.status != 0) == fails, said.err
        return said

    return run


def shown(engine: Daemon, tag: str, *command: str) -> str:
    words = ["docker", "-H", engine.host, "run", "--rm", tag, *command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_a_folder(build: Build, engine: Daemon, name: str, tmp_path: Path) -> None:
    """Its files are the root and root's, as BuildKit has it; the same content is the same layers."""
    folder = tmp_path / "base"
    folder.mkdir()
    with tarfile.open(fileobj=BytesIO(busybox_tar())) as tar:
        tar.extractall(folder, filter="fully_trusted")
    (folder / "data").write_text("data\n")
    (folder / "data").chmod(0o640)
    dockerfile = "FROM start AS one\nRUN touch /made\nFROM start\nCOPY --from=one /made /made\nCOPY --from=start /data /again\n"
    said = build(dockerfile, "--build-context", f"start={folder}")
    assert shown(engine, name, "stat", "-c", "%a %u", "/data", "/made", "/again") == "640 0\n644 0\n640 0\n"
    config = engine.call("GET", f"/images/{name}/json").json()
    assert config["Config"]["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    assert "ERROR" not in said.err
    build(dockerfile, "--build-context", f"start={folder}", "--no-cache")
    assert engine.call("GET", f"/images/{name}/json").json()["RootFS"] == config["RootFS"]


def test_a_layout(build: Build, engine: Daemon, name: str, tmp_path: Path) -> None:
    saved = engine.call("GET", "/images/corpus/base/get").body
    with tarfile.open(fileobj=BytesIO(saved)) as tar:
        tar.extractall(tmp_path / "layout", filter="fully_trusted")
    (tmp_path / "layout" / "manifest.json").unlink()
    digest = json.loads((tmp_path / "layout" / "index.json").read_text())["manifests"][0]["digest"]
    before = engine.call("GET", "/images/json").json()
    for form in ("", ":latest", f"@{digest}"):
        build("FROM start\nRUN echo x > /x\n", "--build-context", f"start=oci-layout://{tmp_path}/layout{form}", "--no-cache")
        assert shown(engine, name, "cat", "/x") == "x\n"
    after = engine.call("GET", "/images/json").json()
    assert {i["Id"] for i in after} - {i["Id"] for i in before} == {engine.call("GET", f"/images/{name}/json").json()["Id"]}


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("oci-layout://{}/nothing:latest", "could not be resolved: No such file or directory"),
        ("oci-layout://{}/layout:nope", "no nope in"),
        ("oci-layout://{}/broken", "is no index"),
        ("target://x", "is of a kind that is not supported"),
    ],
)
def test_refused(build: Build, tmp_path: Path, where: str, complaint: str) -> None:
    for folder, content in (("layout", '{"manifests": []}'), ("broken", "[]")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.json").write_text(content)
    assert complaint in build("FROM start\n", "--build-context", f"start={where.format(tmp_path)}", fails=True).err
