"""The tags of a repository that a rule promotes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from squashproxy.cleanup.graph import subject_of_tag
from squashproxy.config.promote import TagSelection
from squashproxy.rules.dates import believable

Dated = Callable[[Sequence[str]], dict[str, float | None]]
"""Returns when the images of tags were made, in unix seconds; a vanished tag is left out."""


def choose_tags(
    tags: Sequence[str], selection: TagSelection, dates: Dated, now: float
) -> list[str]:
    """The tags that meet every condition. Dates are asked for only where a condition needs them.

    Tags that belong to another image, as cosign's do, are never promoted by themselves. An image
    without a date, or with a future one, is neither young nor among the newest.
    """
    named = [tag for tag in tags if is_named(tag, selection)]
    wants_dates = (selection.newest, selection.younger_than, selection.older_than)
    if wants_dates == (None, None, None) or not named:
        return named
    known = {tag: believable(date, now) for tag, date in dates(named).items()}
    dated = [(date, tag) for tag, date in known.items() if date is not None]
    if selection.younger_than is not None:
        dated = [each for each in dated if now - each[0] < selection.younger_than]
    if selection.older_than is not None:
        dated = [each for each in dated if now - each[0] >= selection.older_than]
    dated.sort(reverse=True)
    chosen = {tag for _, tag in dated[: selection.newest]}
    return [tag for tag in named if tag in chosen]


def is_named(tag: str, selection: TagSelection) -> bool:
    """Whether a tag meets all conditions except those on dates."""
    return subject_of_tag(tag) is None and selection.names(tag)
