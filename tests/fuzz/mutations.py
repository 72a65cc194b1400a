"""Inputs that are nearly right: seeds with other bytes, and documents with other values."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 5, -1, 1 << 70, 1.5, 1e300, float("inf"), float("nan")),
    *("", "x", "\x1b[2J", "\ud800", "a" * 300, "sha256:", "/", "..", "2026-13-99", "[", "{tag}"),
    *([], [None], [5], ["x"], [[]], [{}], {}, {"a": 5}, {"": None}, {"digest": 5}, {"os": 5}),
)
"""What may stand in place of any value in a JSON document."""

_PATCHES = (
    *(
        b"\0",
        b"\xff",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b";",
        b"=",
        b"/",
        b"\\",
        b"@",
        b"%",
    ),
    *(b"\n", b"\r\n", b"\x1b", b"\xe2\x80\xae", b"null", b"5", b"-1", b"999999999999", b"1e999"),
    *(b"sha256:", b"..", b"://", b"//", b"[::1]", b"*", b"${X}", b"${file:/}", b"{repo}", b"next"),
)


@st.composite
def nearly(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Any bytes, or a seed with some of its bytes taken out, exchanged or repeated."""
    if not seeds or draw(st.integers(0, 4)) == 0:
        return draw(st.binary(max_size=400))
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 0, 1, 2, 8, 64, 512])))
        patch = draw(st.sampled_from(_PATCHES) | st.binary(max_size=8))
        data[at:end] = patch * draw(st.sampled_from([0, 1, 1, 1, 2, 40]))
    return bytes(data)


def iter_places(document: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values in a document."""
    yield place
    if isinstance(document, dict):
        for key in document:
            yield from iter_places(document[key], (*place, key))
    elif isinstance(document, list):
        for number, inner in enumerate(document):
            yield from iter_places(inner, (*place, number))


def exchanged(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place."""
    if not place:
        return value
    changed = copy.deepcopy(document)
    parent = changed
    for part in place[:-1]:
        parent = parent[part]
    parent[place[-1]] = value
    return changed


@st.composite
def nearly_json(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A seed that is a JSON document, with one to three values exchanged, or keys taken out."""
    document = json.loads(draw(st.sampled_from([each for each in seeds if each[:1] == b"{"])))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(iter_places(document))))
        document = exchanged(document, place, draw(st.sampled_from(ODD_VALUES)))
    return json.dumps(document).encode()
