"""For random rules and registries, a second run changes no tag, and no image is lost."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from squashproxy.cli.main import run
from squashproxy.digest import Digest
from squashproxy.testing import FakeRegistry
from tests.cleanup.room import image
from tests.promotion.pair import sign

TAGS = ("1", "2", "1-old", "1-original", "previous", "2-old", "1-original-old")
IMAGES = ("a", "b", "c")
TARGETS = ("NEW/prod/web", "NEW/prod/web:{tag}", "NEW/prod/web:{tag}-old", "NEW/prod/web:1")
BACKUPS = ("previous", "{tag}-old", "{tag}-{digest}")
ORIGINALS = ("{tag}-original", "{tag}-{digest}", "1-old", "previous")


@dataclass(frozen=True, slots=True)
class Case:
    """Images by tag on both sides, which of them are signed, and a rule."""

    source: Mapping[str, str]
    target: Mapping[str, str]
    signed: Sequence[str]
    rule: Mapping[str, str]


CASES = st.builds(
    Case,
    source=st.dictionaries(st.sampled_from(TAGS), st.sampled_from(IMAGES), min_size=1, max_size=4),
    target=st.dictionaries(st.sampled_from(TAGS), st.sampled_from("axy"), max_size=4),
    signed=st.lists(st.sampled_from(IMAGES), unique=True),
    rule=st.fixed_dictionaries(
        {
            "to": st.sampled_from(TARGETS),
            "on_existing": st.sampled_from(["replace", "keep", "backup"]),
            "backup": st.sampled_from(BACKUPS),
            "signed": st.sampled_from(["warn", "copy"]),
            "originals": st.sampled_from(ORIGINALS),
        }
    ),
)


def promote(path: Path) -> dict[str, Any]:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        run(["promote", "--json", str(path)])
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def fill(registry: FakeRegistry, repo: str, images: Mapping[str, str]) -> None:
    for tag, seed in images.items():
        image(seed).push(registry, repo, tag)


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_a_second_run_changes_no_tag_and_no_image_is_lost(case: Case) -> None:
    assume(case.rule["backup"] != case.rule["originals"])
    with FakeRegistry() as old, FakeRegistry() as new, TemporaryDirectory() as folder:
        fill(old, "web", case.source)
        fill(new, "prod/web", case.target)
        for seed in set(case.signed) & set(case.source.values()):
            sign(old, "web", image(seed).manifest.descriptor)
        sources, before = old.tags("web"), new.tags("prod/web")
        path = Path(folder) / "sp.yml"
        lines = "".join(f'    {key}: "{value}"\n' for key, value in case.rule.items())
        text = f'state: state\npromote:\n  - name: apps\n    from: "OLD/web"\n{lines}'
        path.write_text(text.replace("OLD", old.host).replace("NEW", new.host))
        first = promote(path)
        after = new.tags("prod/web")
        assert old.tags("web") == sources
        replaced = {each["target"].rpartition(":")[2] for each in copied(first)}
        for tag, digest in before.items():
            if after[tag] == digest:
                continue
            assert case.rule["on_existing"] != "keep"
            if case.rule["on_existing"] == "backup":
                assert digest in after.values(), f"the image of {tag} has no tag any more"
            else:
                assert tag in replaced or digest_is_original(tag, after, sources)
        for _ in range(2):
            again = promote(path)
            assert not copied(again)
            assert new.tags("prod/web") == after
            assert old.tags("web") == sources
            assert outcomes(again, "refused") == outcomes(first, "refused")


def copied(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in document["images"] if each["outcome"] == "copied"]


def outcomes(document: dict[str, Any], outcome: str) -> set[str]:
    return {each["source"] for each in document["images"] if each["outcome"] == outcome}


def digest_is_original(
    tag: str, after: Mapping[str, Digest], sources: Mapping[str, Digest]
) -> bool:
    """Whether a tag now points to an original of this run, which `replace` allows."""
    return after[tag] in sources.values()
