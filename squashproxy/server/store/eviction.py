"""Eviction from a full directory: whole images, the least recently used first."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from squashproxy.digest import Digest
from squashproxy.server.store.ledger import Entry, Ledger
from squashproxy.server.store.spools import StoreFull

GRACE = 60.0
"""Seconds in which a client that has a manifest may ask for its blobs; nothing is evicted then."""


def evict(
    ledger: Ledger,
    max_bytes: int,
    held: AbstractSet[Digest],
    now: float,
    unlink: Callable[[Digest], None],
) -> list[Digest]:
    """Remove entries until at most `max_bytes` are kept; return the digests of those removed.

    An image stays while it is being pulled: while a part of it is `held`, or was used in the last
    GRACE seconds, even if the bound is exceeded. `unlink` removes the file of a digest.
    """
    excess = ledger.used_bytes() - max_bytes
    if excess <= 0:
        return []
    evicted: list[Entry] = []
    before = now - GRACE
    for root in ledger.idle_roots(before):
        if sum(entry.size for entry in evicted) >= excess:
            break
        if _is_in_use(ledger, root, held, before):
            continue
        try:
            removed = _remove(ledger, root)
        except StoreFull:  # the ledger itself needs room, so the files go first
            for digest in (root.digest, *ledger.own_children(root.digest)):
                unlink(digest)
            removed = _remove(ledger, root)
        for entry in removed:
            unlink(entry.digest)
        evicted += removed
    return [entry.digest for entry in evicted]


def _is_in_use(ledger: Ledger, root: Entry, held: AbstractSet[Digest], before: float) -> bool:
    if root.media_type is None:
        return root.digest in held
    return not held.isdisjoint(ledger.tree(root.digest)) or not ledger.is_idle(root.digest, before)


def _remove(ledger: Ledger, root: Entry) -> list[Entry]:
    """Forget a root and the blobs that no other manifest needs."""
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
