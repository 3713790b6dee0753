"""`--metadata-file`: what became of a build, under buildx's names; but for its reference into a build history, which there is none of."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.building.outputs import Delivered
from corten.cli.references import named
from corten.cli.session import Session
from corten.client.credentials import registry_header
from corten.client.urls import quoted

INDEX = "application/vnd.oci.image.index.v1+json"


def results(session: Session, image: str, names: Sequence[str], delivered: Sequence[Delivered]) -> dict[str, Any]:
    """`image` "": nothing of it stayed in the engine. What is at a registry or in an archive goes by the digest that it has there."""
    found: dict[str, Any] = {"containerimage.config.digest": image, "containerimage.digest": image} if image else {}
    if delivered:
        last = delivered[-1]
        descriptor = last.descriptor or _at_registry(session, last)
        if last.image:
            found["containerimage.config.digest"] = last.image
        if descriptor.get("mediaType") == INDEX:
            found.pop("containerimage.config.digest", None)
        found |= {"containerimage.descriptor": descriptor, "containerimage.digest": descriptor["digest"]}
    if names:
        found["image.name"] = ",".join(_full_name(name) for name in names)
    return found


def _at_registry(session: Session, pushed: Delivered) -> dict[str, Any]:
    """The registry's word on the kind of what was pushed."""
    repository = pushed.name.rpartition(":")[0]
    headers = {"X-Registry-Auth": registry_header(session.config, repository.partition("/")[0])}
    name = quoted(f"{repository}@{pushed.digest}")
    found = session.api.call("GET", f"/distribution/{name}/json", headers=headers).json()["Descriptor"]
    return {key: found[key] for key in ("mediaType", "digest", "size") if key in found}


def write_metadata(path: str, provenance: Mapping[str, Any], found: dict[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**({"buildx.build.provenance": dict(provenance)} if provenance else {}), **found}, file, indent=2)


def _full_name(text: str) -> str:
    repository, tag, _ = named(text)
    return f"{repository}:{tag}" if tag else repository
