"""The launcher is of the package that the daemon runs from: not of the installed one, nor of what lies in its way."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import corten
from tests.support.processes import MARK, kill_marked

pytestmark = pytest.mark.privileged
_TELL = """
import json as _json, sys as _sys
with open({report!r}, "w") as _f:
    _json.dump({{n: m.__file__ for n, m in _sys.modules.items() if n.startswith("corten")}}, _f)
"""


def test_a_second_checkout_starts_its_own_launcher(tmp_path: Path) -> None:
    checkout, hostile, report, stolen = (tmp_path / name for name in ("checkout", "hostile", "report", "stolen"))
    shutil.copytree(Path(corten.__file__).parent, checkout / "corten", ignore=shutil.ignore_patterns("__pycache__"))
    with (checkout / "corten/monitor/launch/launcher.py").open("a") as file:
        file.write(_TELL.format(report=str(report)))
    for name in ("json", "struct", "corten", "sitecustomize"):
        (hostile / name).mkdir(parents=True)
        (hostile / name / "__init__.py").write_text(f"open({str(stolen)!r}, 'w')\n")
    ask = "from corten.monitor.client import LAUNCHER; print('\\n'.join(LAUNCHER))"
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert command[-1].startswith(str(checkout))
    mark = f"package-{os.getpid()}"
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(hostile)}
    try:
        done = subprocess.run(
            [*command, str(tmp_path / "run")], env=environment, cwd=hostile, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
    finally:
        kill_marked(mark)
    loaded = json.loads(report.read_text())
    assert {"corten", "corten.monitor.launch.launcher", "corten.kernel.process"} <= loaded.keys()
    assert [path for path in loaded.values() if not path.startswith(str(checkout))] == []
    assert not stolen.exists()
