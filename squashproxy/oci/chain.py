"""Chain IDs: each names a layer together with all layers below it (OCI image specification,
config.md, section "Layer ChainID").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from squashproxy.digest import Digest, digest_of


def chain_ids(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """The chain ID of every layer; `diff_ids` are those of an image's layers, base first."""
    found: list[Digest] = []
    for diff_id in diff_ids:
        found.append(digest_of(f"{found[-1]} {diff_id}".encode()) if found else diff_id)
    return tuple(found)


def chain_id(diff_ids: Sequence[Digest]) -> Digest | None:
    """The chain ID of all layers of an image; None where it has no layers."""
    return chain_ids(diff_ids)[-1] if diff_ids else None
