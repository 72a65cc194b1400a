"""Paths that stand twice in one layer: the last wins, as unpackers do."""

from __future__ import annotations

from collections.abc import Iterable

from squashproxy.archive.scanner import TarScanner


def find_superseded(chunks: Iterable[bytes], where: str) -> frozenset[int]:
    """The ordinals of the entries that a later entry of the same layer replaces."""
    latest: dict[bytes, int] = {}
    superseded = set()
    scanner = TarScanner(where, 0)
    for chunk in chunks:
        scanner.feed(chunk)
        while scanner.advance():
            earlier = latest.get(scanner.path)
            if earlier is not None:
                superseded.add(earlier)
            latest[scanner.path] = scanner.ordinal
            scanner.drop()
        scanner.take()
    scanner.finish()
    return frozenset(superseded)
