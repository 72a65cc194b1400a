"""Filling a ledger anew from what lies in the folder, after the old one was lost.

`index.json` names squashed images with their repositories, and says what each was made from. So
these are found again, with all that they need. Other blobs belong to nobody until a repository
brings them again.

An index of an earlier version does not say it. There, annotations of the images do, although one
that squashing left as it was may carry any of its maker's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from squashproxy.digest import Digest, digest_of, parse_digest
from squashproxy.errors import BadReference, SquashproxyError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.pipeline.stamp import OPTIONS, SOURCE
from squashproxy.reference import Reference, parse_reference
from squashproxy.registry.referrers import subject_in
from squashproxy.server.store.base import SquashKey
from squashproxy.server.store.ledger import Entry, Ledger
from squashproxy.transports.layout import INDEX, REF_NAME, blob_path

_WHAT = "a manifest in the store"
_DEEPEST = 4


def refill(root: Path, ledger: Ledger, now: float) -> None:
    """Enter the squashed images that the folder's index names; its files are entered already."""
    for image, result in _named(root):
        with ledger.changes():
            if _enter(root, ledger, result, now):
                ledger.link_tree(image.repository, result.digest)
                ledger.name(str(image), result.digest)
                subject = subject_in(image.tag or "")
                if subject is not None:
                    ledger.need(subject, [result.digest])
        key = _key_of(root, image, result)
        if key is not None:
            ledger.share_result(key, result.digest, now)


def _named(root: Path) -> Iterator[tuple[Reference, Descriptor]]:
    """The images that `index.json` names, with their names."""
    try:
        entries = json.loads((root / INDEX).read_bytes())["manifests"]
        named = [(each["annotations"][REF_NAME], each) for each in entries]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name, each in named:
        try:
            stated = {"annotations": dict(each["annotations"])}
            digest, size = parse_digest(each["digest"]), int(each["size"])
            found = Descriptor(each["mediaType"], digest, size, stated)
            yield parse_reference(name), found
        except (BadReference, SquashproxyError, ValueError, KeyError, TypeError):
            continue


def _enter(root: Path, ledger: Ledger, at: Descriptor, now: float, depth: int = 0) -> bool:
    """Enter a manifest and those below it; False if it is not there, or damaged."""
    raw = _read(root, at)
    if raw is None or depth > _DEEPEST:
        return False
    try:
        parsed = parse_manifest(raw, _WHAT)
    except SquashproxyError:
        return False
    ledger.add(Entry(at.digest, at.size, at.media_type), now)
    if isinstance(parsed, ImageIndex):
        children = [child.descriptor for child in parsed.children]
        for child in children:
            _enter(root, ledger, child, now, depth + 1)
    else:
        children = [parsed.config, *parsed.layers]
    ledger.need(at.digest, [child.digest for child in children])
    return True


def _key_of(root: Path, image: Reference, result: Descriptor) -> SquashKey | None:
    stated = result.annotations
    try:
        if SOURCE not in stated:
            raw = _read(root, result)
            stated = parse_manifest(raw, _WHAT).annotations if raw is not None else {}
        source: Digest = parse_digest(stated.get(SOURCE, ""))
    except SquashproxyError:
        return None
    return SquashKey(image.repository, source, stated.get(OPTIONS, ""))


def _read(root: Path, at: Descriptor) -> RawManifest | None:
    try:
        data = (root / blob_path(at.digest)).read_bytes()
    except OSError:
        return None
    return RawManifest(data, at.media_type) if digest_of(data) == at.digest else None
