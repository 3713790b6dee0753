"""The engine where every system call newer than Linux 5.10 is refused: it starts, and does the same."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import IMAGE, Daemon, import_busybox, run_name

pytestmark = pytest.mark.privileged


@pytest.fixture(scope="module")
def old() -> Iterator[Daemon]:
    daemon = Daemon(run_name("linux::5.10"))
    daemon.prefix = (sys.executable, "-m", "tests.support.refused_calls")
    try:
        daemon.start()
        import_busybox(daemon)
        yield daemon
        daemon.stop()
    finally:
        daemon.remove()


@pytest.fixture
def cli(old: Daemon, docker_program: str, tmp_path: Path) -> DockerCli:
    return DockerCli(old.host, tmp_path)


def test_info_says_what_an_older_kernel_lacks(cli: DockerCli) -> None:
    assert "No mount_setattr (Linux 5.12)" in cli("info", check=True).stderr


def test_read_only_mounts_roots_and_paths_are_so(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    script = "for f in /b/x /x /proc/sys/kernel/panic; do (echo 1 >$f) 2>&1; done; echo 1 >/t/x && cat /t/x; cat /proc/kcore | wc -c"
    volumes = ["-v", f"{tmp_path}/shared:/b:ro", "--tmpfs", "/t:noexec"]
    done = cli("run", "--rm", "--read-only", *volumes, IMAGE, "sh", "-c", script)
    lines = done.stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [*["Read-only file system"] * 3, "1", "0"], done
    assert not list((tmp_path / "shared").iterdir())


def test_mount_options_and_propagation_are_as_asked_for(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    bind = f"type=bind,src={tmp_path}/shared,dst=/b,readonly,bind-propagation=rprivate,bind-recursive=disabled"
    program = ("grep", "-E", " /(b|t) ", "/proc/mounts")
    shown = cli("run", "--rm", "--mount", bind, "--tmpfs", "/t:ro,nosuid", IMAGE, *program, check=True).stdout
    flags = {line.split()[1]: line.split()[3].split(",") for line in shown.splitlines()}
    assert "ro" in flags["/b"]
    assert {"ro", "nosuid"} <= set(flags["/t"])


def test_recursive_read_only_is_refused_with_the_reason(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    bind = f"type=bind,src={tmp_path}/shared,dst=/b,readonly,bind-propagation=rprivate,bind-recursive=readonly"
    done = cli("run", "--rm", "--mount", bind, IMAGE, "true")
    assert done.returncode == 125
    assert "rro is not supported: kernel is older than 5.12" in done.stderr


def test_a_container_is_executed_in_copied_to_paused_and_committed(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("there\n")
    cli("run", "-d", "--name", "box", "-v", "box:/v", IMAGE, "sleep", "600", check=True)
    cli("cp", str(tmp_path / "file"), "box:/v/file", check=True)
    assert cli("exec", "box", "cat", "/v/file", check=True).stdout == "there\n"
    cli("pause", "box", check=True)
    cli("unpause", "box", check=True)
    cli("exec", "box", "sh", "-c", "echo 1 >/made", check=True)
    cli("commit", "box", "committed", check=True)
    cli("rm", "-f", "box", check=True)
    assert cli("run", "--rm", "committed", "cat", "/made", check=True).stdout == "1\n"


def test_an_image_is_built(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE} AS a\nRUN echo built >/b\nFROM {IMAGE}\nCOPY --from=a /b /b\nRUN cat /b >/c\n")
    cli("build", "-q", "-t", "built", str(tmp_path), check=True)
    assert cli("run", "--rm", "built", "cat", "/c", check=True).stdout == "built\n"
