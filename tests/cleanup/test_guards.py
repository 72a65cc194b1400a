"""Every guard is needed: without it, some story of test_property.py ends in a loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cleanup.apply.guard import Guard
from squashproxy.cleanup.apply.remove import Remover
from squashproxy.cleanup.apply.restore import Restorer
from squashproxy.cleanup.apply.squash_in_place import GuardedSink
from squashproxy.cleanup.apply.watch import Watch
from squashproxy.cleanup.graph import Graph
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.cleanup.make_plan import _Planner
from squashproxy.errors import SquashproxyError
from squashproxy.transports.registry import RegistrySink
from tests.cleanup.room import room_maker
from tests.cleanup.test_property import MANY_SEEDS, tell

pytestmark = pytest.mark.long


def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


def never(*_: Any) -> bool:
    return False


def protect_alone(self: Guard, digest: Any) -> list[Any]:
    self._protected.add(digest)
    return [digest]


def believe_the_plan(self: Remover, tags: Any) -> dict[str, Any]:
    return {tag: self._watch._tags.get(tag) for tag in tags}


GUARDS: Mapping[str, tuple[Any, str, Any]] = {
    "what stays keeps what it needs": (_Planner, "_find_needed", lambda *_: set()),
    "what needs a subject keeps it": (Graph, "needed_by", Graph.below),
    "referrers are asked for": (GraphLoader, "with_referrers", lambda _self, graph, _: graph),
    "what moved is protected": (Guard, "holds", never),
    "and all that it holds": (Guard, "protect", protect_alone),
    "tags are looked at between deletions": (Remover, "_look_around", nothing),
    "each tag right before it goes": (Remover, "_ask", believe_the_plan),
    "all tags after the last deletion": (Remover, "_look_last", nothing),
    "what went in that moment comes back": (Restorer, "put_back_deleted", nothing),
    "and its tag": (Remover, "_may_be_ours", never),
    "deletions are remembered": (Watch, "is_deleted", never),
    "a manifest that went with its tag comes back": (Remover, "_check_survival", nothing),
    "a squashed tag moves only from where it was": (GuardedSink, "publish", RegistrySink.publish),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_without_this_guard_something_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: str
) -> None:
    place, name, instead = GUARDS[guard]
    monkeypatch.setattr(place, name, instead)
    for seed in MANY_SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        with room_maker(folder) as rooms:
            try:
                tell(rooms, seed, chance=0.1).check()
            except (AssertionError, SquashproxyError):
                return
    pytest.fail(f"{len(MANY_SEEDS)} stories end well without it")
