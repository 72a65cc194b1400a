"""`squashproxy cleanup` as a command: what it refuses before anything is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.cli.main import run
from squashproxy.state.locks import held
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.cleanup.room import image


def test_a_rule_that_another_process_runs_is_refused_and_may_be_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeRegistry() as registry:
        for tag in ("1", "2"):
            image(tag).push(registry, "app", tag)
        config = tmp_path / "sp.yml"
        config.write_text(
            f"state: state\ncleanup:\n  - name: old\n    repositories: ['{registry.host}/app']\n"
            "    keep: {newest: 1}\n    action: delete\n"
        )
        plan = str(tmp_path / "plan.json")
        with held(tmp_path / "state", "cleanup", ["old"]):
            assert run(["cleanup", "-q", "--plan", plan, str(config)]) == 0
            for options in ((), ("--plan", plan)):
                assert run(["cleanup", *options, "--apply", str(config)]) == 1
                assert "the cleanup rule old runs already" in capsys.readouterr().err
        assert len(registry.tags("app")) == 2
        assert run(["cleanup", "-q", "--plan", plan, "--apply", str(config)]) == 0
        assert len(registry.tags("app")) == 1


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as started:
        yield started


def configured(registry: FakeRegistry, folder: Path, more: str = "") -> str:
    config = folder / "sp.yml"
    config.write_text(
        f"state: state\ncleanup:\n  - name: old\n    repositories: ['{registry.host}/app']\n"
        f"    keep: {{tags: ['keep*']}}\n    action: delete\n{more}"
    )
    return str(config)


def fill(registry: FakeRegistry, count: int) -> None:
    image("kept").push(registry, "app", "keep")
    for number in range(count):
        image(number).push(registry, "app", f"old{number}")


def test_a_repository_that_stops_half_way_is_not_said_to_be_untouched(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(registry, 4)
    registry.arm(Fault("DELETE", "/manifests/", FaultKind.ANSWER, status=403, times=9, skip=2))
    assert run(["cleanup", "--apply", configured(registry, tmp_path)]) == 3
    assert "nothing of it could be done" not in capsys.readouterr().err
    assert len(registry.tags("app")) == 3


def test_a_repository_where_nothing_could_be_done_is_said_to_be(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(registry, 4)
    registry.arm(Fault("DELETE", "/manifests/", FaultKind.ANSWER, status=403, times=9))
    assert run(["cleanup", "--apply", configured(registry, tmp_path)]) == 1
    assert "nothing of it could be done" in capsys.readouterr().err


def test_an_edited_plan_is_a_wrong_usage(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(registry, 2)
    config, plan = configured(registry, tmp_path), tmp_path / "plan.json"
    assert run(["cleanup", "-q", "--plan", str(plan), config]) == 0
    plan.write_text(plan.read_text().replace("old1", "keep"))
    assert run(["cleanup", "--plan", str(plan), "--apply", config]) == 2
    assert "its checksum is wrong" in capsys.readouterr().err
    assert len(registry.tags("app")) == 3


def test_a_plan_that_is_too_old_is_refused(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(registry, 2)
    config, plan = configured(registry, tmp_path), str(tmp_path / "plan.json")
    assert run(["cleanup", "-q", "--plan", plan, config]) == 0
    config = configured(registry, tmp_path, "    max_plan_age: 0s\n")
    assert run(["cleanup", "--plan", plan, "--apply", config]) == 1
    assert "more than its max_plan_age" in capsys.readouterr().err
    assert len(registry.tags("app")) == 3


def test_a_log_is_undone_only_where_a_rule_of_the_configuration_is_at_work(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(registry, 1)
    config = configured(registry, tmp_path)
    assert run(["cleanup", "-q", "--apply", config]) == 0
    (log,) = (tmp_path / "state" / "audit").iterdir()
    hostile = tmp_path / "hostile.jsonl"
    hostile.write_text(log.read_text().replace("/app", "/other"))
    assert run(["cleanup", "--undo", str(hostile), config]) == 2
    assert "which no rule of this configuration cleans up or promotes to" in capsys.readouterr().err
    assert registry.tags("other") == {}
    assert run(["cleanup", "-q", "--undo", str(log), config]) == 0
    assert registry.tags("app").keys() == {"keep", "old0"}


def test_a_repository_whose_answers_make_no_sense_ends_no_other(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(registry, 1)
    image("x").push(registry, "odd", "old")
    registry.put_manifest("odd", "odd", b"[]", "application/json")
    config = tmp_path / "sp.yml"
    config.write_text(
        "state: state\ncleanup:\n  - name: old\n    repositories: "
        f"['{registry.host}/odd', '{registry.host}/app']\n"
        "    keep: {tags: ['keep*']}\n    action: delete\n"
    )
    assert run(["cleanup", "--apply", str(config)]) == 3
    assert registry.tags("app").keys() == {"keep"}
    assert registry.tags("odd").keys() == {"odd", "old"}
    assert "Traceback" not in capsys.readouterr().err
