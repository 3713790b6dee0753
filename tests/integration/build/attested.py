"""How a pushed image and its attestations hang together, in a form that two engines' pushes can be compared in.

    python -m tests.integration.build.attested HOST REGISTRY [PREFIX…]

builds and pushes with the BuildKit of a Docker engine that has the containerd image store, and writes what came into `attested.json`.
PREFIX is a command that enters the network namespace of the registry.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCANNER = r"""#!/bin/sh
set -eu
[ "$FOO" = bar ] && [ "$(pwd)" = /w ] && [ "$(id -u)" = 0 ] && [ "$BUILDKIT_SCAN_DEPTH" = 3 ]
if echo x 2>/dev/null > $BUILDKIT_SCAN_SOURCE/evil; then echo "the source is writable"; exit 9; fi
echo x > /tmp/x
doc() {
    out=$BUILDKIT_SCAN_DESTINATION/$1.spdx.json
    printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":' > $out
    printf '{"name":"%s","files":"%s"}}' "$1" "$(ls $2 | tr '\n' ' ')" >> $out
}
doc $(basename $BUILDKIT_SCAN_SOURCE) $BUILDKIT_SCAN_SOURCE
if [ -n "${BUILDKIT_SCAN_SOURCE_EXTRAS:-}" ]; then for d in $BUILDKIT_SCAN_SOURCE_EXTRAS/*; do doc $(basename $d) $d; done; fi
"""
SCANNER_FILE = """FROM corpus/base
COPY --chmod=755 scan.sh /scan.sh
WORKDIR /w
ENV FOO=bar
ENTRYPOINT ["/bin/sh"]
CMD ["/scan.sh"]
"""
APP_FILE = """FROM corpus/base AS one
ARG BUILDKIT_SBOM_SCAN_STAGE=true
ARG WORD=x
RUN --mount=type=secret,id=s echo "$WORD[$BUILDKIT_SBOM_SCAN_STAGE]" > /x
FROM corpus/base AS unused
RUN false
FROM corpus/base AS two
RUN echo two > /two
FROM corpus/base
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
COPY --from=one /x /x
COPY --from=two /two /two
COPY . /app
RUN echo done > /y
"""
Fetch = Callable[[str], bytes]
"""A path below /v2/ of the registry."""


def write_scanner(folder: Path, script: str = SCANNER) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(SCANNER_FILE)
    (folder / "scan.sh").write_text(script)
    return str(folder)


def write_app(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(APP_FILE)
    (folder / "hello").write_text("hello\n")
    return str(folder)


def app_flags(registry: str, folder: Path) -> list[str]:
    (folder / "secret").write_text("sesame-9917")
    return [
        *("--push", "-t", f"{registry}/app:sbom", "--secret", f"id=s,src={folder}/secret", "--build-arg", "WORD=given"),
        *(f"--sbom=generator={registry}/scan:1,DEPTH=3", "--provenance", "mode=min"),
    ]


def shape(fetch: Fetch, repository: str, tag: str, registry: str) -> dict[str, Any]:
    """The documents, with `IMAGE` for the image's digest, `HERE` for the registry, and neither digests nor sizes nor times beside."""
    index = json.loads(fetch(f"{repository}/manifests/{tag}"))
    image, attestation = index["manifests"]
    manifest = json.loads(fetch(f"{repository}/manifests/{attestation['digest']}"))
    blobs = [fetch(f"{repository}/blobs/{layer['digest']}") for layer in manifest["layers"]]
    statements = [json.loads(blob) for blob in blobs]
    config = json.loads(fetch(f"{repository}/blobs/{manifest['config']['digest']}"))
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert [layer["size"] for layer in manifest["layers"]] == [len(blob) for blob in blobs]
    for statement in statements:
        if "slsa" in statement["predicateType"]:
            statement["predicate"] = sorted(statement["predicate"])
    found = {
        "index": {**index, "manifests": [_bare(image), _bare(attestation)]},
        "manifest": {**manifest, "config": _bare(manifest["config"]), "layers": [_bare(layer) for layer in manifest["layers"]]},
        "config": {**config, "rootfs": config["rootfs"]["type"]},
        "statements": statements,
    }
    text = json.dumps(found).replace(image["digest"], "sha256:IMAGE").replace(image["digest"].partition(":")[2], "IMAGE")
    return dict(json.loads(text.replace(registry, "HERE")))


def _bare(descriptor: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in descriptor.items() if key not in ("digest", "size")}


def fetcher(registry: str, prefix: Sequence[str]) -> Fetch:
    accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*"

    def fetch(path: str) -> bytes:
        words = [*prefix, "curl", "-sSfL", "-H", accept, f"http://{registry}/v2/{path}"]
        return subprocess.run(words, capture_output=True, check=True).stdout

    return fetch


def record(host: str, registry: str, prefix: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {**os.environ, "DOCKER_HOST": host}
        scan = ["docker", "build", "-q", "--provenance=false", "-t", f"{registry}/scan:1", "--push", write_scanner(folder / "scan")]
        subprocess.run(scan, env=environ, check=True)
        app = ["docker", "build", "-q", *app_flags(registry, folder), write_app(folder / "app")]
        subprocess.run(app, env=environ, check=True)
    found = shape(fetcher(registry, prefix), "app", "sbom", registry)
    (HERE / "attested.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    record(sys.argv[1], sys.argv[2], sys.argv[3:])
