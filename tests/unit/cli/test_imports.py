"""What the quick commands load: every module more is paid for at each start."""

import os
import subprocess
import sys

import pytest

QUICK = {
    "ps": "corten.cli.container.list",
    "images": "corten.cli.image.list",
    "version": "corten.cli.system.version",
    "run": "corten.cli.container.run",
    "exec": "corten.cli.container.exec",
    "rm": "corten.cli.container.lifecycle",
    "inspect": "corten.cli.inspecting",
    "build": "corten.cli.build.command",
}
TOO_MUCH = {
    *("argparse", "asyncio", "base64", "dataclasses", "datetime", "email", "h11", "hashlib", "inspect", "ipaddress", "msgspec", "pathlib"),
    *("rich", "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tarfile", "tempfile", "threading", "urllib.parse"),
    *("corten.cli.template.evaluator", "corten.cli.output.shapes", "corten.cli.output.progress", "corten.oci.reference", "corten.ignore"),
    *("corten.cli.help", "corten.cli.completion", "corten.client.credentials", "corten.client.startup", "corten.cli.archive.packing"),
}


@pytest.mark.parametrize("command", QUICK)
def test_quick_command_loads_little(command: str) -> None:
    code = f"import sys, corten.cli.main, {QUICK[command]}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert set(done.stdout.split()) & TOO_MUCH == set()
