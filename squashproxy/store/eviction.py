"""What goes when a directory is full: whole images, those first that nobody used for longest."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from squashproxy.digest import Digest
from squashproxy.store.ledger import Entry, Ledger

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
    evicted: list[Digest] = []
    excess = ledger.used_bytes() - most
    while excess > 0:
        removed = _evict_round(ledger, excess, held, now - GRACE, unlink)
        if not removed:
            break
        evicted.extend(entry.digest for entry in removed)
        excess -= sum(entry.size for entry in removed)
    return evicted


def _evict_round(
    ledger: Ledger,
    excess: int,
    held: AbstractSet[Digest],
    before: float,
    unlink: Callable[[Digest], None],
) -> list[Entry]:
    """Remove roots, the oldest first; what they needed may be a root in the next round."""
    removed: list[Entry] = []
    for root in ledger.idle_roots(before):
        if sum(entry.size for entry in removed) >= excess:
            break
        if _is_in_use(ledger, root, held, before):
            continue
        with ledger.changes():
            ledger.remove(root.digest)
        unlink(root.digest)
        removed.append(root)
    return removed


def _is_in_use(ledger: Ledger, root: Entry, held: AbstractSet[Digest], before: float) -> bool:
    if root.media_type is None:
        return root.digest in held
    return not held.isdisjoint(ledger.tree(root.digest)) or not ledger.is_idle(root.digest, before)
