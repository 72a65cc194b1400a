"""Pairs of source and target, decided by name alone, before any image is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from squashproxy.config.succession import Key, Succession, key_of
from squashproxy.promotion.steps import Collision
from squashproxy.reference import Reference


@dataclass(frozen=True, slots=True)
class Pair:
    """A source image and its target; `refusal` says why it is not promoted.

    `tags` are all tags of the source's repository, None where they were not listed.
    """

    source: Reference
    target: Reference
    tags: frozenset[str] | None = None
    refusal: Collision | None = None


def settled(pairs: Iterable[Pair], succession: Succession) -> list[Pair]:
    """The pairs, each once.

    Two pairs with the same target are refused, and so is one that would be promoted again forever.
    """
    distinct = {
        (key_of(each.source), each.source.digest, key_of(each.target)): each for each in pairs
    }
    by_target: defaultdict[Key, list[Pair]] = defaultdict(list)
    for pair in distinct.values():
        if not _is_in_place(pair):
            by_target[key_of(pair.target)].append(pair)
    return [
        _settled(pair, by_target[key_of(pair.target)], succession)
        for pair in distinct.values()
        # A tag that is the target of another image is not a source of the same target as well.
        if not (_is_in_place(pair) and by_target[key_of(pair.target)])
    ]


def _is_in_place(pair: Pair) -> bool:
    return key_of(pair.source) == key_of(pair.target)


def _settled(pair: Pair, rivals: Sequence[Pair], succession: Succession) -> Pair:
    if len(rivals) > 1:
        other = rivals[0] if rivals[0] is not pair else rivals[1]
        more = f" and {len(rivals) - 2:,} more" if len(rivals) > 2 else ""
        return replace(
            pair,
            refusal=Collision(
                f"{pair.source} and {other.source}{more} both go to {pair.target}, where each run "
                "would replace one by the other; write {path}, {name} or {tag} into 'to', or leave "
                "one of them out"
            ),
        )
    trouble = None if pair.source.digest else succession.trouble_with(pair.source)
    return pair if trouble is None else replace(pair, refusal=Collision(str(trouble)))
