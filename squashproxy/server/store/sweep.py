"""Making ledger and files agree after a process was killed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.server.store.ledger import Entry, Ledger
from squashproxy.transports.layout import blob_path


def sweep(root: Path, ledger: Ledger, now: float) -> None:
    """Make ledger and files agree.

    1. An entry whose file is gone or has another size is removed, with the file.
    2. A file without an entry gets one: the process was killed between the two. No repository may
       see it before it has brought the same blob itself, so it is evicted in time.
    3. Partial files are removed.
    """
    for partial in root.glob(".squashproxy-*.partial"):
        with suppress(OSError):
            partial.unlink()
    found = _files(root)
    known = {entry.digest: entry for entry in ledger.entries()}
    with ledger.changes():
        for digest, entry in known.items():
            if found.get(digest) != entry.size:
                ledger.remove(digest)
        for digest, size in found.items():
            if digest not in known:
                ledger.add(Entry(digest, size, None), now)
    for digest, entry in known.items():
        if digest in found and found[digest] != entry.size:
            with suppress(OSError):
                (root / blob_path(digest)).unlink()


def _files(root: Path) -> dict[Digest, int]:
    """The blobs in the folder, with their sizes in bytes."""
    found: dict[Digest, int] = {}
    for path in root.glob("blobs/*/*"):
        try:
            digest = parse_digest(f"{path.parent.name}:{path.name}")
        except FormatError:
            if path.name.startswith(".squashproxy-"):
                path.unlink(missing_ok=True)
            continue
        found[digest] = path.stat().st_size
    return found
