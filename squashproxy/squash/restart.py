"""Merging again where one pass could not know in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from squashproxy.errors import BadArchive
from squashproxy.squash.duplicates import find_superseded
from squashproxy.squash.layer import Layer, MergeOptions
from squashproxy.squash.merge import Merge
from squashproxy.squash.pass_facts import Facts, RestartNeeded, Survey, SurveyNeeded

T = TypeVar("T")


def merge_with_restarts(
    layers: Sequence[Layer], options: MergeOptions, run: Callable[[Merge], T]
) -> T:
    """Return what `run` makes of a merge; look closer and run anew where the merge asks for it.

    `run` consumes the merge's spans and must undo what it did where RestartNeeded passes through.
    """
    restarts = 0
    while True:
        merge = Merge(layers, options)
        merge.report.fallbacks = restarts
        try:
            return run(merge)
        except RestartNeeded as needed:
            options = _learn(layers, options, needed)
            restarts += 1


def _learn(layers: Sequence[Layer], options: MergeOptions, needed: RestartNeeded) -> MergeOptions:
    while True:
        try:
            return replace(options, facts=_look(layers, options, needed))
        except RestartNeeded as other:
            options = _learn(layers, options, other)


def _look(layers: Sequence[Layer], options: MergeOptions, needed: RestartNeeded) -> Facts:
    facts = options.facts
    if needed.layer in facts.superseded and not isinstance(needed, SurveyNeeded):
        raise BadArchive(
            f"{layers[needed.layer].where} changed between two readings, or holds a path so often "
            "that no rule tells which entry counts; build the image again"
        )
    if isinstance(needed, SurveyNeeded):
        found = survey(layers, options)
        return replace(facts, described=found.described, replaced=frozenset(found.replaced))
    layer = layers[needed.layer]
    superseded = find_superseded(layer)
    return replace(facts, superseded={**facts.superseded, needed.layer: superseded})


def survey(layers: Sequence[Layer], options: MergeOptions) -> Survey:
    """Read all layers above the base for what a merge must know of directories beforehand.

    Raises what a merge raises, also DuplicatePath.
    """
    found = Survey()
    Merge(layers, replace(options, on_hidden=None, on_revived=None), found).run()
    return found
