"""The daemon on demand, for real: in namespaces where nothing runs and the usual places are empty."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
set -e
ip link set lo up
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
corten() { "$PYTHON" -c 'import sys; from corten.cli.main import main; sys.exit(main())' "$@"; }
corten ps -q & corten ps -q & wait
corten version --format '{{.Server.APIVersion}}'
ls /run/corten/corten.sock /run/corten/cortend.log
pgrep -xc cortend
kill "$(cat /run/corten/cortend.pid)"
"""


@pytest.mark.privileged
def test_two_first_commands_start_one_daemon() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    command = [
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
        "sh",
        "-c",
        SCRIPT,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["1.51", "/run/corten/corten.sock", "/run/corten/cortend.log", "1"], done.stderr
