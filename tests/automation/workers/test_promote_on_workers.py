"""Promotion on workers ends as in one process: results, reports, exit codes and tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

import pytest

from squashproxy.testing import ImageBuilder
from tests.automation.workers.twin import Ended, Registries, Twin, same
from tests.cleanup.room import image
from tests.promotion.pair import sign
from tests.promotion.test_base_order import IMAGES

_BASED = "j"


class Push(Protocol):
    def __call__(self, registries: Registries, /, case: str) -> object: ...


def _plain(registries: Registries, case: str) -> None:
    for repo in (f"{case}/web", f"{case}/api"):
        for number, tag in enumerate(("v1", "dev"), 1):
            image(f"{repo}{tag}", f"2026-0{number}-01T00:00:00Z").push(registries.old, repo, tag)


def _signed(registries: Registries, case: str) -> None:
    _plain(registries, case)
    built = image(f"{case}/webv1", "2026-01-01T00:00:00Z")
    sign(registries.old, f"{case}/web", built.manifest.descriptor)


def _troubled(registries: Registries, case: str) -> None:
    """One image lacks a layer, and the tag of another one is taken at the target."""
    _plain(registries, case)
    broken = image("broken")
    broken.push(registries.old, f"{case}/web", "broken")
    registries.old.drop_blob(f"{case}/web", max(broken.blobs))
    image("theirs").push(registries.new, f"prod/{case}/web", "v1")


def _stacked(registries: Registries, case: str) -> None:
    """Bases and what is built on them, in one repository; the bases come last by name."""
    for tag, layers in IMAGES.items():
        builder = ImageBuilder()
        for layer in layers:
            builder.layer(layer)
        builder.build().push(registries.old, f"{case}/all", tag)


CASES: dict[str, tuple[str, Push, str, list[str]]] = {
    "squashed": ("a", _plain, "", ["copied"] * 4),
    "pruned": ("b", _plain, "mode: prune", ["copied"] * 4),
    "copied with signatures": ("c", _signed, "mode: copy", ["copied"] * 4),
    "squashed beside signed originals": ("d", _signed, "signed: copy", ["copied"] * 4),
    "with hooks, of which the second fails": (
        "e",
        _plain,
        "hooks: {before: {command: ['true']}, after: {command: ['false']}}",
        ["copied"] * 4,
    ),
    "with a hook that forbids it": (
        "f",
        _plain,
        "hooks: {before: {command: ['false']}}",
        ["failed"] * 4,
    ),
    "one that cannot be read, and one that is kept": (
        "g",
        _troubled,
        "on_existing: keep",
        ["copied", "copied", "failed", "copied", "kept"],
    ),
    "with a backup of what was there": (
        "h",
        _troubled,
        "on_existing: backup",
        ["copied", "copied", "failed", "copied", "copied"],
    ),
    "signed images refused": (
        "i",
        _signed,
        "signed: refuse",
        ["copied", "copied", "copied", "refused"],
    ),
    "bases before what is built on them": (
        _BASED,
        _stacked,
        "base_repos: [prod/j/all]",
        ["copied"] * 4,
    ),
}


@pytest.fixture(scope="module")
def ended(shared_twin: Twin) -> Iterator[tuple[Ended, Ended]]:
    rules = "promote:\n"
    for case, push, keys, _ in CASES.values():
        shared_twin.fill(partial(push, case=case))
        rules += f"  - name: {case}\n    from: OLD/{case}/*\n    to: NEW/prod/{{path}}\n"
        rules += f"    {keys}\n" if keys else ""
    shared_twin.write(rules)
    with shared_twin.working():
        yield shared_twin.run("promote")


@pytest.mark.parametrize(
    ("case", "outcomes"), [(each[0], each[3]) for each in CASES.values()], ids=CASES
)
def test_images_end_as_in_one_process(
    ended: tuple[Ended, Ended], case: str, outcomes: list[str]
) -> None:
    local, fleet = (_of_rule(each.document, case) for each in ended)
    assert fleet == local
    assert [each["outcome"] for each in fleet] == outcomes


def test_the_report_and_the_tags_are_those_of_one_process(
    ended: tuple[Ended, Ended], shared_twin: Twin
) -> None:
    local, fleet = ended
    assert (local.code, fleet.code) == (3, 3)
    assert _plain_report(fleet) == _plain_report(local)
    assert sorted(fleet.errors.splitlines()) == sorted(local.errors.splitlines())
    here, there = (_tags(side.registries) for side in (shared_twin.local, shared_twin.fleet))
    assert there == here
    with shared_twin.broker.client as client:
        jobs = [client.hmget(key, "kind", "state") for key in client.scan_iter("squashproxy:job:*")]
    assert Counter(map(tuple, jobs)) == {
        ("scan", "done"): 18,
        ("promote", "done"): 34,
        ("promote", "failed"): 6,
    }, "each repository and each image was a job, but for rules with one repository"


def _of_rule(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in _images(document) if each["rule"] == name]


def _plain_report(ended: Ended) -> dict[str, Any]:
    return {**same(ended.document), "images": _images(ended.document)}


def _images(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The images; without the digest of one that has a base, whose manifest names the host."""
    images: list[dict[str, Any]] = same(document)["images"]
    return [{**each, "digest": None} if each["rule"] == _BASED else each for each in images]


def _tags(registries: Registries) -> dict[str, str]:
    """All tags and digests, without those of images that name the host."""
    place = f"new prod/{_BASED}/"
    return {name: "" if name.startswith(place) else at for name, at in registries.tags.items()}
