"""Several rules of one file, and what they do to each other's images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from squashproxy.cli.main import run
from tests.cleanup.room import image
from tests.promotion.pair import Pair, errors, outcomes

ONE = "from: OLD/one/*\nto: NEW/prod/{name}"
TWO = "from: OLD/two/*\nto: NEW/prod/{name}"


def last(document: dict[str, list[dict[str, str]]], rule: str) -> list[str]:
    return [each["outcome"] for each in document["images"] if each["rule"] == rule]


def test_the_later_rule_of_two_for_one_target_is_refused_in_each_run(pair: Pair) -> None:
    pair.push("one/web", "1")
    pair.push("two/web", "1")
    pair.push("two/other", "1")
    code, document, _ = pair.promote_all({"a": ONE, "b": TWO})
    assert code == 3
    assert outcomes(document) == {"prod/web:1": "refused", "prod/other:1": "copied"}
    assert last(document, "a") == ["copied"]
    [error] = errors(document)
    assert error == (
        f"{pair.old.host}/two/web:1 goes to {pair.new.host}/prod/web:1, where "
        f"{pair.old.host}/one/web:1 goes; write {{path}}, {{name}} or {{tag}} into 'to', or leave "
        "one of them out (rule a)"
    )
    tags = pair.tags
    for options in ((), ("--rule", "b"), ("--rule", "a"), ("--rule", "b"), ("--dry-run",)):
        _, document, _ = pair.promote_all({"a": ONE, "b": TWO}, *options)
        assert pair.tags == tags
        assert sorted(set(last(document, "b"))) in ([], ["current", "refused"])


def test_a_rule_that_runs_alone_leaves_what_another_one_put_there(pair: Pair) -> None:
    pair.push("one/web", "1")
    pair.push("two/web", "1")
    rules = {"a": ONE, "b": TWO}
    pair.promote_all(rules, "--rule", "a")
    code, document, _ = pair.promote_all(rules, "--rule", "b")
    assert (code, outcomes(document)) == (1, {"prod/web:1": "refused"})
    assert "which the rule a promotes from" in errors(document)[0]
    assert "so that the two would replace each other's image in turn" in errors(document)[0]


@pytest.mark.parametrize(
    "first",
    {
        "the rule is gone": None,
        "the rule leaves the tag out": f"{ONE}\ntags: {{exclude: ['1']}}",
        "the rule goes elsewhere": ONE.replace("prod", "other"),
    }.values(),
)
def test_a_rule_takes_over_what_the_other_one_no_longer_wants(
    pair: Pair, first: str | None
) -> None:
    pair.push("one/web", "1")
    pair.push("two/web", "1")
    pair.promote_all({"a": ONE, "b": TWO}, "--rule", "a")
    rules = {"b": TWO} if first is None else {"a": first, "b": TWO}
    _, document, _ = pair.promote_all(rules)
    assert last(document, "b") == ["copied"]


def test_a_rule_takes_over_what_somebody_pushed_over_the_other_ones_image(pair: Pair) -> None:
    pair.push("one/web", "1")
    pair.push("two/web", "1")
    rules = {"a": ONE, "b": TWO}
    pair.promote_all(rules, "--rule", "a")
    image("by hand").push(pair.new, "prod/web", "1")
    _, document, _ = pair.promote_all(rules, "--rule", "b")
    assert outcomes(document) == {"prod/web:1": "copied"}


def test_two_rules_that_make_the_same_of_the_same_image_agree(pair: Pair) -> None:
    pair.push("one/web", "1")
    rules = {"a": ONE, "b": "from: OLD/one/web\nto: NEW/prod/web"}
    _, document, _ = pair.promote_all(rules, "--dry-run")
    assert (last(document, "a"), last(document, "b")) == (["copy"], ["copy"])
    code, document, _ = pair.promote_all(rules)
    assert (code, last(document, "a"), last(document, "b")) == (0, ["copied"], ["current"])


def test_two_rules_that_make_something_else_of_the_same_image_do_not(pair: Pair) -> None:
    pair.push("one/web", "1")
    rules = {"a": ONE, "b": f"{ONE}\nbase: none"}
    for _ in range(2):
        _, document, _ = pair.promote_all(rules)
        assert last(document, "b") == ["refused"]
    _, document, _ = pair.promote_all(rules, "--rule", "b")
    assert last(document, "b") == ["refused"]


def test_a_backup_does_not_go_where_another_rule_goes(pair: Pair) -> None:
    pair.push("one/web", "1-old")
    pair.push("two/web", "1")
    old = image("there").push(pair.new, "prod/web", "1")
    rules = {"a": ONE, "b": f"{TWO}\non_existing: backup\nbackup: '{{tag}}-old'"}
    _, document, _ = pair.promote_all(rules, "--dry-run")
    assert last(document, "b") == ["refused"]
    assert f"{pair.old.host}/one/web:1-old goes" in errors(document)[0]
    pair.promote_all(rules)
    assert pair.new.tags("prod/web")["1"] == old


def test_a_chain_of_rules_goes_all_the_way_in_one_run(pair: Pair) -> None:
    pair.push("dev/web", "1")
    rules = {"a": "from: OLD/dev/*\nto: OLD/stage/{repo}", "b": "from: OLD/stage/*\nto: NEW/{repo}"}
    code, document, _ = pair.promote_all(rules)
    assert (code, set(outcomes(document).values())) == (0, {"copied"})
    assert set(pair.new.tags("web")) == {"1"}


def test_rules_in_a_circle_are_refused_before_anything_is_asked(pair: Pair) -> None:
    pair.push("a/web", "1")
    rules = {"a": "from: OLD/a/*\nto: OLD/b/{path}", "b": "from: OLD/b/*\nto: OLD/a/{repo}"}
    code, _, err = pair.promote_all(rules)
    assert code == 2
    assert "a and b promote what the other made, and so more with each run" in err
    assert pair.old.requests == ()


def test_a_rule_that_grows_by_names_that_no_sample_shows_is_refused_image_by_image(
    pair: Pair,
) -> None:
    pair.push("web", "release-1", "v1")
    rule = "from: OLD/web\nto: 'OLD/web:{tag}-s'\ntags: {include: ['/release-.*|v1/']}"
    for _ in range(3):
        code, document, _ = pair.promote(rule)
        assert code == 3
        assert set(pair.old.tags("web")) == {"release-1", "v1", "v1-s"}
        assert "so more with each run: " in errors(document)[0]


def test_squashing_in_place_settles(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    code, document, _ = pair.promote("from: OLD/apps/*\nto: OLD/{path}")
    assert (code, set(outcomes(document).values())) == (0, {"copied"})
    tags = pair.tags
    code, document, _ = pair.promote("from: OLD/apps/*\nto: OLD/{path}")
    assert (code, set(outcomes(document).values()), pair.tags) == (0, {"current"}, tags)


def test_what_another_image_is_made_to_is_no_source_too(pair: Pair) -> None:
    pair.push("apps/web", "1")
    rule = "from: OLD/apps/*\nto: OLD/apps/small/{name}"
    assert pair.promote(rule)[0] == 0
    tags = pair.tags
    for _ in range(2):
        code, document, _ = pair.promote(rule)
        assert (code, outcomes(document)) == (0, {"apps/small/web:1": "current"})
        assert [each["source"] for each in document["images"]] == [f"{pair.old.host}/apps/web:1"]
        assert pair.tags == tags
    image("newer").push(pair.old, "apps/web", "1")
    code, document, _ = pair.promote(rule)
    assert (code, outcomes(document)) == (0, {"apps/small/web:1": "copied"})


def test_a_circle_of_hosts_that_are_written_differently_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sp.yml"
    path.write_text(
        "promote:\n  - {name: a, from: LOCALHOST:5000/apps/*, to: 'localhost:5000/apps/p/{repo}'}\n"
    )
    assert run(["config", "check", "--json", str(path)]) == 2
    streams = capsys.readouterr()
    assert "so more with each run" in streams.err
    assert not streams.out or json.loads(streams.out)
