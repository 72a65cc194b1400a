"""What travels between machines: read as it was written, and anything else refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from squashproxy.automation.workers.rules import RuleDiffers, errand, promote_rule, read_errand
from squashproxy.cleanup.forms import (
    Remembered,
    apply_form,
    planned_form,
    query_form,
    read_apply,
    read_planned,
    read_query,
)
from squashproxy.cleanup.plan import KeptTag, Removal, RepositoryPlan, Squash, Untag
from squashproxy.cleanup.repository_planner import PlanQuery
from squashproxy.cleanup.retention import InUse
from squashproxy.config.configuration import Configuration
from squashproxy.config.fingerprint import fingerprint
from squashproxy.config.read import parse_configuration
from squashproxy.config.succession import Use
from squashproxy.digest import digest_of
from squashproxy.errors import FormatError, SquashproxyError
from squashproxy.pipeline.distinct_layers import DistinctLayers
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.signatures.results import SourceSignature
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.rule_options import options_of
from squashproxy.promotion.scan import Scan
from squashproxy.promotion.scan_form import read_scanned, scanned_form
from squashproxy.promotion.signatures import Attached
from squashproxy.promotion.step_form import done_form, read_done, read_step, step_form
from squashproxy.promotion.step_runner import StepDone, planned
from squashproxy.promotion.steps import Place, Sighting, Step
from squashproxy.reference import Repository, parse_reference

A, B, C = (digest_of(text) for text in (b"a", b"b", b"c"))
_RULES = """
promote:
  - name: apps
    from: old.example.com/apps/*
    to: new.example.com/prod/{repo}
    tags: {include: ["v*"], semver: ">=1", newest: 3}
    mode: MODE
    on_existing: backup
    signed: copy
    hooks: {before: {webhook: "https://example.com/SECRET", token: SECRET}}
    every: EVERY
cleanup:
  - name: old
    repositories: ["new.example.com/prod/*"]
    action: delete
    keep: {tags: [keep], group: "^(.*)-[0-9]+$", newest: NEWEST, in_use: [FILE]}
"""


def _read(**values: str) -> Configuration:
    text = _RULES
    for name, value in {
        "MODE": "squash",
        "EVERY": "10m",
        "NEWEST": "2",
        "FILE": "in-use.txt",
        "SECRET": "one",
        **values,
    }.items():
        text = text.replace(name, value)
    return parse_configuration(text, "rules.yml", Path("/etc"), {})


CONFIG = _read()
RULE = CONFIG.promote[0]
OPTIONS = options_of(RULE, CopyOptions(), {}, lambda _: None)
SOURCE = parse_reference("old.example.com/apps/web:v1.2")
TARGET = parse_reference("new.example.com/prod/web:v1.2")


def _step() -> Step:
    backup = replace(TARGET, tag=f"v1.2-{B.partition(':')[2][:12]}")
    original = replace(TARGET, tag="v1.2-original")
    return Step(
        RULE,
        SOURCE,
        TARGET,
        OPTIONS,
        ImageOutcome.COPY,
        source_digest=A,
        existing=B,
        attached=Attached((f"sha256-{A[7:]}.sig",), (C,), 1, 2),
        beside=(
            Place(Use.BACKUP, backup, B, None, TARGET),
            Place(Use.ORIGINAL, original, A, C),
        ),
    )


def _plan() -> RepositoryPlan:
    return RepositoryPlan(
        "new.example.com/prod/web",
        {"keep": A, "old": B, "same": B},
        (KeptTag("keep", A, "it is kept"),),
        (Untag("same", B, "why"),),
        (Removal(B, "type", 3, "image", ("old",), "why"),),
        (Squash(C, ("odd",), 7),),
        warnings=("look",),
        freed_bytes=3,
    )


KNOWN = Remembered({"keep": A}, {C: 12.5})
QUERY = PlanQuery(
    Repository("new.example.com", "prod/web"),
    CONFIG.cleanup[0],
    InUse({"v1": "pods.json"}, {A: "pods.json"}),
    100.5,
    frozenset({B}),
)


def _through_json(form: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(form))
    return found


def test_a_step_and_its_result_arrive_as_they_were() -> None:
    step = _step()
    assert read_step(_through_json(step_form(step)), RULE, OPTIONS) == step
    result = replace(planned(step), outcome=ImageOutcome.COPIED, digest=C, warnings=("look",))
    done = StepDone(result, DistinctLayers({A: 3}, {B: 2}))
    assert read_done(_through_json(done_form(done)), step) == done


def test_a_scan_arrives_as_it_was() -> None:
    signed = (SourceSignature(A, "right.pub", "00ff"),)
    kept = replace(
        _step(),
        outcome=ImageOutcome.KEPT,
        attached=Attached(),
        beside=(),
        signed_by=signed,
    )
    failed = replace(
        kept,
        source=replace(SOURCE, tag="v2"),
        target=replace(TARGET, tag="v2"),
        outcome=ImageOutcome.FAILED,
        source_digest=None,
        existing=None,
    )
    copied = replace(
        kept,
        source=replace(SOURCE, tag="v3"),
        target=replace(TARGET, tag="v3"),
        outcome=ImageOutcome.COPY,
    )
    tags = ("v1.2", "v2", "v3", "dev")
    steps = tuple(replace(each, tags=frozenset(tags)) for each in (kept, failed, copied))
    scan = Scan(Sighting(SOURCE.repository, tags), (), steps, ("look",), ("trouble",))
    found = read_scanned(_through_json(scanned_form(scan)), SOURCE.repository, RULE, OPTIONS)
    assert (found.sighting, found.warnings, found.problems) == (
        scan.sighting,
        scan.warnings,
        scan.problems,
    )
    assert found.steps == steps
    assert [pair.target for pair in found.pairs] == [step.target for step in steps]


def test_a_plan_and_what_is_asked_for_it_arrive_as_they_were() -> None:
    assert read_query(_through_json(query_form(QUERY, KNOWN)), QUERY.rule) == (QUERY, KNOWN)
    planned_back = read_planned(_through_json(planned_form(_plan(), KNOWN)), QUERY.repository)
    assert (planned_back.plan, planned_back.known) == (_plan(), KNOWN)
    applied = read_apply(
        _through_json(apply_form(_plan(), KNOWN, 7.0, "journal", is_exact=True)), QUERY.rule
    )
    assert (applied.plan, applied.known, applied.is_exact) == (_plan(), KNOWN, True)


def _at(*path: str | int) -> Callable[[Any, Any], None]:
    def put(form: Any, value: Any) -> None:
        for part in path[:-1]:
            form = form[part]
        form[path[-1]] = value

    return put


WRONG_STEPS: dict[str, tuple[Callable[[Any, Any], None], Any]] = {
    "a digest that is none": (_at("source_digest"), "sha256:zz"),
    "a number in place of a name": (_at("source"), 7),
    "no target": (_at("target"), None),
    "a target that the rule does not have": (_at("target"), "evil.example.com/prod/web:v1.2"),
    "a source that the rule does not have": (_at("source"), "old.example.com/other/web:v1.2"),
    "a tag that the rule does not choose": (_at("source"), "old.example.com/apps/web:dev"),
    "a backup under another name": (
        _at("beside", 0, "name"),
        "new.example.com/prod/web:latest",
    ),
    "an original in another repository": (
        _at("beside", 1, "name"),
        "new.example.com/x:v1.2-original",
    ),
    "a use that there is not": (_at("beside", 0, "use"), "theft"),
    "a signature tag that is none": (_at("tags"), ["../../x"]),
    "a signature tag that is an image's": (_at("tags"), ["dev"]),
    "a tag of an image among those of signatures": (_at("companions"), ["dev"]),
    "something more": (_at("command"), "rm"),
    "truth in place of a number": (_at("attestations"), True),
}


@pytest.mark.parametrize(("put", "value"), WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_a_wrong_step_is_refused(put: Callable[[Any, Any], None], value: Any) -> None:
    form = _through_json(step_form(_step()))
    put(form, value)
    with pytest.raises(FormatError, match="the step of a promotion"):
        read_step(form, RULE, OPTIONS)


WRONG_PLANS: dict[str, tuple[Callable[[Any, Any], None], Any]] = {
    "a repository that the rule does not have": (_at("plan", "repository"), "new.example.com/x"),
    "a name that is no repository": (_at("plan", "repository"), "new.example.com/../x"),
    "a tag that leads elsewhere": (_at("plan", "remove", 0, "tags"), ["../x"]),
    "a digest that is none": (_at("plan", "remove", 0, "digest"), "sha256:1"),
    "a time that is none": (_at("now"), "yesterday"),
    "something more": (_at("plan", "more"), 1),
    "a memory of what is no digest": (_at("known", "tags"), {"v1": "x"}),
}


@pytest.mark.parametrize(("put", "value"), WRONG_PLANS.values(), ids=WRONG_PLANS)
def test_a_wrong_plan_is_refused(put: Callable[[Any, Any], None], value: Any) -> None:
    form = _through_json(apply_form(_plan(), KNOWN, 7.0, "journal", is_exact=False))
    put(form, value)
    with pytest.raises(SquashproxyError):
        read_apply(form, QUERY.rule)


def test_the_result_of_another_step_is_refused() -> None:
    step = _step()
    other = replace(step, target=replace(TARGET, tag="v2"))
    with pytest.raises(FormatError, match="is that of"):
        read_done(done_form(StepDone(planned(other))), step)


SAME = {
    "another schedule": {"EVERY": "1h"},
    "another secret": {"SECRET": "two"},
    "files with images in use elsewhere": {"FILE": "elsewhere.txt"},
}
OTHER = {"another mode": ({"MODE": "prune"}, 0), "another number to keep": ({"NEWEST": "3"}, 1)}


@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
def test_a_fingerprint_is_of_what_a_rule_does(values: dict[str, str]) -> None:
    other = _read(**values)
    assert fingerprint(other.promote[0]) == fingerprint(RULE)
    assert fingerprint(other.cleanup[0]) == fingerprint(CONFIG.cleanup[0])


@pytest.mark.parametrize(("values", "section"), OTHER.values(), ids=OTHER)
def test_another_rule_has_another_fingerprint(values: dict[str, str], section: int) -> None:
    other = _read(**values)
    rules = [(each.promote[0], each.cleanup[0])[section] for each in (CONFIG, other)]
    assert fingerprint(rules[0]) != fingerprint(rules[1])


def test_a_worker_with_another_version_of_the_rule_says_so_and_may_be_asked_again() -> None:
    job = read_errand(errand(RULE, "run", {}))
    assert promote_rule(CONFIG, job) is RULE
    with pytest.raises(RuleDiffers, match="another version of the rule apps") as caught:
        promote_rule(_read(MODE="prune"), job)
    assert caught.value.temporary


def test_no_job_says_who_signed_its_image() -> None:
    """A worker that copies checks the signatures itself."""
    step = replace(_step(), signed_by=(SourceSignature(A, "right.pub", "00ff"),))
    assert "right.pub" not in json.dumps(step_form(step))
    assert read_step(_through_json(step_form(step)), RULE, OPTIONS).signed_by == ()


def test_nothing_secret_travels() -> None:
    for form in (errand(RULE, "run", step_form(_step())), errand(QUERY.rule, "run", {})):
        assert "one" not in json.dumps(form).split('"')
        assert "SECRET" not in json.dumps(form)
