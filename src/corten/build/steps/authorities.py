"""`--ca host`: RUN steps trust the host's certificate authorities, as company networks with an inspecting proxy need it.

The host's bundle is mounted read-only where no layer is, and the variables that programs look it up by point there; what the image
sets of them itself stays. Nothing of it is in a layer, in the image's config or in a cache key.
"""

import os
from collections.abc import Mapping
from typing import Final

from corten.build.options import BindMount
from corten.build.steps.mounts import MountedExtras
from corten.errors import NotFound

PLACE: Final = "/run/corten/ca.crt"
VARIABLES: Final = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
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


def add_authorities(extra: MountedExtras, bundle: str, variables: Mapping[str, str]) -> None:
    """`bundle` "" adds nothing. `variables` are those that the step has already."""
    if bundle:
        extra.binds.append(BindMount(source=bundle, target=PLACE))
        extra.env += [f"{name}={PLACE}" for name in VARIABLES if name not in variables]
