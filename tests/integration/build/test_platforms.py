"""`--platform`: images of platforms that the machine is not, and several at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]
DOCKERFILE = """FROM --platform=$BUILDPLATFORM corpus/base AS made
ARG TARGETARCH
RUN echo $TARGETARCH > /arch
FROM scratch
COPY --from=made /arch /
"""


@pytest.fixture
def build(engine: Daemon, tmp_path: Path) -> Build:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)

    def run(*flags: str, status: int = 0) -> Said:
        said = corten(engine.host, "build", "-q", *flags, str(tmp_path))
        assert said.status == status, said.err
        return said

    return run


def test_a_foreign_image_without_foreign_steps(build: Build, engine: Daemon, name: str) -> None:
    build("--platform", "linux/riscv64", "-t", name)
    found = engine.call("GET", f"/images/{name}/json").json()
    assert (found["Os"], found["Architecture"]) == ("linux", "riscv64")


def test_several_into_a_folder(build: Build, tmp_path: Path) -> None:
    build("--platform", "linux/riscv64,linux/s390x,linux/riscv64", "-o", f"{tmp_path}/out")
    found = {path.parent.name: path.read_text() for path in (tmp_path / "out").rglob("arch")}
    assert found == {"linux_riscv64": "riscv64\n", "linux_s390x": "s390x\n"}
    build("--platform", "linux/riscv64,linux/s390x", "-o", f"type=local,dest={tmp_path}/flat,platform-split=false")
    assert (tmp_path / "flat" / "arch").read_text() == "s390x\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-t", "several"), "several platforms is not supported for images: Corten makes no index of them"),
        (("--push", "-t", "several"), "several platforms is not supported for images"),
        (("-o", "type=oci,dest=/tmp/several.tar"), "several platforms is not supported for images"),
        (("-o", "/tmp/several", "--iidfile", "/tmp/several.id"), "--iidfile tells of one image"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_refused(build: Build, words: tuple[str, ...], complaint: str) -> None:
    assert complaint in build("--platform", "linux/riscv64,linux/s390x", *words, status=1).err


def test_steps_of_another_platform_are_refused(build: Build, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN true\n")
    said = build("--platform", "linux/riscv64", status=1)
    assert "no match for platform in manifest: linux/riscv64 cannot be built on linux/" in said.err
    assert "Corten uses no binfmt emulation" in said.err
    assert '"linux/x86/y/z": cannot parse platform specifier' in build("--platform", "linux/s390x,linux/x86/y/z", "-o", "x", status=1).err
