"""`cortend` as a process: flags, refusals, pid file, one daemon to a data root, an orderly end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corten import __version__
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
COMMAND = [sys.executable, "-m", "corten.daemon"]


def cortend(*flags: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run([*COMMAND, *flags], env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_version_help_and_validation(tmp_path: Path) -> None:
    assert cortend("--version").stdout == f"Corten version {__version__}\n"
    assert "--data-root path" in cortend("--help").stdout
    config = tmp_path / "daemon.json"
    config.write_text('{"icc": false}')
    assert cortend("--validate", "--config-file", str(config)).stdout == "configuration OK\n"


def test_what_is_refused(tmp_path: Path) -> None:
    done = cortend("--nonsense")
    assert (done.returncode, done.stderr) == (1, "cortend: unknown flag: --nonsense\nhint: see cortend --help\n")
    config = tmp_path / "daemon.json"
    config.write_text('{"nonsense": 1}')
    done = cortend("--validate", "--config-file", str(config))
    assert done.returncode == 1
    assert "the following directives don't match any configuration option: nonsense" in done.stderr


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--log-driver", "foo"], 'failed to set log opts: error looking up logging plugin foo: plugin "foo" not found'),
        (["--log-opt", "foo=1"], "failed to set log opts: unknown log opt 'foo' for json-file log driver"),
        (["--log-opt", "max-size=foo"], "failed to set log opts: invalid size: 'foo'"),
    ],
)
def test_log_defaults_that_no_container_could_use(flags: list[str], text: str) -> None:
    done = cortend("--validate", *flags)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"cortend: {text}")


def test_one_daemon_to_a_data_root(daemon: Daemon) -> None:
    flags = ["-H", f"unix://{daemon.root}/other.sock", "--data-root", str(daemon.data_root), "--exec-root", str(daemon.exec_root)]
    done = cortend(*flags, "--pidfile", str(daemon.root / "other.pid"))
    assert done.returncode == 1
    assert f"another cortend uses {daemon.data_root}" in done.stderr


def test_an_address_or_certificate_that_will_not_do_is_told_in_a_sentence(daemon: Daemon, tmp_path: Path) -> None:
    roots = ["--data-root", str(tmp_path / "data"), "--exec-root", str(tmp_path / "run"), "--pidfile", str(tmp_path / "pid")]
    done = cortend("-H", daemon.host, *roots)
    assert (done.returncode, "another engine is listening there" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    done = cortend("-H", f"unix://{tmp_path}/s", "--tlsverify", "--tlscert", "/nowhere/cert.pem", *roots)
    assert (done.returncode, "/nowhere/cert.pem" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    assert not (tmp_path / "run").exists()  # nothing was started
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("daemon", [["--userland-proxy=true", "--live-restore", "--storage-driver", "overlay2"]], indirect=True)
def test_dockerds_own_options_are_taken_with_a_line(daemon: Daemon) -> None:
    lines = [line for line in daemon.log.read_text().splitlines() if "has no effect" in line]
    assert len(lines) == 1
    assert lines[0].endswith("option userland-proxy of dockerd has no effect in Corten")


def test_pidfile_and_an_orderly_end(daemon: Daemon) -> None:
    pidfile = daemon.root / "cortend.pid"
    assert int(pidfile.read_text()) == daemon.pid
    daemon.call("POST", "/containers/create?name=box", {"Image": IMAGE, "Cmd": ["sleep", "1000"]}).ok()
    daemon.call("POST", "/containers/box/start").ok()
    pid = daemon.call("GET", "/containers/box/json").ok()["State"]["Pid"]
    stream = daemon.client().request("GET", "/events")
    daemon.stop()
    stream.close()
    assert not pidfile.exists()
    assert not daemon.socket.exists()
    assert Path(f"/proc/{pid}").exists()
    daemon.start()
    assert daemon.call("GET", "/containers/box/json").ok()["State"]["Pid"] == pid
    daemon.call("DELETE", "/containers/box?force=1").ok()


@pytest.mark.parametrize(
    "daemon",
    [["--default-shm-size", "5m", "--default-ulimit", "nofile=321:654", "--log-opt", "max-file=3", "--label", "a=b"]],
    indirect=True,
)
def test_defaults_for_containers(daemon: Daemon) -> None:
    daemon.call("POST", "/containers/create?name=box", {"Image": IMAGE, "Cmd": ["sh", "-c", "ulimit -n; df -k /dev/shm | tail -1"]}).ok()
    daemon.call("POST", "/containers/box/start").ok()
    daemon.call("POST", "/containers/box/wait").ok()
    text = daemon.call("GET", "/containers/box/logs?stdout=1").body.decode(errors="replace")
    assert "321" in text
    assert "5120" in text
    found = daemon.call("GET", "/containers/box/json").ok()["HostConfig"]
    assert (found["ShmSize"], found["LogConfig"]["Config"]) == (5 << 20, {"max-file": "3"})
    assert daemon.call("GET", "/info").ok()["Labels"] == ["a=b"]


def test_two_addresses(daemon: Daemon) -> None:
    second = daemon.root / "second.sock"
    daemon.stop()
    daemon.flags = ("-H", f"unix://{second}")
    daemon.start()
    answer = subprocess.run(
        ["curl", "-s", "--unix-socket", str(second), "http://x/version"], capture_output=True, text=True, timeout=10, check=True
    )
    assert json.loads(answer.stdout)["ApiVersion"] == "1.51"


def test_an_address_that_others_reach_wants_tls_or_a_word(tmp_path: Path) -> None:
    """A name's loopback addresses start with a warning; `--tls=false` insists."""
    roots = ["--data-root", str(tmp_path / "data"), "--exec-root", str(tmp_path / "run"), "--validate"]
    done = cortend("-H", "tcp://0.0.0.0:2375", *roots)
    assert done.returncode == 1
    assert "tcp://0.0.0.0:2375 without TLS: everybody who reaches it gets root access on this machine" in done.stderr
    for words in (["-H", "tcp://127.0.0.1:2375"], ["-H", "tcp://0.0.0.0:2375", "--tls=false"]):
        done = cortend(*words, *roots)
        assert done.returncode == 0, done.stderr
        assert "without --tlsverify" in done.stderr
