"""What builds cannot do yet is refused by name, never passed over."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.build.building import corten
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
JSON_VALUES = ("buildargs", "labels", "cachefrom", "ulimits")


@pytest.fixture
def context(tmp_path: Path) -> str:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("--squash",),
        ("--security-opt", "seccomp=unconfined"),
        ("--call", "subrequests.describe"),
        ("--platform", "linux/amd64,linux/arm64"),
        ("--policy", "filename=x.rego"),
        ("--annotation", "a=b"),
        ("--annotation", "manifest:a=b"),
        ("--isolation", "hyperv"),
    ],
    ids=lambda words: words[0],
)
def test_flags(daemon: Daemon, context: str, words: tuple[str, ...]) -> None:
    done = corten(daemon.host, "build", *words, context)
    assert done.status == 1
    assert words[0].removeprefix("--call") in done.err
    assert "supported" in done.err


def test_what_asks_for_nothing_is_taken(daemon: Daemon, context: str) -> None:
    words = ("--provenance=false", "--sbom=false", "--builder", "default", "--isolation", "default", "--load", "--rm", "--force-rm")
    done = corten(daemon.host, "build", "-q", *words, "--compress", "--disable-content-trust=false", "-D", context)
    assert done.status == 0


def test_the_stock_cli_hears_it_too(daemon: Daemon, context: str) -> None:
    """Its own check of `Experimental` comes first; the API says it too."""
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", "build", "--squash", context], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "only supported on a Docker daemon with experimental features enabled" in done.stderr
    refused = daemon.call("POST", "/build?squash=1", b"")
    assert (refused.status, refused.json()["message"]) == (400, "squash is only supported with experimental mode")


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("isolation=hyperv", 400, 'unsupported isolation: "hyperv"'),
        ("securityopt=%5B%22seccomp%3Dunconfined%22%5D", 400, "security options are not supported on linux"),
        ("version=3", 400, 'invalid version "3"'),
        ("shmsize=-1", 400, "SHM size can not be less than 0"),
        ("memory=-5", 400, "Minimum memory limit allowed is 6MB"),
        ("t=FOO", 400, "invalid reference format: repository name (library/FOO) must be lowercase"),
        ("t=a@sha256:0", 400, "invalid reference format"),
        ("remote=nope", 400, "remoteURL (nope) could not be recognized as URL"),
        ("memory=x", 400, 'invalid value for memory: "x" is not a whole number'),
        ("outputs=x", 400, "invalid outputs specified: JSON is malformed: invalid character (byte 0)"),
        ("outputs=%5B%7B%22Type%22%3A%22local%22%7D%5D", 501, "outputs need BuildKit's own protocol"),
        *((f"{name}=x", 400, f"error reading {name}: JSON is malformed: invalid character (byte 0)") for name in JSON_VALUES),
        ("networkmode=container:x", 501, "RUN steps cannot join a container's network namespace"),
    ],
)
def test_parameters(engine: Daemon, query: str, status: int, message: str) -> None:
    """Where Docker refuses, in its words but for what Go says of JSON; it takes numbers that are none for 0, and passes over outputs."""
    refused = engine.call("POST", f"/build?{query}", b"")
    assert (refused.status, refused.json()["message"]) == (status, message)


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("--annotation", "ab"), 1, 'parse annotations: invalid annotation "ab", expected key=value'),
        (("--annotation", "x:a=b"), 1, 'parse annotations: unknown annotation type "x"'),
        (("--builder", "nope"), 1, 'ERROR: no builder "nope" found'),
        (("--build-arg", "=x"), 125, 'invalid key-value pair "=x": empty key'),
        (("--cache-to", "foo=bar"), 1, "--cache-to: type is required: foo=bar"),
        (("--cache-to", "type=local,dest=/proc/x"), 1, "--cache-to: cannot make /proc/x: No such file or directory"),
        (("--iidfile", "/nope/x"), 1, "--iidfile: invalid output path: stat /nope: no such file or directory"),
        (("--iidfile", "/tmp"), 1, "--iidfile: invalid output path: /tmp is a directory"),
        (("--metadata-file", "/nope/x"), 1, "--metadata-file: invalid output path: stat /nope: no such file or directory"),
        (("--network", "container:x"), 1, "RUN steps cannot join a container's network namespace"),
        (("--platform", "foo"), 1, '"foo": unknown operating system or architecture'),
        (("--progress", "foo"), 1, "invalid progress mode foo"),
        (("--pull=maybe",), 125, 'invalid argument "maybe" for "--pull" flag'),
        (("--resource", "memory"), 125, "invalid field 'memory' must be a key=value pair"),
        (("--resource", "gpus=1"), 125, "unexpected key 'gpus' in 'gpus=1'"),
        (("--resource", "memory=x"), 125, "invalid size: 'x'"),
        (("--resource", "cpu-quota=x"), 125, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (("--secret", "foo"), 1, "invalid field 'foo' must be a key=value pair"),
        (("--secret", "id=a,src=/nope"), 1, "failed to read secret a: /nope: No such file or directory"),
        (("--secret", "id=a,foo=b"), 1, "unexpected key 'foo' in 'foo=b'"),
        (("--secret", "src=/etc/hostname"), 1, "secret needs an id"),
        (("--ssh", "default=/nope"), 1, "no SSH agent default: stat /nope: no such file or directory"),
        (("--shm-size", "5e"), 125, "invalid suffix: 'e'"),
        (("-t", "FOO"), 125, "must be lowercase"),
        (("-t", "a:b:c"), 125, "invalid reference format"),
        (("--target", "nope"), 1, 'target stage "nope" could not be found'),
        (("--ulimit", "nofile=5:3"), 125, "ulimit soft limit must be less than or equal to hard limit: 5 > 3"),
        (("--ulimit", "nofoo=5"), 125, "invalid ulimit type: nofoo"),
        (("--add-host", "foo"), 125, 'bad format for add-host: "foo"'),
        (("--allow", "foo"), 1, "unknown entitlement foo"),
        (("--attest", "foo"), 1, "ERROR: invalid value foo"),
        (("--attest", "type=foo"), 1, 'failed to solve: unknown attestation type "foo"'),
        (("--attest", "disabled=true"), 1, "ERROR: attestation type not specified"),
        (("--attest", "type=provenance,mode=bad"), 1, 'failed to solve: invalid mode "bad"'),
        (("--provenance", "foo"), 1, "ERROR: invalid value foo"),
        (("--provenance", "version=v9"), 1, "failed to solve: invalid provenance SLSA version: v9"),
        (("--sbom", "maybe"), 1, "ERROR: invalid value maybe"),
        (("--build-context", "foo"), 1, "invalid context value: foo, expected key=value"),
        (("--build-context", "a=/nope"), 1, "failed to get build context a: stat /nope: no such file or directory"),
        (("--cache-from", "type=foo"), 1, "--cache-from type=foo is not supported"),
        (("--label", "=x"), 125, "empty name"),
        (("-f", "/tmp"), 1, "failed to read dockerfile: read /tmp: is a directory"),
        (("-f", "/nope/D"), 1, "/nope/D: no such file or directory"),
        (("--memory", "5x"), 125, "invalid suffix: 'x'"),
        (("--cpu-quota", "x"), 125, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (("--nope",), 125, "unknown flag: --nope"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_values(engine: Daemon, context: str, words: tuple[str, ...], status: int, complaint: str) -> None:
    """As docker's with buildx 0.29, or clearer; a name that the failed build would have had stays unused."""
    tag = () if words[0] in ("-t", "--call") else ("-t", "wrong/values")
    done = corten(engine.host, "build", *tag, *words, context)
    assert done.status == status
    assert complaint in done.err
    assert engine.call("GET", "/images/wrong%2Fvalues/json").status == 404


def test_call_check_is_check(engine: Daemon, context: str) -> None:
    said = corten(engine.host, "build", "--call", "check", context)
    assert (said.status, said.out) == (0, "Check complete, no warnings found.\n")
