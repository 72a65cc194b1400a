"""300 tags through four workers, one of which is killed; a few of them in every run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.automation.workers.test_workers_killed import with_a_killed_worker
from tests.automation.workers.twin import Registries, Twin, same
from tests.cleanup.room import image

_RULE = "promote:\n  - name: apps\n    from: OLD/apps/*\n    to: NEW/prod/{repo}\n"


def _push(count: int) -> Callable[[Registries], None]:
    def push(registries: Registries) -> None:
        for number in range(count):
            image(number).push(registries.old, f"apps/r{number % 10}", f"v{number}")

    return push


@pytest.mark.long
@pytest.mark.parametrize("at", [10, 300, 900])
def test_every_image_arrives(twin: Twin, at: int) -> None:
    twin.fill(_push(300))
    twin.write(_RULE)
    old = twin.fleet.registries.old
    code, document, errors = with_a_killed_worker(
        twin, (old, "GET", "/blobs/", at), "promote", workers=4
    )
    assert code == 0, errors
    assert [each["outcome"] for each in document["images"]] == ["copied"] * 300
    local = twin.local.run("promote")
    assert same(document) == same(local.document)
    assert twin.fleet.registries.tags == twin.local.registries.tags
    second = twin.fleet.run("promote")
    assert [each["outcome"] for each in second.document["images"]] == ["current"] * 300
