"""Holding rules, so that no two processes run the same one: on this machine, and in the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from squashproxy.automation.context import Context
from squashproxy.state.locks import held


@contextmanager
def hold_rules(
    context: Context, section: str, rules: Sequence[str]
) -> Iterator[Callable[[], None]]:
    """Hold some rules while the block runs; gives a function that raises where one may be lost.

    Raises RuleBusy where another process runs one of them, UsageError where lock files cannot be
    made, and with a fleet what Fleet.hold does.
    """
    with held(context.folder, section, rules):
        if context.fleet is None:
            yield lambda: None
        else:
            with context.fleet.hold(section, rules) as hold:
                yield hold.check
