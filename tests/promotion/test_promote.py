"""`squashproxy promote`, from the command line, between two registries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from squashproxy.cli.main import run
from squashproxy.state.locks import held
from squashproxy.testing import Fault, FaultKind
from tests.cleanup.room import image
from tests.promotion.pair import SIMPLE, Pair, outcomes

SOURCE = "dev.squashproxy.source.digest"


def test_all_that_a_glob_means_is_squashed_and_a_second_run_asks_twice_a_tag(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    pair.push("apps/team/db", "1")
    pair.push("other", "1")
    code, document, _ = pair.promote(SIMPLE)
    assert (code, outcomes(document)) == (
        0,
        {"prod/web:1": "copied", "prod/web:2": "copied", "prod/team/db:1": "copied"},
    )
    manifest = json.loads(pair.new.manifest("prod/web", "1").data)
    assert len(manifest["layers"]) == 2
    assert manifest["annotations"][SOURCE] == pair.old.tags("apps/web")["1"]
    for registry in (pair.old, pair.new):
        registry.forget_requests()
    code, document, _ = pair.promote(SIMPLE)
    assert set(outcomes(document).values()) == {"current"}
    assert [each.method for each in pair.new.requests if each.status != 401] == ["HEAD"] * 3
    assert sum("/manifests/" in each.path for each in pair.old.requests) == 3


@pytest.mark.parametrize(
    ("tags", "chosen"),
    {
        "include and exclude": ("include: ['v*'], exclude: ['*-rc*']", {"v1.0", "v1.2", "v2.0"}),
        "a range": ("semver: '>=1.1 <2'", {"v1.2"}),
        "the newest": ("newest: 1", {"x"}),
        "the newest of what is named": ("include: ['v*'], newest: 1", {"v2.0"}),
        "the young": ("younger_than: 1s", set()),
        "the old": ("older_than: 1s", {"v1.0", "v1.2", "v1.3-rc1", "v2.0", "x"}),
    }.values(),
)
def test_which_tags(pair: Pair, tags: str, chosen: set[str]) -> None:
    pair.push("apps/web", "v1.0", "v1.2", "v1.3-rc1", "v2.0", "x")
    _, document, _ = pair.promote(f"{SIMPLE}\ntags: {{{tags}}}", "--dry-run")
    assert {each["source"].rpartition(":")[2] for each in document["images"]} == chosen
    assert pair.new.manifests("prod/web") == frozenset()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("NEW/p/{repo}", "p/a/web:1"),
        ("NEW/p/{path}", "p/apps/a/web:1"),
        ("NEW/p/{name}:{tag}-flat", "p/web:1-flat"),
    ],
)
def test_names(pair: Pair, target: str, name: str) -> None:
    pair.push("apps/a/web", "1")
    _, document, _ = pair.promote(f"from: OLD/apps/*\nto: '{target}'", "--dry-run")
    assert outcomes(document) == {name: "copy"}


def test_pins_name_digests_and_tags(pair: Pair) -> None:
    pair.push("web", "1")
    digest = pair.old.tags("web")["1"]
    code, document, _ = pair.promote(
        f'to: NEW/prod/{{name}}\npins: {{"OLD/web@{digest}": ["1.0", stable]}}'
    )
    assert (code, outcomes(document)) == (
        0,
        {"prod/web:1.0": "copied", "prod/web:stable": "copied"},
    )
    assert len(set(pair.new.tags("prod/web").values())) == 1


def test_what_another_rule_takes_away_each_time_is_told(pair: Pair) -> None:
    pair.push("apps/web", "1", "2", "3")
    code, document, err = pair.promote(SIMPLE)
    assert document["warnings"] == []
    cleanup = pair.folder / "cleanup.yml"
    cleanup.write_text(
        f"state: state\ncleanup:\n  - name: old\n    repositories: ['{pair.new.host}/prod/*']\n"
        "    keep: {newest: 1}\n    action: delete\n"
    )
    assert run(["cleanup", "-q", "--apply", str(cleanup)]) == 0
    code, document, err = pair.promote(SIMPLE)
    assert code == 0
    (warning,) = document["warnings"]
    assert "prod/web:1 and 1 more were promoted before and are gone" in warning
    assert warning in err


def test_a_rule_that_another_process_runs_is_left_alone(pair: Pair) -> None:
    pair.push("apps/web", "1")
    with held(pair.folder / "state", "promote", ["apps"]):
        code, document, err = pair.promote(SIMPLE)
        assert code == 1
        assert "the promote rule apps runs already" in document["problems"][0]
        assert "Traceback" not in err
        assert pair.promote(SIMPLE, "--dry-run")[0] == 0
    assert pair.new.tags("prod/web") == {}
    assert pair.promote(SIMPLE)[0] == 0


def test_one_failing_image_stops_no_other(pair: Pair) -> None:
    pair.push("apps/web", "1", "2", "3")
    pair.old.arm(Fault("HEAD", "/manifests/2", FaultKind.ANSWER, status=403, times=99))
    code, document, err = pair.promote(SIMPLE, "--junit", str(pair.folder / "j.xml"))
    assert code == 3
    assert outcomes(document) == {
        "prod/web:1": "copied", "prod/web:2": "failed", "prod/web:3": "copied",
    }  # fmt: skip
    assert "1 of 3 failed" in err
    suites = ET.parse(pair.folder / "j.xml").getroot()
    assert suites[0].attrib["failures"] == "1"
    assert "HTTP 403" in suites.findall(".//failure")[0].attrib["message"]


def test_a_tag_that_vanishes_fails_alone(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    pair.old.arm(Fault("*", "/manifests/2", FaultKind.ANSWER, status=404, times=99))
    code, document, _ = pair.promote(SIMPLE)
    assert (code, outcomes(document)["prod/web:1"]) == (3, "copied")


def test_a_registry_that_is_down_is_a_sentence(pair: Pair) -> None:
    pair.old.close()
    code, document, err = pair.promote(SIMPLE)
    assert code == 1
    assert "cannot reach" in document["problems"][0]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("choice", "outcome", "tags"),
    [
        ("replace", "copied", {"1"}),
        ("keep", "kept", {"1"}),
        ("backup", "copied", {"1", "1-old"}),
    ],
)
def test_what_is_there(pair: Pair, choice: str, outcome: str, tags: set[str]) -> None:
    pair.push("apps/web", "1")
    there = image("there").push(pair.new, "prod/web", "1")
    _, document, _ = pair.promote(f"{SIMPLE}\non_existing: {choice}\nbackup: '{{tag}}-old'")
    assert outcomes(document) == {"prod/web:1": outcome}
    assert set(pair.new.tags("prod/web")) == tags
    if choice != "replace":
        assert there in pair.new.tags("prod/web").values()


def test_hooks_hear_of_each_image_and_may_stop_it(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    script = (
        "import json,sys; e=json.load(sys.stdin); "
        f"open({str(pair.folder / 'heard')!r},'a').write(e['event']+' '+e['target'][-1]+'\\n'); "
        "sys.exit('no such day' if e['target'].endswith('2') else 0)"
    )
    command = json.dumps([sys.executable, "-c", script])
    code, document, _ = pair.promote(
        f"{SIMPLE}\nhooks: {{before: {{command: {command}}}, after: {{command: {command}}}}}"
    )
    assert (code, outcomes(document)) == (3, {"prod/web:1": "copied", "prod/web:2": "failed"})
    assert "no such day" in document["images"][1]["error"]
    heard = sorted((pair.folder / "heard").read_text().splitlines())
    assert heard == ["after 1", "before 1", "before 2"]


def test_deletions_are_mirrored_for_what_the_rule_put_there_alone(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    rule = f"{SIMPLE}\nmirror_deletions: {{}}"
    pair.promote(rule)
    own = image("own").push(pair.new, "prod/web", "own")
    pair.old._store.delete_manifest("apps/web", "2")
    code, document, _ = pair.promote(rule)
    assert code == 0
    assert document["mirrored"][0]["steps"][0]["outcome"] == "deleted"
    tags = pair.new.tags("prod/web")
    assert set(tags) == {"1", "own"}
    assert tags["own"] == own
    assert Path(document["log"]).exists()


@pytest.mark.parametrize(
    ("rule", "words"),
    {
        "a glob that is a slip": ("from: OLD/aps/*\nto: NEW/p/{repo}", "did you mean apps/"),
        "a tag that is a slip": (f"{SIMPLE}\ntags: {{include: [lates]}}", "did you mean latest?"),
    }.values(),
)
def test_what_is_hardly_meant_is_a_warning(pair: Pair, rule: str, words: str) -> None:
    pair.push("apps/web", "latest")
    pair.push("apps/db", "latest")
    _, document, err = pair.promote(rule, "--dry-run")
    assert any(words in each for each in document["warnings"])
    assert words in err


@pytest.mark.parametrize(
    ("rule", "words"),
    {
        "no source": ("to: NEW/x", "needs one of 'from' and 'pins'"),
        "a word that is not there": ("from: OLD/a\nto: 'NEW/{rep}'", "{repo}, {path}, {name}"),
        "a range that is none": (f"{SIMPLE}\ntags: {{semver: one}}", "no range of versions"),
        "a day that never comes": (f"{SIMPLE}\nschedule: '0 0 30 2 *'", "no schedule"),
        "a zone that is none": (f"{SIMPLE}\nevery: 1h\ntimezone: Mars/Base", "no time zone"),
        "an unknown key": (f"{SIMPLE}\non_exist: keep", "did you mean 'on_existing'?"),
    }.values(),
)
def test_a_bad_rule_is_a_sentence(pair: Pair, rule: str, words: str) -> None:
    pair.push("a", "1")
    code, document, err = pair.promote(rule)
    said = err + " ".join(document.get("problems", []))
    assert code in (1, 2)
    assert words in said
    assert "Traceback" not in said


def test_too_many_lost_tags_are_a_problem_and_what_was_promoted_stays_told(pair: Pair) -> None:
    pair.push("apps/web", "1", "2", "3")
    rule = f"{SIMPLE}\nmirror_deletions: {{max_deletions: 1}}"
    pair.promote(rule)
    for tag in ("2", "3"):
        pair.old._store.delete_manifest("apps/web", tag)
    code, document, _ = pair.promote(rule)
    assert code == 3
    assert outcomes(document) == {"prod/web:1": "current"}
    assert "more than its max_deletions of 1" in document["problems"][0]
    assert set(pair.new.tags("prod/web")) == {"1", "2", "3"}


def test_dates_that_are_known_cost_no_pull(pair: Pair) -> None:
    pair.push("apps/web", "1", "2", "3")
    rule = f"{SIMPLE}\ntags: {{newest: 2}}"
    pair.promote(rule)
    pair.old.forget_requests()
    _, document, _ = pair.promote(rule)
    assert set(outcomes(document).values()) == {"current"}
    lists = ("/tags/list", "/_catalog")
    asked = [each for each in pair.old.requests if not any(list_ in each.path for list_ in lists)]
    assert {each.method for each in asked} == {"HEAD"}
