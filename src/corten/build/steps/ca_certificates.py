"""`--ca host`: RUN steps trust the host's certificate authorities, as company networks with an inspecting proxy need it.

The host's bundle is mounted read-only where no layer is, and the variables that programs look it up by point there; what the image
sets of them itself stays. apt knows no such variable, but one for a configuration that comes before the image's own. Nothing of it is
in a layer, in the image's config or in a cache key. Nothing is mounted over the image's own bundle: `update-ca-certificates` replaces
that by a rename, which a mount forbids, so that installing ca-certificates would fail.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from corten.build.options import BindMount
from corten.build.steps.context import StepContext
from corten.build.steps.mounts import MountedExtras
from corten.errors import NotFound

PLACE: Final = "/run/corten/ca.crt"
APT_PLACE: Final = "/run/corten/apt.conf"
APT: Final = f'Acquire::https::CaInfo "{PLACE}";\n'
VARIABLES: Final = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "PERL_LWP_SSL_CA_FILE",
)
BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",
)


def host_bundle(environ: Mapping[str, str]) -> str:
    """The file with the authorities that this machine trusts: SSL_CERT_FILE, else where distributions keep it. Raises NotFound."""
    for path in (environ.get("SSL_CERT_FILE", ""), *BUNDLES):
        if path and os.path.isfile(path):
            return os.path.realpath(path)
    hint = f"set SSL_CERT_FILE for the daemon, or have one of {', '.join(BUNDLES)}"
    raise NotFound("this machine has no bundle of certificate authorities", reason="no-ca-bundle", hint=hint)


def trust_authorities(extra: MountedExtras, ctx: StepContext, variables: Mapping[str, str], stack: AsyncExitStack) -> None:
    """Adds nothing unless the build's options name a bundle. `variables` are those that the step has already."""
    bundle = ctx.options.ca
    if not bundle:
        return
    folder = ctx.worker.tempdirs.directory()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    path = os.path.join(folder, "apt.conf")
    with open(path, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(APT)
    extra.binds += [BindMount(source=bundle, target=PLACE), BindMount(source=path, target=APT_PLACE)]
    places = {**dict.fromkeys(VARIABLES, PLACE), "APT_CONFIG": APT_PLACE}
    extra.env += [f"{name}={place}" for name, place in places.items() if name not in variables]
