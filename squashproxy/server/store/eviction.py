"""What goes when a directory is full: whole images, those first that nobody used for longest."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from squashproxy.digest import Digest
from squashproxy.server.store.ledger import Entry, Ledger

GRACE = 60.0
"""Seconds in which whoever was given a manifest gets to ask for the next blob of it."""


def evict(
    ledger: Ledger,
    most: int,
    held: AbstractSet[Digest],
    now: float,
    unlink: Callable[[Digest], None],
) -> list[Digest]:
    """Remove entries until at most `most` bytes are kept; which they were.

    What a kept manifest needs stays, and so does an image that is being pulled: one of which any
    part was used in the last GRACE seconds, or is `held`. The bound is passed rather than that.
    """
    excess = ledger.used_bytes() - most
    if excess <= 0:
        return []
    evicted: list[Entry] = []
    before = now - GRACE
    for root in ledger.idle_roots(before):
        if sum(entry.size for entry in evicted) >= excess:
            break
        if not _is_in_use(ledger, root, held, before):
            evicted += _remove(ledger, root)
    for entry in evicted:
        unlink(entry.digest)
    return [entry.digest for entry in evicted]


def _is_in_use(ledger: Ledger, root: Entry, held: AbstractSet[Digest], before: float) -> bool:
    if root.media_type is None:
        return root.digest in held
    return not held.isdisjoint(ledger.tree(root.digest)) or not ledger.is_idle(root.digest, before)


def _remove(ledger: Ledger, root: Entry) -> list[Entry]:
    """Forget a root and what it alone needed: blobs of an image that is gone serve nobody."""
    removed: list[Entry] = []
    with ledger.changes():
        orphans = [root]
        while orphans:
            entry = orphans.pop()
            children = ledger.children(entry.digest)
            ledger.remove(entry.digest)
            removed.append(entry)
            orphans += [child for child in children if not ledger.is_needed(child.digest)]
    return removed
