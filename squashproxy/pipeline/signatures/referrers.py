"""The referrers of a manifest, by the registry's list or by the one under a tag."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import FormatError, NotFound
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, parse_manifest
from squashproxy.registry.referrers import fallback_tag
from squashproxy.transports.base import ImageReader, ReferrerSource


def find_referrers(source: ImageReader, digest: Digest, doubts: list[str]) -> list[Descriptor]:
    """What refers to a manifest of a source; nothing where the place keeps no referrers.

    A list that cannot be read is told in `doubts`. Raises RegistryError.
    """
    if not isinstance(source, ReferrerSource):
        return []
    listed = source.list_referrers(digest)
    if listed is not None:
        return list(listed)
    there = source.find_tag(fallback_tag(digest))
    if there is None or there == digest:
        return []
    where = f"the list of referrers {there} of {source.name}"
    try:
        parsed = parse_manifest(source.read_manifest(there), where)
    except (FormatError, NotFound) as error:
        doubts.append(str(error))
        return []
    if not isinstance(parsed, ImageIndex):
        return []
    return [child.descriptor for child in parsed.children]
