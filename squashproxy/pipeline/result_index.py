"""The index of a result: its images in place of the source's, and no claim that became false."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from squashproxy.oci.conversion import index_as_oci
from squashproxy.oci.descriptor import Descriptor, annotations_of
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_json_object
from squashproxy.pipeline.bases.base import without_base
from squashproxy.pipeline.bases.base_image import BASE_DIGEST, BASE_NAME
from squashproxy.pipeline.image import without_values
from squashproxy.pipeline.platforms import Selection
from squashproxy.pipeline.stamp import Stamp
from squashproxy.transports.documents import in_place_of


def is_unchanged(selection: Selection, results: Sequence[RawManifest]) -> bool:
    """Whether no image of an index changed and nothing of it is left out."""
    before = [child.descriptor.digest for child in selection.children]
    return selection.is_whole and before == [result.digest for result in results]


def result_index(
    source: ImageIndex,
    selection: Selection,
    results: Sequence[RawManifest],
    stamp: Stamp,
    *,
    docker: bool,
) -> RawManifest:
    """The index with the `results` in place of the images of `selection`; also those of indexes in
    it become its own. Without `docker`, it has OCI's media types.

    Annotations of the index about a base are removed: those of the images are right about theirs.
    So are all that name content which is gone.
    """
    before = [child.descriptor for child in selection.children]
    after = {result.digest for result in results}
    gone = selection.left_out | {each.digest for each in before if each.digest not in after}
    children = [_entry(old, new, gone) for old, new in zip(before, results, strict=True)]
    kept = without_base(without_values(source.annotations, gone))
    fitting = source if docker else index_as_oci(source)
    return fitting.with_children(children, {**kept, **stamp.annotations})


def _entry(old: Descriptor, result: RawManifest, gone: Collection[str]) -> Descriptor:
    """The entry of a result, with what the entry `old` said of its source and is true of it."""
    new = in_place_of(old, result.descriptor)
    if not new.annotations:
        return new
    annotations = without_values(new.annotations, gone)
    if new.digest != old.digest:
        own = annotations_of(parse_json_object(result.data, "a result"))
        both = [key for key in (BASE_NAME, BASE_DIGEST) if key in annotations and key in own]
        stated = {key: own[key] for key in both}
        annotations = {**without_base(annotations), **stated}
    extra = {key: new.extra[key] for key in new.extra if key != "annotations"}
    if annotations:
        extra["annotations"] = annotations
    return replace(new, extra=extra)
