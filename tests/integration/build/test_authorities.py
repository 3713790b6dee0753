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
    assert (shown(trusting, "/count"), shown(trusting, "/pip")) == ("10\n", "/own\n")
    archive = trusting.call("GET", "/images/app/get").body
    assert b"run/corten" not in archive
    assert b"SSL_CERT_FILE=" not in archive
    assert authority.read_bytes().splitlines()[3] not in archive


def test_cache_keys_do_not_know_of_it(trusting: Daemon, tmp_path: Path) -> None:
    dockerfile = "FROM corpus/base\nRUN echo same > /x\n"
    assert built(trusting, tmp_path, dockerfile).status == 0
    assert "CACHED" in built(trusting, tmp_path, dockerfile, "--ca", "host").err.partition("RUN")[2]


def copied(folder: Path, *programs: str) -> None:
    """The machine's own programs and all that they load, at their places below `folder`."""
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for path in {program, *(word for word in listed.split() if word.startswith("/"))}:
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copy(path, place)


SERVER = """
import functools, http.server, ssl, sys
folder, certificate = sys.argv[1:]
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, f"{certificate}.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def archive(trusting: Daemon, authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An apt repository of one package at a server of that authority, in the engine's network."""
    folder = tmp_path_factory.mktemp("archive")
    package = folder / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN/control").write_text("Package: hi\nVersion: 1\nArchitecture: all\nMaintainer: m <m@m.example>\nDescription: x\n")
    subprocess.run(["dpkg-deb", "--build", str(package), str(folder / "hi.deb")], check=True, capture_output=True)
    content = (folder / "hi.deb").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    control = (package / "DEBIAN/control").read_text()
    (folder / "Packages").write_text(f"{control}Filename: ./hi.deb\nSize: {len(content)}\nSHA256: {digest}\n")
    command = ["nsenter", f"--net=/proc/{trusting.namespace_pid}/ns/net", sys.executable, "-c", SERVER, str(folder), str(authority)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as serving:
        assert serving.stdout is not None
        try:
            yield f"https://127.0.0.1:{serving.stdout.readline().strip()}"
        finally:
            serving.kill()


APT = "-o APT::Sandbox::User=root -o Dir::Etc::SourceList=/sources -o Dir::State::Status=/dev/null -o Debug::NoLocking=1"
CASES = {
    "curl": (("curl",), "curl -sSf @/Packages | grep -q hi"),
    "openssl": (("openssl",), "openssl s_client -connect $(echo @ | cut -d/ -f3) -verify_return_error </dev/null"),
    "git": (
        ("git", "/usr/lib/git-core/git-remote-http"),
        "ln -sf git-remote-http /usr/lib/git-core/git-remote-https; ! git ls-remote @/none 2>/said; cat /said; grep -q 'not found' /said",
    ),
    "apt": (
        (
            *("apt-get", "dpkg", "/usr/lib/apt/methods/http", "/usr/lib/apt/methods/store"),
            *(f"/usr/share/dpkg/{kind}table" for kind in ("abi", "cpu", "os", "tuple")),
        ),
        "ln -sf http /usr/lib/apt/methods/https; mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial /etc/apt; "
        f"echo 'deb [trusted=yes] @/ ./' > /sources; apt-get {APT} -o Acquire::Retries=0 --error-on=any update && "
        f"cd /tmp && apt-get {APT} download hi && test -s /tmp/hi_1_all.deb",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_real_programs_trust_a_server_of_that_authority(trusting: Daemon, archive: str, tmp_path: Path, name: str) -> None:
    """The machine's own programs in a step; without the flag they refuse the server."""
    programs, command = CASES[name]
    tools, context = tmp_path / "tools", tmp_path / "context"
    copied(tools, *(shutil.which(program) or program for program in programs))
    context.mkdir()
    dockerfile = f"FROM corpus/base\nCOPY --from=tools / /\nRUN --network=host {command.replace('@', archive)}\n"
    flags = ("--allow", "network.host", "--build-context", f"tools={tools}", "--no-cache")
    without = built(trusting, context, dockerfile, *flags)
    with_it = built(trusting, context, dockerfile, *flags, "--ca", "host")
    assert without.status == 1, without.err
    assert any(word in without.err.lower() for word in ("verif", "certificate", "exit code: 60")), without.err
    assert with_it.status == 0, with_it.err
    assert b"run/corten" not in trusting.call("GET", "/images/app/get").body


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
