"""Whoever can write to the broker can write any job: a worker does no more than its rules would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from squashproxy.automation.cleanup import clean_up
from squashproxy.automation.context import open_context
from squashproxy.automation.options import RunOptions
from squashproxy.automation.worker_handlers import open_handlers
from squashproxy.automation.workers.rules import errand
from squashproxy.cancellation import Cancellation
from squashproxy.cleanup.apply.agreement import NotPlannedNow
from squashproxy.cleanup.apply.distrust import CannotJudge
from squashproxy.cleanup.results import StepOutcome
from squashproxy.config.configuration import Configuration
from squashproxy.config.read import parse_configuration
from squashproxy.digest import Digest
from squashproxy.errors import FormatError, PlanRefused, SquashproxyError
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.handlers import Handlers
from squashproxy.fleet.job import JobKind, JobRequest
from squashproxy.fleet.settings import FleetSettings
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import SilentObserver
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.step_form import step_form
from squashproxy.promotion.steps import Step
from squashproxy.reference import parse_reference, parse_repository
from squashproxy.report.observer import LoggingObserver
from squashproxy.testing import FakeRegistry
from squashproxy.testing.images import index_of
from tests.cleanup.room import image
from tests.fleet.redis_server import RedisServer

_RULES = """
state: state
layer_memory: none
registries: {HOST: {retry_for: 0s}}
promote:
  - name: apps
    from: HOST/apps/*
    to: HOST/prod/{repo}
    tags: {include: ["v*"]}
cleanup:
  - name: old
    repositories: ["HOST/app"]
    action: delete
    keep: {tags: [keep, multi], younger_than: 30d, in_use: [in-use.txt]}
    max_deletions: 3
  - name: merged
    repositories: ["HOST/app"]
    action: squash
    keep: {tags: [keep, multi], younger_than: 30d, in_use: [in-use.txt]}
  - name: untagged
    repositories: ["HOST/app"]
    action: delete
    keep: {tags: [keep, multi, young, used, older]}
    untagged: {older_than: 1h}
"""
_YEAR = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class World:
    """A repository of which the rule takes `old` and `older` away, and the worker's handlers."""

    registry: FakeRegistry
    configuration: Configuration
    handlers: Handlers
    fleet: Fleet
    folder: Path
    child: Digest
    loose: Digest

    @property
    def tags(self) -> dict[str, Digest]:
        return self.registry.tags("app")

    def body(self, rule: int = 0) -> dict[str, Any]:
        """An honest job: it takes `old` away."""
        digest = self.tags["old"]
        removal = self.removal(digest, "old")
        plan = {"repository": f"{self.registry.host}/app", "tags": dict(self.tags)}
        empty: dict[str, Any] = dict.fromkeys(("kept", "untag", "squash", "left", "warnings"), ())
        sizes = {"manifests": 1, "bytes": 1, "freed_bytes": 1, "problem": None}
        task = {
            "plan": {**plan, **empty, **sizes, "remove": [removal]},
            "is_exact": False,
            "now": time.time(),
            "journal": "journal",
            "known": {"tags": dict(self.tags), "untagged": {}},
        }
        found: dict[str, Any] = json.loads(json.dumps(task))
        return errand(self.configuration.cleanup[rule], "run", found)

    @staticmethod
    def removal(digest: str, *tags: str) -> dict[str, Any]:
        made = {"media_type": "application/vnd.oci.image.manifest.v1+json", "size": 1}
        return {"digest": digest, **made, "kind": "image", "tags": list(tags), "why": "forged"}

    def run(self, kind: JobKind, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.handlers[kind](body, SilentObserver(), Cancellation())


@pytest.fixture
def world(tmp_path: Path, broker: RedisServer) -> Iterator[World]:
    with _opened(tmp_path, broker) as opened:
        yield opened


@contextmanager
def _opened(folder: Path, broker: RedisServer) -> Iterator[World]:
    with FakeRegistry() as registry, Fleet(FleetSettings(broker.url)) as fleet:
        for tag in ("keep", "used", "old", "older"):
            image(tag).push(registry, "app", tag)
        today = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        image("young", today).push(registry, "app", "young")
        child = image("child")
        index_of([child]).push(registry, "app", "multi")
        loose = image("loose").push(registry, "app")
        image("other").push(registry, "other", "1")
        for tag in ("v1", "dev"):
            image(f"app{tag}").push(registry, "apps/web", tag)
        (folder / "in-use.txt").write_text(f"{registry.host}/app:used\n")
        text = _RULES.replace("HOST", registry.host)
        configuration = parse_configuration(text, "sp.yml", folder, {})
        with open_handlers(configuration, RunOptions(), fleet) as handlers:
            digest = child.manifest.digest
            yield World(registry, configuration, handlers, fleet, folder, digest, loose)


Forge = Callable[[World, dict[str, Any]], None]


def _remove(tag: str, *named: str) -> Forge:
    """Remove what a tag points to, naming these tags."""

    def forge(world: World, task: dict[str, Any]) -> None:
        task["plan"]["remove"].append(world.removal(world.tags[tag], *named))

    return forge


def _with(*forges: Forge) -> Forge:
    def forge(world: World, task: dict[str, Any]) -> None:
        for each in forges:
            each(world, task)

    return forge


def _put(where: str, *keys: str) -> Callable[[Callable[[World], Any]], Forge]:
    def putting(make: Callable[[World], Any]) -> Forge:
        def forge(world: World, task: dict[str, Any]) -> None:
            place = task
            for key in (where, *keys)[:-1]:
                place = place[key]
            place[(where, *keys)[-1]] = make(world)

        return forge

    return putting


def _loose_since(since: float) -> Forge:
    def forge(world: World, task: dict[str, Any]) -> None:
        task["plan"]["remove"].append(world.removal(world.loose))
        task["known"]["untagged"][world.loose] = since

    return forge


def _child(world: World, task: dict[str, Any]) -> None:
    task["plan"]["remove"].append(world.removal(world.child))
    task["known"]["untagged"][world.child] = 1.0


def _untag(tag: str) -> Forge:
    def forge(world: World, task: dict[str, Any]) -> None:
        task["plan"]["untag"] = [{"tag": tag, "digest": world.tags[tag], "why": "forged"}]

    return forge


def _squash(tag: str) -> Forge:
    def forge(world: World, task: dict[str, Any]) -> None:
        task["plan"]["squash"] = [{"digest": world.tags[tag], "tags": [tag], "size": 1}]

    return forge


def _many(_: World, task: dict[str, Any]) -> None:
    task["plan"]["remove"][0]["tags"] = ["old", "a", "b", "c"]


REFUSED: dict[str, tuple[Forge, type[SquashproxyError], str]] = {
    "a tag that a pattern keeps": (_remove("keep", "keep"), NotPlannedNow, "takes keep away"),
    "its image, without its tag": (_remove("keep"), NotPlannedNow, "takes keep away"),
    "its image, by another tag": (_remove("keep", "older"), NotPlannedNow, "takes keep away"),
    "an index that is kept": (_remove("multi", "multi"), NotPlannedNow, "it matches multi"),
    "a tag in use": (_remove("used", "used"), NotPlannedNow, "it is in use"),
    "a tag that is too young": (_remove("young", "young"), NotPlannedNow, "made within"),
    "a tag that is too young, by a clock of a year later": (
        _with(_remove("young", "young"), _put("now")(lambda _: time.time() + _YEAR)),
        *(NotPlannedNow, "made within"),
    ),
    "a kept tag, whose memory is another": (
        _with(
            _remove("keep", "keep"),
            _put("known", "tags")(lambda world: {"keep": world.tags["old"]}),
        ),
        *(NotPlannedNow, "takes keep away"),
    ),
    "a kept tag that the plan does not know": (
        _with(_remove("keep"), _put("plan", "tags")(lambda _: {})),
        *(NotPlannedNow, "takes keep away"),
    ),
    "a kept tag to be untagged": (_untag("keep"), NotPlannedNow, "takes keep away"),
    "a kept tag to be squashed": (_squash("keep"), NotPlannedNow, "takes keep away"),
    "a squash, though the rule deletes": (_squash("older"), NotPlannedNow, "does not squash it"),
    "more than the rule's bound": (_many, PlanRefused, "more than its max_deletions of 3"),
    "another repository": (
        _put("plan", "repository")(lambda world: f"{world.registry.host}/other"),
        *(FormatError, "none of the repositories"),
    ),
}


@pytest.mark.parametrize(("forge", "error", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_forged_plan_that_takes_away_what_the_rule_keeps_is_refused_as_a_whole(
    world: World, forge: Forge, error: type[SquashproxyError], sentence: str
) -> None:
    before, held = world.tags, world.registry.manifests("app")
    body = world.body()
    forge(world, body["task"])
    with pytest.raises(error, match=sentence):
        world.run(JobKind.APPLY, body)
    assert (world.tags, world.registry.manifests("app")) == (before, held)


LEFT: dict[str, Forge] = {
    "a manifest without a tag, though the rule has no `untagged`": _loose_since(1.0),
    "a platform of an index that is kept": _child,
    "a kept tag beside the one that goes": lambda _, task: task["plan"]["remove"][0].update(
        tags=["old", "keep"]
    ),
    "tags that nobody is to look after": _put("plan", "tags")(lambda _: {}),
}


@pytest.mark.parametrize("forge", LEFT.values(), ids=LEFT)
def test_a_forged_plan_does_no_more_than_the_rule(world: World, forge: Forge) -> None:
    before, held = world.tags, world.registry.manifests("app")
    old = before["old"]
    body = world.body()
    forge(world, body["task"])
    world.run(JobKind.APPLY, body)
    assert before.keys() - world.tags.keys() <= {"old"}
    assert held - world.registry.manifests("app") <= {old}
    assert world.tags["keep"] == before["keep"]


def test_an_honest_plan_is_applied(world: World) -> None:
    before = world.tags
    world.run(JobKind.APPLY, world.body())
    assert world.tags == {tag: before[tag] for tag in before if tag != "old"}


def test_a_rule_that_squashes_deletes_nothing_with_a_tag(world: World) -> None:
    before = world.tags
    with pytest.raises(NotPlannedNow, match="takes old away"):
        world.run(JobKind.APPLY, world.body(rule=1))
    assert world.tags == before


def test_a_worker_without_the_list_of_images_in_use_leaves_all_to_who_asked(world: World) -> None:
    before = world.tags
    (world.folder / "in-use.txt").unlink()
    with pytest.raises(CannotJudge, match=r"no list of the images in use that old keeps: .*in-use"):
        world.run(JobKind.APPLY, world.body())
    assert world.tags == before


def test_what_only_the_memory_of_who_asks_tells_is_done_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time without a tag is no worker's to judge; the rest of the plan is a worker's."""

    def run(request: JobRequest, *_: object) -> Mapping[str, Any]:
        result = world.run(request.kind, json.loads(json.dumps(request.body)))
        if request.kind is JobKind.APPLY:
            by_worker.extend(step["digest"] for step in result["result"]["steps"])
        return result

    by_worker: list[str] = []
    monkeypatch.setattr(world.fleet, "run", run)
    old = world.tags["old"]
    rule = world.configuration.cleanup[2]
    observer, options = LoggingObserver(), RunOptions()
    with open_context(
        world.configuration, options, observer, Cancellation(), world.fleet
    ) as context:
        repository = parse_repository(f"{world.registry.host}/app")
        context.tags.replace(repository, world.tags, {world.loose: time.time() - 7200})
        (result,) = clean_up(context, [rule]).repositories
    assert result.problem is None
    assert [(step.digest, step.outcome) for step in result.steps] == [
        (old, StepOutcome.DELETED),
        (world.loose, StepOutcome.DELETED),
    ]
    assert result.freed_bytes > 0
    assert by_worker == [old]
    assert not {old, world.loose} & world.registry.manifests("app")


STEPS: dict[str, tuple[str, str]] = {
    "another repository": ("target", "HOST/evil/web:v1"),
    "another tag": ("target", "HOST/prod/web:latest"),
    "another host": ("target", "evil.example.com/prod/web:v1"),
    "a source that the rule is not about": ("source", "HOST/other:1"),
    "a tag that the rule does not choose": ("source", "HOST/apps/web:dev"),
}


@pytest.mark.parametrize(("key", "value"), STEPS.values(), ids=STEPS)
def test_a_forged_promotion_pushes_nothing(world: World, key: str, value: str) -> None:
    host = world.registry.host
    rule = world.configuration.promote[0]
    step = Step(
        rule,
        parse_reference(f"{host}/apps/web:v1"),
        parse_reference(f"{host}/prod/web:v1"),
        CopyOptions(),
        ImageOutcome.COPY,
        source_digest=world.registry.tags("apps/web")["v1"],
    )
    task = {**step_form(step), key: value.replace("HOST", host)}
    world.registry.forget_requests()
    with pytest.raises(FormatError, match="which the rule apps does not"):
        world.run(JobKind.PROMOTE, errand(rule, "run", task))
    assert not world.registry.requests
