"""`stats` through the stock CLI and, field by field, through the API."""

import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged


def test_the_table(docker_cli: DockerCli, name: str) -> None:
    docker_cli("run", "-d", "--name", name, "-m", "64m", "busybox", "sh", "-c", "while :; do :; done", check=True)
    try:
        format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.NetIO}}|{{.PIDs}}"
        row = docker_cli("stats", "--no-stream", "--format", format, name, check=True).stdout.strip().split("|")
    finally:
        docker_cli("rm", "-f", name)
    assert row[0] == name
    assert float(row[1].rstrip("%")) > 1
    assert row[2].endswith("/ 64MiB")
    assert row[3] != "0B / 0B"
    assert row[4] == "1"


def test_readings(engine: Daemon, docker_cli: DockerCli, name: str) -> None:
    docker_cli("create", "--name", name, "busybox", "sleep", "1000", check=True)
    try:
        stopped = engine.call("GET", f"/containers/{name}/stats?stream=0").ok()
        docker_cli("start", name, check=True)
        two = engine.call("GET", f"/containers/{name}/stats?stream=0").ok()
        one = engine.call("GET", f"/containers/{name}/stats?stream=0&one-shot=1").ok()
        with engine.client() as client, client.request("GET", f"/containers/{name}/stats") as answer:
            values = answer.json_lines()
            first, second = next(values), next(values)
    finally:
        docker_cli("rm", "-f", name)
    assert (stopped["memory_stats"], stopped["read"]) == ({}, "0001-01-01T00:00:00Z")
    assert two["preread"] < two["read"]
    assert two["cpu_stats"]["system_cpu_usage"] > two["precpu_stats"]["system_cpu_usage"]
    assert two["memory_stats"]["limit"] > two["memory_stats"]["usage"] > 0
    assert two["networks"]["eth0"].keys() >= {"rx_bytes", "tx_dropped"}
    assert two["pids_stats"]["current"] == 1
    assert one["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert second["preread"] == first["read"]
