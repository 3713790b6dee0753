"""Images and programs for other machines: Docker's warning, its texts and statuses, by the stock CLI and by ours."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import IMAGE, Daemon, run_name
from tests.support.images import BUSYBOX, add
from tests.support.two_clis import Cli, our_program

pytestmark = pytest.mark.privileged
WARNING = "WARNING: The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64"
AARCH64 = (183).to_bytes(2, "little")  # e_machine of an ELF header


@pytest.fixture(params=["stock", "own"])
def cli(request: pytest.FixtureRequest, engine: Daemon, docker_program: str, tmp_path: Path) -> Iterator[Cli]:
    (tmp_path / "bin").mkdir()
    program = docker_program if request.param == "stock" else our_program(tmp_path / "bin")
    cli = Cli(program, run_name(request.node.nodeid), engine.host, tmp_path)
    (tmp_path / "foreign.tar").write_bytes(foreign_tar())
    cli.run("docker import --platform linux/arm64 foreign.tar {n}")
    yield cli
    cli.run("docker rmi -f {n}")


def foreign_tar() -> bytes:
    """A root file system with a program for arm64, and one whose interpreter is missing."""
    program = BUSYBOX.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "bin/prog", program[:18] + AARCH64 + program[20:], mode=0o755)
        add(tar, "bin/script", b"#!/nowhere\n", mode=0o755)
    return buffer.getvalue()


def test_an_image_for_another_machine_is_warned_of_unless_its_platform_was_asked_for(cli: Cli) -> None:
    seen = cli.run("docker run --rm {n} /bin/prog")
    warning, _, said = seen.err.partition("\n")
    assert warning.startswith(WARNING)
    assert warning.endswith(") and no specific platform was requested")
    assert (said, seen.status) == ("exec /bin/prog: exec format error\n", 255)
    seen = cli.run("docker create --name {n} {n} /bin/prog")
    assert (seen.err.startswith(WARNING), seen.status) == (True, 0)
    cli.run("docker rm {n}")
    seen = cli.run("docker run --rm --platform linux/arm64 {n} /bin/prog")
    assert (seen.err, seen.status) == ("exec /bin/prog: exec format error\n", 255)


def test_a_missing_interpreter_is_the_programs_own_failure(cli: Cli) -> None:
    seen = cli.run("docker run --rm --platform linux/arm64 {n} /bin/script")
    assert (seen.err, seen.status) == ("exec /bin/script: no such file or directory\n", 255)
    cli.run(f"docker run -d --name {{n}} {IMAGE} sleep 1000; docker cp foreign.tar {{n}}:/; docker exec {{n}} tar xf /foreign.tar -C /tmp")
    seen = cli.run("docker exec {n} /tmp/bin/prog")
    assert (seen.err, seen.status) == ("exec /tmp/bin/prog: exec format error\n", 255)
    cli.run("docker rm -f {n}")


UNKNOWN = '"bogus": unknown operating system or architecture: invalid argument'
OTHER = "image with reference NAME was found but its platform (linux/arm64) does not match the specified platform (linux/amd64)"


@pytest.mark.parametrize(
    ("line", "error", "status"),
    [
        ("docker create --pull never --platform linux/amd64 {n}", OTHER, 1),
        ("docker run --rm --platform bogus {n} x", f"error parsing specified platform: {UNKNOWN}", 125),
        ("docker run --rm --platform linux/a/b/c {n} x", 'error parsing specified platform: "linux/a/b/c": cannot parse', 125),
        ("docker pull --platform bogus {n}", UNKNOWN, 1),
    ],
)
def test_platforms_that_do_not_fit(cli: Cli, line: str, error: str, status: int) -> None:
    seen = cli.run(line)
    assert seen.err.removeprefix("docker: ").removeprefix("Error response from daemon: ").startswith(error)
    assert seen.status == status
