"""The tags of a repository (distribution specification, listing tags)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from squashproxy.decimals import parse_decimal
from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Json
from squashproxy.printable import quoted
from squashproxy.reference import is_tag
from squashproxy.registry.auth.scopes import pull
from squashproxy.registry.caller import Caller
from squashproxy.registry.name_lists import NameList, NameListReader

_MANIFEST_BYTES = 512
"""ManifestCache of one ListedManifest without its tags."""

_LAST_SECOND = 253402300799
"""The end of the year 9999, in unix seconds; later dates are invalid."""


@dataclass(frozen=True, slots=True)
class ListedManifest:
    """A manifest in a list of tags, as Google's lists have them; `uploaded` is in unix seconds."""

    digest: Digest
    tags: tuple[str, ...]
    uploaded: float | None


@dataclass(frozen=True, slots=True)
class TagList:
    """The tags, and the manifests that some registries list beside them, tagged or not.

    `pages` is how many pages the list took.
    """

    tags: tuple[str, ...]
    manifests: tuple[ListedManifest, ...]
    pages: int = 1


def iter_listed_names(caller: Caller) -> Iterator[str]:
    """Every name that the registry lists as a tag, once and in its order, valid or not."""
    return NameListReader(caller, _listing(caller)).iter_names()


def iter_tags(caller: Caller) -> Iterator[str]:
    """Every tag once, in the registry's order.

    Raises FormatError where a listed name is no valid tag: such a list cannot be right.
    """
    listing = _listing(caller)
    for name in NameListReader(caller, listing).iter_names():
        _check_tags((name,), listing.where)
        yield name


def list_tags(caller: Caller) -> TagList:
    """Every tag once, and the manifests that some registries list beside them.

    Raises FormatError if a listed name is not a valid tag.
    """
    listing = _listing(caller)
    reader = NameListReader(caller, listing)
    tags: list[str] = []
    manifests: dict[Digest, ListedManifest] = {}
    pages = 0
    for page in reader.iter_pages():
        pages += 1
        _check_tags(page.new, listing.where)
        tags += page.new
        for each in _manifests(page.document):
            _check_tags(each.tags, listing.where)
            reader.hold(_MANIFEST_BYTES + sum(map(sys.getsizeof, each.tags)))
            manifests[each.digest] = each
    return TagList(tuple(tags), tuple(manifests.values()), pages)


def _check_tags(names: Iterable[str], where: str) -> None:
    for name in names:
        if not is_tag(name):
            raise FormatError(
                f"{where} holds {quoted(name)}, which is no tag, so nothing is done by it",
                advice="see what the registry, or a proxy before it, answers",
            )


def _listing(caller: Caller) -> NameList:
    path = caller.repository.path
    return NameList(
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
        yield ListedManifest(
            digest,
            tuple(map(_name, tags)) if isinstance(tags, list) else (),
            _seconds(fields.get("timeUploadedMs")),
        )


def _name(tag: object) -> str:
    """A tag as it is listed; for a value that is not text, something that is not a valid tag."""
    return tag if isinstance(tag, str) else ""


def _seconds(milliseconds: object) -> float | None:
    """Unix seconds; None for an invalid date, and for 0, which stands for none."""
    number = parse_decimal(str(milliseconds)) if isinstance(milliseconds, (str, int)) else None
    seconds = (number or 0) / 1000
    return seconds if 0 < seconds <= _LAST_SECOND else None
