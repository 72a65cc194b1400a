"""Provenance: whether one image was squashed from another, with whatever options."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.oci.manifest import ImageIndex, IndexChild, parse_manifest
from squashproxy.oci.mediatypes import Family, family_of
from squashproxy.pipeline.stamp import SOURCE, source_in
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.transports.documents import read_config
from squashproxy.transports.index_images import find_leaves
from squashproxy.transports.registry import RegistrySource


def is_made_from(
    client: RegistryClient, repository: Repository, digest: Digest, source: Digest
) -> bool:
    """Whether a manifest's stamp names `source`, and `source` exists.

    Docker images carry the stamp in their config; Docker manifest lists carry none, so each of
    their images must be made from the one at the same position. Raises RegistryError and
    FormatError.
    """
    place = RegistrySource(client, Reference(repository, None, digest))
    parsed = parse_manifest(place.read_manifest(), f"the manifest of {place.name}")
    if family_of(parsed.raw.media_type) is Family.OCI:
        return parsed.annotations.get(SOURCE) == source
    if not isinstance(parsed, ImageIndex):
        return parsed.is_image and source_in(read_config(place, parsed)) == source
    before = parse_manifest(place.read_manifest(source), f"the manifest {source} of {repository}")
    if not isinstance(before, ImageIndex):
        return False
    sources, results = _images(place, before), _images(place, parsed)
    if len(sources) != len(results):
        return False
    pairs = zip(results, sources, strict=True)
    return digest != source and all(
        new.descriptor.digest == old.descriptor.digest
        or is_made_from(client, repository, new.descriptor.digest, old.descriptor.digest)
        for new, old in pairs
    )


def _images(place: RegistrySource, index: ImageIndex) -> list[IndexChild]:
    """The images that an index leads to; a copy makes those of indexes in it its own."""
    return [child for child in find_leaves(place, index).children if child.may_be_image]
