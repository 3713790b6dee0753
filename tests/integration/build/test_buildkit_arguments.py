"""BuildKit's own build arguments (`BUILDKIT_…`): each steers the build as its reference says, held against BuildKit 0.25 by hand."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]


@pytest.fixture
def build(engine: Daemon, tmp_path: Path) -> Build:
    import_base(engine)
    context = tmp_path / "context"
    context.mkdir()

    def run(dockerfile: str, *flags: str, status: int = 0) -> Said:
        (context / "Dockerfile").write_text(dockerfile)
        said = corten(engine.host, "build", "--progress", "plain", *flags, str(context))
        assert said.status == status, said.err
        return said

    return run


def test_host_name_of_steps(build: Build) -> None:
    dockerfile = "FROM corpus/base\nARG BUILDKIT_SANDBOX_HOSTNAME\nRUN echo I am $(hostname), $BUILDKIT_SANDBOX_HOSTNAME\n"
    assert "I am myhost, myhost" in build(dockerfile, "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=myhost").err
    assert "I am buildkitsandbox," in build(dockerfile).err
    plain = "FROM corpus/base\nRUN hostname\n"
    build(plain)
    assert "other" in build(plain, "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=other").err, "it is a part of the cache key"


def test_cache_mounts_have_a_namespace(build: Build, engine: Daemon) -> None:
    dockerfile = (
        "FROM corpus/base\nRUN --mount=type=cache,id=shared-name,target=/c date > /c/$(cat /proc/sys/kernel/random/uuid); ls /c | wc -l\n"
    )
    for namespace in ("one", "two"):
        said = build(dockerfile, "--no-cache", "--build-arg", f"BUILDKIT_CACHE_MOUNT_NS={namespace}")
        assert any(line.endswith(" 1") for line in said.err.splitlines())
    known = corten(engine.host, "cache", "ls").out
    assert "one/shared-name" in known
    assert "two/shared-name" in known


def test_inline_cache(build: Build, engine: Daemon, name: str) -> None:
    build("FROM corpus/base\nRUN echo x > /x\n", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "-t", name)
    with tarfile.open(fileobj=io.BytesIO(engine.call("GET", f"/images/{name}/get").body)) as tar:
        manifest = json.loads(tar.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
        config = json.loads(tar.extractfile(manifest["Config"]).read())  # type: ignore[union-attr]
    assert "moby.buildkit.cache.v0" in config


def test_frontend(build: Build) -> None:
    build("# syntax=somebody/else\nFROM scratch\nLABEL a=b\n", "--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile:1")
    said = build("FROM scratch\nLABEL a=b\n", "--build-arg", "BUILDKIT_SYNTAX=somebody/else", status=1)
    assert "the frontend 'somebody/else' cannot be run" in said.err


def test_form_for_several_platforms(build: Build, tmp_path: Path) -> None:
    dockerfile = "FROM scratch\nCOPY Dockerfile /f\n"
    build(dockerfile, "--build-arg", "BUILDKIT_MULTI_PLATFORM=1", "-o", f"{tmp_path}/out")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    assert (next((tmp_path / "out").glob(f"linux_{machine}*")) / "f").exists()
    build(dockerfile, "--build-arg", "BUILDKIT_MULTI_PLATFORM=0", "-o", f"{tmp_path}/flat")
    assert (tmp_path / "flat" / "f").exists()
    said = build(dockerfile, "--build-arg", "BUILDKIT_MULTI_PLATFORM=foo", status=1)
    assert "failed to solve: invalid boolean value for multi-platform: foo" in said.err


def test_name_of_the_build_changes_nothing(build: Build) -> None:
    first = build("FROM scratch\nLABEL a=c\n", "-q").out
    assert build("FROM scratch\nLABEL a=c\n", "-q", "--build-arg", "BUILDKIT_BUILD_NAME=mine").out == first
