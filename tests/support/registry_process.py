"""A registry of its own process, for engines in other network namespaces: `python -m tests.support.registry_process [USER:PASSWORD]`.

It prints its address and serves until its stdin ends. The image `app` (tags v1, v2) is there, and what `search` finds.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.faulty_registry import Faults, running_registry
from tests.support.images import busybox_tar
from tests.support.remote_images import add_image, layer_tar


def serve(password: str) -> None:
    with running_registry(Faults(password=password or None)) as registry:
        for tag in ("v1", "v2"):
            add_image(registry, [busybox_tar(), layer_tar({"tag": tag.encode()})], tag)
        registry.found = [
            {"name": "a/one", "description": "first\nline", "star_count": 5, "is_official": True},
            {"name": "two", "description": "x" * 60, "star_count": 50, "is_automated": True},
        ]
        print(registry.host, flush=True)
        sys.stdin.read()


@contextmanager
def registry_beside(pid: int, password: str = "") -> Iterator[str]:
    """The address of a registry in the network namespace of process `pid`."""
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-m", "tests.support.registry_process", password]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


if __name__ == "__main__":
    serve(sys.argv[1] if len(sys.argv) > 1 else "")
