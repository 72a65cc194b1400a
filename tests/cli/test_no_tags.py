"""Repositories that a registry lists, and that have no tags (issue 26)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.testing import FakeRegistry, Fault, ImageBuilder, LayerBuilder, RegistryOptions
from tests.cli.command_line import InProcess


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """`apps/empty` holds a blob and was never tagged, as after an upload that broke off."""
    with FakeRegistry(RegistryOptions(lists_empty=False)) as registry:
        image = ImageBuilder().layer(LayerBuilder().file("a", b"a")).build()
        for tag in ("keep", "old"):
            image.push(registry, "apps/full", tag)
        registry.put_blob("apps/empty", b"left behind")
        yield registry


def cleanup_of(folder: Path, pattern: str, keep: str = "keep: {tags: ['keep']}") -> str:
    path = folder / "sp.yml"
    path.write_text(
        f"state: state\ncleanup:\n  - name: old\n    repositories: ['{pattern}']\n"
        f"    {keep}\n    action: delete\n"
    )
    return str(path)


def promote_of(folder: Path, pattern: str, target: FakeRegistry) -> str:
    path = folder / "sp.yml"
    path.write_text(
        f"state: state\npromote:\n  - name: apps\n    from: '{pattern}'\n"
        f"    to: '{target.host}/prod/{{repo}}'\n"
    )
    return str(path)


@pytest.mark.parametrize("keep", ["keep: {tags: ['keep']}", "keep: {newest: 1}"])
def test_cleanup_finds_nothing_to_do_there(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, keep: str
) -> None:
    config = cleanup_of(tmp_path, f"{registry.host}/apps/*", keep)
    for _ in range(2):
        outcome = squashproxy("cleanup", "--apply", config)
        assert outcome.code == 0, outcome.err
    assert len(registry.tags("apps/full")) == 1


def test_promote_finds_nothing_to_do_there(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    with FakeRegistry() as target:
        config = promote_of(tmp_path, f"{registry.host}/apps/*", target)
        outcome = squashproxy("promote", config)
        assert outcome.code == 0, outcome.err
        assert target.tags("prod/apps/full").keys() | target.tags("prod/full").keys() == {
            "keep",
            "old",
        }


def test_a_name_that_a_rule_gives_and_nobody_knows_is_still_a_problem(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    """It may be a typing error."""
    outcome = squashproxy("cleanup", cleanup_of(tmp_path, f"{registry.host}/apps/fulll"))
    assert outcome.code != 0
    assert "has no repository apps/fulll" in outcome.err + outcome.out


def test_another_refusal_is_still_a_problem(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.arm(Fault("GET", "/apps/empty/tags", status=403, times=99))
    outcome = squashproxy("cleanup", "--apply", cleanup_of(tmp_path, f"{registry.host}/apps/*"))
    assert outcome.code == 3, outcome.err
