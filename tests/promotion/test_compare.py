"""Comparing a batch of images: each gets its own step, and the state is asked once for all."""

from __future__ import annotations

import time
from collections.abc import Iterable

from squashproxy.config.promote import PromoteRule
from squashproxy.database import Database
from squashproxy.digest import Digest
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.promotion.compare import Comparer
from squashproxy.promotion.pairs import Pair as Names
from squashproxy.promotion.steps import Collision
from squashproxy.reference import parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.state.database import open_state
from squashproxy.state.manifests import ManifestMemory
from tests.promotion.pair import SIMPLE, Pair


class _Counting(ManifestMemory):
    """A memory that notes of how many manifests each question was."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, time.time)
        self.asked: list[int] = []

    def find_all(self, digests: Iterable[Digest]) -> dict[Digest, RawManifest]:
        wanted = list(digests)
        self.asked.append(len(wanted))
        return super().find_all(wanted)


def test_each_image_of_a_batch_gets_its_own_step_and_the_state_is_asked_once(pair: Pair) -> None:
    pair.push("apps/web", "1", "2", "3", "4", "gone", "new")
    assert pair.promote(SIMPLE)[0] == 0
    pair.old.drop_tag("apps/web", "gone")
    pair.new.drop_tag("prod/web", "new")
    sources = {tag: f"{pair.old.host}/apps/web:{tag}" for tag in ("1", "2", "gone", "new", "4")}
    names = [
        Names(
            parse_reference(source),
            parse_reference(f"{pair.new.host}/prod/web:{tag}"),
            refusal=Collision("it is taken") if tag == "4" else None,
        )
        for tag, source in sources.items()
    ]
    rule = PromoteRule(name="apps", target="new")
    with open_state(pair.folder / "state") as database:
        memory = _Counting(database)
        with RegistryClient(cache=memory) as client:
            pair.new.forget_requests()
            steps = Comparer(client).steps(rule, names, CopyOptions())
    assert {step.source.tag: step.outcome.value for step in steps} == {
        "1": "current",
        "2": "current",
        "gone": "failed",
        "new": "copy",
        "4": "refused",
    }
    assert [str(step.error) for step in steps if step.outcome.value == "refused"] == ["it is taken"]
    assert memory.asked == [2, 1], (
        "both targets that are there, then the source that is to be copied"
    )
    kinds = [exchange.method for exchange in pair.new.requests]
    assert kinds.count("HEAD") == 3, "one for each image that is there, or not yet"
