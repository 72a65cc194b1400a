"""`squashproxy cleanup` as a command: what it refuses before anything is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.cli.main import run
from squashproxy.state.locks import held
from squashproxy.testing import FakeRegistry
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
