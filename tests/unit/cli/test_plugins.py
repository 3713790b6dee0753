"""Docker's plug-ins and proxies from the configuration."""

import json
import os
import subprocess
import sys
from pathlib import Path

from corten.cli.options.environment import proxy_variables, with_proxies

PLUGIN = """#!/bin/sh
echo "$DOCKER_HOST|$DOCKER_CONTEXT|$DOCKER_CONFIG|$*"
exit 3
"""


def corten(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from corten.cli.main import main; sys.exit(main())"
    environment = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **environ}
    return subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False)


def test_plugin_gets_our_engine(tmp_path: Path) -> None:
    folder = tmp_path / "cli-plugins"
    folder.mkdir()
    (folder / "docker-fake").write_text(PLUGIN)
    (folder / "docker-fake").chmod(0o755)
    done = corten(tmp_path, "-H", "unix:///x.sock", "fake", "up", "-d")
    assert (done.stdout, done.returncode) == (f"unix:///x.sock||{tmp_path}|fake up -d\n", 3)
    assert corten(tmp_path, "other", CORTEN_HOST="unix:///x.sock").returncode == 1


def test_the_plugin_of_builds_goes_before_our_own_commands(tmp_path: Path) -> None:
    folder = tmp_path / "cli-plugins"
    folder.mkdir()
    assert "no manifest lists" in corten(tmp_path, "-H", "unix:///x.sock", "buildx", "imagetools", "inspect", "x").stderr
    assert "unix:///x.sock" in corten(tmp_path, "-H", "unix:///x.sock", "buildx", "ls").stderr, "our own asks the engine"
    (folder / "docker-buildx").write_text(PLUGIN)
    (folder / "docker-buildx").chmod(0o755)
    done = corten(tmp_path, "-H", "unix:///x.sock", "buildx", "ls")
    assert (done.stdout, done.returncode) == (f"unix:///x.sock||{tmp_path}|buildx ls\n", 3)


def test_broken_configuration_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    done = corten(tmp_path, "context", "show")
    assert done.stdout == "default\n"
    assert done.stderr.startswith(f"WARNING: Error loading config file: {tmp_path}/config.json: ")


def test_proxies() -> None:
    proxies = json.loads('{"default": {"httpProxy": "p", "noProxy": "a,b"}, "unix:///x": {"httpProxy": "q"}}')
    assert proxy_variables(proxies, "unix:///y") == {"HTTP_PROXY": "p", "NO_PROXY": "a,b", "http_proxy": "p", "no_proxy": "a,b"}
    assert proxy_variables(proxies, "unix:///x") == {"HTTP_PROXY": "q", "http_proxy": "q"}
    assert proxy_variables({}, "x") == {}
    assert with_proxies(["HTTP_PROXY=mine"], {"HTTP_PROXY": "q", "http_proxy": "q"}) == ["http_proxy=q", "HTTP_PROXY=mine"]
