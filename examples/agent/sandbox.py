"""Code of strangers, run once in a container without network, rights, disk or much of anything, and removed."""

import time
from dataclasses import asdict, dataclass

import docker
import requests

LONGEST_OUTPUT = 10_000


@dataclass(frozen=True)
class Outcome:
    """`status`: the exit status, 124 when the time was over. `output`: the end of what it printed. `seconds`: start and end included."""

    status: int
    output: str
    seconds: float

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def run_code(client: docker.DockerClient, image: str, code: str, seconds: float = 10.0) -> Outcome:
    began = time.monotonic()
    container = client.containers.run(
        image,
        ["python3", "-c", code],
        detach=True,
        network_mode="none",
        mem_limit="256m",
        memswap_limit="256m",
        pids_limit=64,
        nano_cpus=1_000_000_000,
        read_only=True,
        tmpfs={"/tmp": "size=64m,mode=1777"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        user="65534:65534",
        labels={"role": "sandbox"},
    )
    try:
        try:
            status = int(container.wait(timeout=seconds)["StatusCode"])
        except (requests.ReadTimeout, requests.ConnectionError):
            status = 124
        output = container.logs(tail=200).decode(errors="replace")[-LONGEST_OUTPUT:]
    finally:
        container.remove(force=True)
    return Outcome(status, output, round(time.monotonic() - began, 3))
