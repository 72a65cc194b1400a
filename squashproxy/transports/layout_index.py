"""Editing the `index.json` of a layout (OCI image specification, image-layout.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.oci.mediatypes import OCI_INDEX
from squashproxy.registry.referrers import fallback_tag, subject_of, with_referrer
from squashproxy.transports.layout import REF_NAME


def empty_index() -> Json:
    """An index without images."""
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def with_image(index: Json, manifest: RawManifest, annotations: Mapping[str, str]) -> Json:
    """The index with an image in place of the one with the same name, or without a name."""
    name = annotations.get(REF_NAME)
    entry = manifest.descriptor.to_json()
    if annotations:
        entry["annotations"] = dict(annotations)
    others = [other for other in index["manifests"] if _name_of(other) != name]
    return {**index, "manifests": [*others, entry]}


@dataclass(frozen=True, slots=True)
class Companions:
    """What is to appear in an index together with an image, because it refers to it."""

    referrers: list[RawManifest] = field(default_factory=list)
    tags: dict[str, RawManifest] = field(default_factory=dict)

    def by_name(
        self, list_referrers: Callable[[Digest], Sequence[Descriptor]]
    ) -> dict[str, RawManifest]:
        """What the index must name: the tags, and the lists of the referrers.

        `list_referrers` gives what is listed already for a subject.
        """
        lists: dict[Digest, RawManifest] = {}
        for raw in self.referrers:
            subject = subject_of(raw)
            known = lists.get(subject)
            listed = list_referrers(subject) if known is None else _entries(known)
            changed = with_referrer(listed, raw)
            if changed is not None:
                lists[subject] = changed
        return {**self.tags, **{fallback_tag(each): raw for each, raw in lists.items()}}


def _entries(raw: RawManifest) -> list[Descriptor]:
    index = parse_manifest(raw, "the list of referrers")
    assert isinstance(index, ImageIndex), "it was made as one"
    return [child.descriptor for child in index.children]


def _name_of(entry: Json) -> object:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None
