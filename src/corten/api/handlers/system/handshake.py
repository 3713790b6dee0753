"""`/_ping`, `/version`, `/plugins`: what clients ask before anything else."""

import os
import platform
from typing import Final

from corten import __version__
from corten.api.request import Request
from corten.api.types.system import Component, PlatformName, VersionAnswer
from corten.api.versions import CURRENT, DOCKER_COMPATIBLE, MINIMUM, format_version
from corten.api.wire import json_response
from corten.errors import NotFound
from corten.http.response import Reply, Response

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's names and Go's."""

_PING_HEADERS: Final = (
    ("Builder-Version", "1"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Corten-Contexts", "folders"),  # see corten.engine.build.contexts
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)


async def ping(request: Request) -> Reply:
    """Both GET and HEAD; clients read the headers (`Api-Version` and `Ostype` are on every answer)."""
    return Response(200, b"" if request.http.method == "HEAD" else b"OK", "text/plain; charset=utf-8", _PING_HEADERS)


async def version(request: Request) -> Reply:
    kernel = os.uname()
    arch = ARCHITECTURES.get(kernel.machine, kernel.machine)
    details = {
        "ApiVersion": format_version(CURRENT),
        "Arch": arch,
        "Experimental": "false",
        "KernelVersion": kernel.release,
        "MinAPIVersion": format_version(MINIMUM),
        "Os": "linux",
        "PythonVersion": platform.python_version(),
    }
    answer = VersionAnswer(
        platform=PlatformName(name="Corten"),
        components=[
            Component(name="Engine", version=DOCKER_COMPATIBLE, details=details),
            Component(name="Corten", version=__version__, details={}),
        ],
        version=DOCKER_COMPATIBLE,
        api_version=format_version(CURRENT),
        min_api_version=format_version(MINIMUM),
        arch=arch,
        kernel_version=kernel.release,
    )
    return json_response(answer)


async def plugins(request: Request) -> Reply:
    """Corten's drivers are built in: the list is empty."""
    return json_response([])


async def plugin_inspect(request: Request) -> Reply:
    """There is none; `docker inspect` asks for one last and goes by the 404."""
    raise NotFound(f'plugin "{request.params["name"]}" not found', reason="no-such-plugin")
