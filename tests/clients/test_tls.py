"""The stock docker CLI over tcp with client certificates: what `docker --tlsverify -H tcp://` users do."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged

PEMS = Path(__file__).parents[1] / "unit" / "http" / "tls"
PORT = 2376
SERVER = [
    "-H",
    f"tcp://127.0.0.1:{PORT}",
    "--tlsverify",
    f"--tlscacert={PEMS / 'ca.pem'}",
    f"--tlscert={PEMS / 'server.pem'}",
    f"--tlskey={PEMS / 'server.pem'}",
]
secured = pytest.mark.parametrize("daemon", [SERVER], indirect=True)


def docker(daemon: Daemon, *arguments: str, certificate: str = "client.pem", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`docker` in the daemon's network namespace."""
    pem = str(PEMS / certificate)
    command = ["nsenter", "-t", str(daemon.namespace_pid), "-n", "docker", "-H", f"tcp://127.0.0.1:{PORT}", "--tlsverify"]
    command += ["--tlscacert", str(PEMS / "ca.pem"), "--tlscert", pem, "--tlskey", pem, *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(daemon.root), "DOCKER_CONFIG": str(daemon.root)}
    return subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False)


@secured
def test_run_with_input_over_tls(daemon: Daemon) -> None:
    """Input ends (half-close), output follows, to the last byte."""
    done = docker(daemon, "run", "--rm", "-i", IMAGE, "sh", "-c", "cat; sleep 0.3; echo after", stdin="line\n" * 20_000)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "line\n" * 20_000 + "after\n"


@secured
def test_exec_logs_and_exit_status_over_tls(daemon: Daemon) -> None:
    assert docker(daemon, "run", "-d", "--name", "tls", IMAGE, "sh", "-c", "echo hello; sleep 300").returncode == 0
    assert docker(daemon, "exec", "tls", "sh", "-c", "echo out; exit 7").returncode == 7
    assert docker(daemon, "logs", "tls").stdout == "hello\n"
    assert docker(daemon, "rm", "-f", "tls").returncode == 0


@secured
def test_a_stranger_s_certificate_is_refused(daemon: Daemon) -> None:
    done = docker(daemon, "version", certificate="stranger.pem")
    assert done.returncode != 0
    assert "certificate" in done.stderr
