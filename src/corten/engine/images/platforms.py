"""What an image's name stands for at its registry: the entries of its index, and which of them are here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from corten.oci.manifest import ATTESTATION_SUBJECT, OCI_MANIFEST, Descriptor, Index, digest_of, parse_manifest
from corten.store.archive.attesting import SAID
from corten.store.images import Image, Images
from corten.store.origins import Origins, StoredManifest


@dataclass(frozen=True, slots=True)
class PlatformEntry:
    """`image` is the one of this host that the entry stands for; None when it is not here. `about`: what an attestation is about.

    `kept` bytes of it are stored as the registry has them.
    """

    descriptor: Descriptor
    image: Image | None
    is_here: bool
    about: str = ""
    kept: int = 0

    @property
    def is_attestation(self) -> bool:
        return bool(self.about)


def entries_of(image: Image, images: Images, origins: Origins) -> Sequence[PlatformEntry]:
    """In the order of the index. An image that came without one has one entry, its manifest, or itself where it never had one."""
    stored = origins.manifests_of(image.id)
    parsed = [(one, parse_manifest(one.raw, one.media_type)) for one in stored]
    indexes = [found for _, found in parsed if isinstance(found, Index)]
    listed = {descriptor.digest: descriptor for index in indexes for descriptor in index.manifests}
    singles = [one for one, found in parsed if not isinstance(found, Index) and one.digest not in listed]
    entries = [*_listed(listed, image, images, origins), *(PlatformEntry(_descriptor(one), image, True) for one in singles)]
    alone = Descriptor(media_type=OCI_MANIFEST, digest=image.id, size=len(image.raw))
    entries = entries or [PlatformEntry(alone, image, True)]
    if any(entry.is_attestation for entry in entries):
        return entries
    return [*entries, *_said(entries[0].descriptor.digest, image, origins)]


def _said(about: str, image: Image, origins: Origins) -> Iterator[PlatformEntry]:
    """What builds of ours said about an image that was not pushed with it: as one attestation, whose manifest is not made yet."""
    kept = {digest: size for digest, (media_type, size) in origins.attachment_sizes(image.id).items() if media_type in SAID}
    if kept:
        yield PlatformEntry(
            Descriptor(media_type=OCI_MANIFEST, digest=min(kept), size=sum(kept.values())), None, True, about, sum(kept.values())
        )


def _listed(listed: dict[str, Descriptor], image: Image, images: Images, origins: Origins) -> Iterator[PlatformEntry]:
    sizes = origins.attachment_sizes(image.id) if listed else {}
    attachments, kept = {str(digest) for digest in sizes}, sum(size for _, size in sizes.values())
    is_said = any(media_type in SAID for media_type, _ in sizes.values())
    for digest, descriptor in listed.items():
        if descriptor.is_attestation:
            about = (descriptor.annotations or {}).get(ATTESTATION_SUBJECT, "")
            is_here = is_said or digest in attachments
            yield PlatformEntry(descriptor, None, is_here, about or digest, kept if is_here else 0)
            continue
        known = origins.find_manifest(digest_of(descriptor))
        found = images.by_id(known.image) if known else None
        yield PlatformEntry(descriptor, found, found is not None)


def _descriptor(stored: StoredManifest) -> Descriptor:
    return Descriptor(media_type=stored.media_type, digest=stored.digest, size=len(stored.raw))
