"""What each layer holds and what layers above it hide of it, counted the plain way.

Layers are unpacked from the bottom up with the standard library, each name remembering which entry
it came from; whatever no name comes from at the end is hidden. No code is shared with the product.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.model.layers import OPAQUE, WHITEOUT
from tests.model.node import parent_of

BLOCK = 512


@dataclass(frozen=True, slots=True)
class Counted:
    """One layer: bytes of its tar, entries, and hidden entries with what they take of the tar.

    `payload` are the bytes of the hidden files' content alone.
    """

    unpacked: int
    entries: int
    hidden_entries: int
    hidden_bytes: int
    payload: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a layer: bytes of tar and of content, and the entry that holds its content."""

    layer: int
    number: int
    path: bytes
    taken: int
    size: int
    is_mark: bool
    is_directory: bool
    target: bytes | None


def count_layers(tars: Sequence[bytes]) -> list[Counted]:
    """Count `tars`, base first. No tar may hold a path twice."""
    layers = [list(_entries(number, tar)) for number, tar in enumerate(tars)]
    shown: dict[bytes, _Entry] = {}
    parents = {above for entries in layers for entry in entries for above in _ancestors(entry.path)}
    for entries in layers:
        _unpack(shown, entries, parents)
    alive = {(entry.layer, entry.number) for entry in shown.values()}
    return [_count(tar, entries, alive) for tar, entries in zip(tars, layers, strict=True)]


def _unpack(shown: dict[bytes, _Entry], entries: Sequence[_Entry], parents: set[bytes]) -> None:
    """Put the entries over what is `shown`; nothing lies below a path that is not in `parents`."""
    for entry in entries:
        if entry.is_mark:
            _hide(shown, entry.path)
    for entry in entries:
        if not entry.is_mark:
            if not entry.is_directory and entry.path in parents:
                _remove_below(shown, entry.path)
            for above in _ancestors(entry.path):
                if above in shown and not shown[above].is_directory:
                    del shown[above]
            shown[entry.path] = entry


def _hide(shown: dict[bytes, _Entry], path: bytes) -> None:
    name = path.rpartition(b"/")[2]
    if name == OPAQUE:
        _remove_below(shown, parent_of(path))
        return
    parent = parent_of(path)
    hidden = (parent + b"/" if parent else b"") + name.removeprefix(WHITEOUT)
    _remove_below(shown, hidden)
    shown.pop(hidden, None)


def _remove_below(shown: dict[bytes, _Entry], path: bytes) -> None:
    prefix = path + b"/" if path else b""
    for name in [name for name in shown if name.startswith(prefix) and name not in (path, b"")]:
        del shown[name]


def _count(tar: bytes, entries: Sequence[_Entry], alive: set[tuple[int, int]]) -> Counted:
    """A file whose name is hidden, but not all of its links, is not hidden."""
    by_path = {entry.path: entry for entry in entries}
    held = {
        _file_of(entry, by_path).number for entry in entries if (entry.layer, entry.number) in alive
    }
    hidden = [
        entry
        for entry in entries
        if not entry.is_mark
        and (entry.layer, entry.number) not in alive
        and entry.number not in held
    ]
    return Counted(
        unpacked=len(tar),
        entries=len(entries),
        hidden_entries=len(hidden),
        hidden_bytes=sum(entry.taken for entry in hidden),
        payload=sum(entry.size for entry in hidden),
    )


def _file_of(entry: _Entry, by_path: dict[bytes, _Entry]) -> _Entry:
    while entry.target is not None and entry.target in by_path:
        entry = by_path[entry.target]
    return entry


def _entries(layer: int, tar: bytes) -> Iterator[_Entry]:
    with tarfile.open(
        fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for number, info in enumerate(archive):
            path = _clean(info.name)
            size = info.size if info.isreg() else 0
            yield _Entry(
                layer=layer,
                number=number,
                path=path,
                taken=info.offset_data - info.offset + -(-size // BLOCK) * BLOCK,
                size=size,
                is_mark=path.rpartition(b"/")[2].startswith(WHITEOUT),
                is_directory=info.isdir(),
                target=_clean(info.linkname) if info.islnk() else None,
            )


def _ancestors(path: bytes) -> Iterator[bytes]:
    while path:
        path = parent_of(path)
        yield path


def _clean(name: str) -> bytes:
    raw = name.encode("utf-8", "surrogateescape")
    return b"/".join(part for part in raw.split(b"/") if part not in (b"", b"."))
