"""The tags of a repository (distribution specification, listing tags)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Json
from squashproxy.registry.calls import Caller
from squashproxy.registry.pages import Listing, iter_names, iter_pages
from squashproxy.registry.scopes import pull


@dataclass(frozen=True, slots=True)
class ListedManifest:
    """What a list of tags says of a manifest, as Google's do; `uploaded` in unix seconds."""

    digest: Digest
    tags: tuple[str, ...]
    uploaded: float | None


@dataclass(frozen=True, slots=True)
class TagList:
    """The tags, and the manifests that some registries list beside them, tagged or not."""

    tags: tuple[str, ...]
    manifests: tuple[ListedManifest, ...]


def iter_tags(caller: Caller) -> Iterator[str]:
    """Every tag once, in the registry's order."""
    return iter_names(caller, _listing(caller))


def list_tags(caller: Caller) -> TagList:
    """Every tag once, and what the registry says of manifests beside them."""
    listing = _listing(caller)
    tags: dict[str, None] = {}
    manifests: dict[Digest, ListedManifest] = {}
    for document in iter_pages(caller, listing):
        tags.update(dict.fromkeys(map(str, listing.read(document))))
        manifests.update((each.digest, each) for each in _manifests(document))
    return TagList(tuple(tags), tuple(manifests.values()))


def _listing(caller: Caller) -> Listing:
    path = caller.repository.path
    return Listing(
        f"/v2/{path}/tags/list",
        "tags",
        f"the list of tags of {path}",
        f"the list of tags of {caller.repository}",
        pull(path),
    )


def _manifests(document: Json) -> Iterator[ListedManifest]:
    listed = document.get("manifest")
    if not isinstance(listed, dict):
        return
    for name, fields in listed.items():
        if not isinstance(fields, Mapping):
            continue
        try:
            digest = parse_digest(str(name))
        except FormatError:
            continue
        tags = fields.get("tag")
        uploaded = str(fields.get("timeUploadedMs") or "")
        yield ListedManifest(
            digest,
            tuple(map(str, tags)) if isinstance(tags, list) else (),
            int(uploaded) / 1000 if uploaded.isdecimal() else None,
        )
