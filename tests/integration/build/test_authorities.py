"""`--ca host` and proxies: what a company's network needs reaches RUN steps, and nothing else."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon, run_name

pytestmark = pytest.mark.privileged
MARK = "Corten Test Authority 5517"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private authority that signed itself, and its key beside it."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    words = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -addext subjectAltName=IP:127.0.0.1 -keyout {path}.key"
    )
    subprocess.run(["openssl", *words.split(), "-subj", f"/CN={MARK}", "-out", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def trusting(authority: Path) -> Iterator[Daemon]:
    """An engine whose machine trusts that authority."""
    daemon = Daemon(run_name("authorities"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority))
        try:
            daemon.start()
            import_base(daemon)
            yield daemon
        finally:
            daemon.remove()


def built(daemon: Daemon, folder: Path, dockerfile: str, *flags: str) -> Said:
    (folder / "Dockerfile").write_text(dockerfile)
    return corten(daemon.host, "build", "--progress", "plain", "-t", "app", *flags, str(folder))


def shown(daemon: Daemon, path: str) -> str:
    words = ["docker", "-H", daemon.host, "run", "--rm", "app", "cat", path]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_steps_have_the_bundle_and_the_image_nothing_of_it(trusting: Daemon, tmp_path: Path, authority: Path) -> None:
    dockerfile = (
        "FROM corpus/base\nENV PIP_CERT=/own\n"
        "RUN sha256sum < $SSL_CERT_FILE > /sum; env | grep -c ca.crt > /count; echo $PIP_CERT > /pip; "
        "touch $SSL_CERT_FILE || true\n"
    )
    assert built(trusting, tmp_path, dockerfile, "--ca", "host").status == 0
    assert shown(trusting, "/sum").split()[0] == hashlib.sha256(authority.read_bytes()).hexdigest()
    assert (shown(trusting, "/count"), shown(trusting, "/pip")) == ("6\n", "/own\n")
    archive = trusting.call("GET", "/images/app/get").body
    assert b"run/corten" not in archive
    assert b"SSL_CERT_FILE=" not in archive
    assert authority.read_bytes().splitlines()[3] not in archive


def test_cache_keys_do_not_know_of_it(trusting: Daemon, tmp_path: Path) -> None:
    dockerfile = "FROM corpus/base\nRUN echo same > /x\n"
    assert built(trusting, tmp_path, dockerfile).status == 0
    assert "CACHED" in built(trusting, tmp_path, dockerfile, "--ca", "host").err.partition("RUN")[2]


def test_a_tls_server_of_that_authority_is_trusted(trusting: Daemon, tmp_path: Path, authority: Path) -> None:
    """A real program: the machine's own openssl with its libraries, in a step."""
    tools = tmp_path / "tools"
    tools.mkdir()
    listed = subprocess.run(["ldd", shutil.which("openssl") or ""], capture_output=True, text=True, check=True).stdout
    libraries = [word for word in listed.split() if word.startswith("/")]
    for path in (shutil.which("openssl") or "", *libraries):
        shutil.copy(path, tools)
    loader = next(Path(path).name for path in libraries if "ld-linux" in path)
    server = ["nsenter", f"--net=/proc/{trusting.namespace_pid}/ns/net", "openssl", "s_server", "-accept", "7443", "-quiet"]
    server += ["-cert", str(authority), "-key", f"{authority}.key"]
    client = f"/t/{loader} --library-path /t /t/openssl s_client -connect 127.0.0.1:7443 -verify_return_error"
    context = tmp_path / "context"
    context.mkdir()
    dockerfile = f"FROM corpus/base\nRUN --network=host --mount=type=bind,from=tools,target=/t {client} </dev/null\n"
    flags = ("--allow", "network.host", "--build-context", f"tools={tools}", "--no-cache")
    with subprocess.Popen(server, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as serving:
        try:
            without = built(trusting, context, dockerfile, *flags)
            with_it = built(trusting, context, dockerfile, *flags, "--ca", "host")
        finally:
            serving.kill()
    assert without.status == 1, without.err
    assert "verify" in without.err
    assert with_it.status == 0, with_it.err
    assert MARK in with_it.err


def test_refused(trusting: Daemon, tmp_path: Path) -> None:
    assert "invalid value 'all' for --ca" in built(trusting, tmp_path, "FROM corpus/base\n", "--ca", "all").err


@pytest.mark.parametrize("daemon", [["--build-ca", "host"]], indirect=True)
def test_by_configuration_for_every_client(daemon: Daemon, tmp_path: Path) -> None:
    import_base(daemon)
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN echo at-$SSL_CERT_FILE-; test -s $SSL_CERT_FILE\n")
    words = ["env", "DOCKER_BUILDKIT=0", "docker", "-H", daemon.host, "build", "-t", "app", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "at-/run/corten/ca.crt-" in done.stdout, done.stdout + done.stderr
    assert " at--\n" in built(daemon, tmp_path, "FROM corpus/base\nRUN echo at-$SSL_CERT_FILE-\n", "--ca", "none").err


def test_proxies_reach_steps_and_no_image(trusting: Daemon, tmp_path: Path) -> None:
    """Of `--build-arg` and of the CLI's configuration; without ARG they are in no key, no config, no history."""
    secret = "http://user:sesame-4411@proxy:3128"
    dockerfile = "FROM corpus/base\nRUN echo $http_proxy-$HTTPS_PROXY | sha256sum > /sum\n"
    config = tmp_path / "docker"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": secret}}}))
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(dockerfile)
    words = ["-m", "corten.cli.main", "build", "-q", "-t", "app", "--build-arg", f"HTTPS_PROXY={secret}", str(context)]
    environment = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": trusting.host, "DOCKER_CONFIG": str(config), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, *words], env=environment, check=True, capture_output=True)
    assert shown(trusting, "/sum").split()[0] == hashlib.sha256(f"{secret}-{secret}\n".encode()).hexdigest()
    assert b"sesame-4411" not in trusting.call("GET", "/images/app/get").body
    assert "CACHED" in built(trusting, context, dockerfile).err.partition("RUN")[2]
    found = subprocess.run(["grep", "-rlaF", "sesame-4411", str(trusting.data_root)], capture_output=True, text=True, check=False)
    assert found.stdout == ""
