"""Merges again after a pass that lacked a fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from squashproxy.errors import BadArchive
from squashproxy.squash.duplicates import find_superseded
from squashproxy.squash.layer import MergeOptions, ScannedLayer
from squashproxy.squash.merge import Merge
from squashproxy.squash.pass_facts import (
    EarlyNeeded,
    Facts,
    RestartNeeded,
    Survey,
    SurveyNeeded,
)

T = TypeVar("T")

_FEW = 3
"""After so many layers with duplicate paths, all others are looked at in advance."""


def merge_with_restarts(
    layers: Sequence[ScannedLayer], options: MergeOptions, run: Callable[[Merge], T]
) -> T:
    """Return the result of `run` on a merge that has all the facts it needs.

    `run` consumes the merge's spans. When the merge raises RestartNeeded, the missing facts are
    gathered and `run` is called again with a new merge; `run` must undo what it did before it lets
    the exception through. Raises BadArchive for a layer that changes between two readings, and what
    `run` raises.
    """
    restarts = 0
    while True:
        merge = Merge(layers, options, fallbacks=restarts)
        try:
            return run(merge)
        except RestartNeeded as needed:
            options = _learn(layers, options, needed)
            restarts += 1


def _learn(
    layers: Sequence[ScannedLayer], options: MergeOptions, needed: RestartNeeded
) -> MergeOptions:
    while True:
        try:
            return replace(options, facts=_look(layers, options, needed))
        except RestartNeeded as other:
            options = _learn(layers, options, other)


def _look(layers: Sequence[ScannedLayer], options: MergeOptions, needed: RestartNeeded) -> Facts:
    facts = options.facts
    if isinstance(needed, EarlyNeeded):
        return replace(facts, early=needed.early)
    if needed.layer in facts.superseded and not isinstance(needed, SurveyNeeded):
        raise BadArchive(
            f"{layers[needed.layer].where} changed between two readings, or holds a path so "
            "often that no rule tells which entry counts",
            advice="build the image again",
        )
    if isinstance(needed, SurveyNeeded):
        found = survey(layers, options)
        return replace(facts, described=found.described, replaced=frozenset(found.replaced))
    superseded = {
        number: find_superseded(layers[number], options)
        for number in _suspects(len(facts.superseded), needed.layer, options.kept)
        if number not in facts.superseded
    }
    return replace(facts, superseded={**facts.superseded, **superseded})


def _suspects(known: int, layer: int, kept: int) -> range:
    """The layers to look for duplicate paths in: this one, or all that follow it.

    Each layer that turns out to have some costs another reading of all above it. So after a few
    the others are looked at in advance.
    """
    if known < _FEW:
        return range(layer, layer + 1)
    return range(kept if layer >= kept else 0, layer + 1)


def survey(layers: Sequence[ScannedLayer], options: MergeOptions) -> Survey:
    """Read all layers above the base for the facts about directories that a merge needs first.

    Raises what a merge raises, DuplicatePath included.
    """
    found = Survey()
    Merge(layers, replace(options, on_hidden=None, on_revived=None, on_listing=None), found).run()
    return found
