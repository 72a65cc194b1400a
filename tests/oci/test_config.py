"""Configs: after a squash, the history matches the layers, and unknown fields survive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import FormatError
from squashproxy.oci.config import ImageConfig, parse_config
from squashproxy.oci.platform import Platform

Json = dict[str, Any]
WHERE = "the config of h.io/app:1"
NOTE = {"created_by": "squashproxy", "comment": "source"}
CREATED = "2024-01-02T03:04:05Z"
NEW = digest_of(b"new")
NEWER = digest_of(b"newer")


def ids(count: int) -> list[str]:
    return [digest_of(b"%d" % number) for number in range(count)]


def config(layers: int, history: Any = None, **fields: Any) -> ImageConfig:
    document: Json = {"os": "linux", "architecture": "arm64", "variant": "v8", "created": CREATED}
    document |= {"rootfs": {"type": "layers", "diff_ids": ids(layers)}, **fields}
    if history is not None:
        document["history"] = history
    return parse_config(json.dumps(document).encode(), layers, WHERE)


def step(name: str, *, empty: bool = False) -> Json:
    return {"created_by": name, **({"empty_layer": True} if empty else {})}


def squashed(source: ImageConfig, kept: int, new: list[Digest]) -> Json:
    document: Json = json.loads(source.squashed(kept, new, NOTE))
    return document


def marks(document: Json) -> str:
    """The history in letters: the first of each step's name, `-` where it made no layer."""
    return " ".join(
        entry["created_by"][0] + ("-" if entry.get("empty_layer") else "")
        for entry in document["history"]
    )


def with_layer(document: Json) -> int:
    return sum(not entry.get("empty_layer") for entry in document["history"])


PLAIN = [step("a"), step("b"), step("c")]
MIXED = [step("x", empty=True), step("a"), step("y", empty=True), step("b"), step("c")]


@pytest.mark.parametrize(
    ("history", "kept", "new", "expected"),
    [
        pytest.param(PLAIN, 0, [NEW], "a- b- c- s", id="nothing kept"),
        pytest.param(PLAIN, 1, [NEW], "a b- c- s", id="one kept"),
        pytest.param(PLAIN, 2, [NEW], "a b c- s", id="two kept"),
        pytest.param(PLAIN, 3, [], "a b c s-", id="all kept, nothing new"),
        pytest.param(PLAIN, 1, [], "a b- c- s-", id="nothing left above the base"),
        pytest.param(PLAIN, 0, [], "a- b- c- s-", id="nothing left at all"),
        pytest.param(PLAIN, 1, [NEW, NEWER], "a b- c- s s", id="two new layers"),
        pytest.param(MIXED, 0, [NEW], "x- a- y- b- c- s", id="steps without layers"),
        pytest.param(MIXED, 1, [NEW], "x- a y- b- c- s", id="steps without layers, one kept"),
        pytest.param(MIXED, 3, [], "x- a y- b c s-", id="steps without layers, all kept"),
        pytest.param(None, 1, [NEW], "u u- u- s", id="no history"),
        pytest.param([], 1, [NEW], "u u- u- s", id="an empty history"),
        pytest.param([step("a")], 1, [NEW], "a- u u- u- s", id="a history too short"),
        pytest.param([*PLAIN, step("d")], 1, [NEW], "a- b- c- d- u u- u- s", id="too long"),
    ],
)
def test_the_history_equals_the_layers(
    history: list[Json] | None, kept: int, new: list[Digest], expected: str
) -> None:
    document = squashed(config(3, history), kept, new)
    assert marks(document) == expected
    assert document["rootfs"] == {"type": "layers", "diff_ids": [*ids(3)[:kept], *new]}
    assert with_layer(document) == len(document["rootfs"]["diff_ids"])


def on_base(source: ImageConfig, base: ImageConfig, count: int) -> Json:
    document: Json = json.loads(source.rebased(base, count).data)
    return document


NOTED = [step("a", empty=True), step("x", empty=True), step("b", empty=True), step("s")]
BASE = [step("a"), step("x", empty=True), step("b")]
"""A base of two layers; NOTED is what squashing makes of its history."""


@pytest.mark.parametrize(
    ("history", "base", "expected"),
    {
        "what the base began stands once": ([*BASE, step("c")], NOTED, "a- x- b- s c"),
        "so do its last steps without a layer": (
            [*BASE, step("y", empty=True), step("z", empty=True), step("c")],
            [*NOTED[:3], step("y", empty=True), step("s")],
            "a- x- b- y- s z- c",
        ),
        "steps above it stay": (
            [*BASE, step("y", empty=True), step("c"), step("z", empty=True)],
            NOTED,
            "a- x- b- s y- c z-",
        ),
        "a base that kept a layer": (
            [*BASE, step("c")],
            [step("a"), step("x", empty=True), step("b", empty=True), step("s", empty=True)],
            "a x- b- s- c",
        ),
        "an image without history": (None, NOTED, "a- x- b- s u"),
        "a base without history": ([*BASE, step("c")], None, "u x- c"),
        "a history that matches no layers": ([step("a"), step("q")], NOTED, "a- x- b- s q- u"),
    }.values(),
)
def test_on_another_form_of_the_base(
    history: list[Json] | None, base: list[Json] | None, expected: str
) -> None:
    source = config(3, history, config={"Cmd": ["/run"]}, unknown="kept")
    base_config = parse_config(
        json.dumps({"rootfs": {"diff_ids": [NEW]}, "history": base or []}).encode(), 1, WHERE
    )
    document = on_base(source, base_config, 2)
    assert marks(document) == expected
    assert document["rootfs"]["diff_ids"] == [NEW, ids(3)[2]]
    assert with_layer(document) == 2
    assert (document["config"], document["unknown"]) == ({"Cmd": ["/run"]}, "kept")
    assert document["created"] == CREATED


@given(
    history=st.none() | st.lists(st.builds(step, st.just("a"), empty=st.booleans()), max_size=8),
    layers=st.integers(0, 6),
    kept=st.integers(0, 6),
    new=st.integers(0, 3),
)
def test_whatever_the_history_was(
    history: list[Json] | None, layers: int, kept: int, new: int
) -> None:
    kept = min(kept, layers)
    source = config(layers, history)
    document = squashed(source, kept, [NEW] * new)
    assert with_layer(document) == kept + new == len(document["rootfs"]["diff_ids"])
    written = document["history"]
    assert [entry["created_by"] for entry in written][: len(source.history)] == [
        entry["created_by"] for entry in source.history
    ], "every entry is still there"
    again = parse_config(json.dumps(document).encode(), kept + new, WHERE)
    assert marks(squashed(again, kept + new, [])) == marks(document) + " s-"


def test_unknown_fields_survive_and_created_stays() -> None:
    history = [{**step("a"), "author": "ann", "new": [1]}]
    inner = {"Env": ["A=ü"], "Labels": {"k": "v"}, "New": {"deep": None}}
    source = config(1, history, config=inner, author="ann", **{"moby.buildkit.cache.v0": "x"})
    document = squashed(source, 0, [NEW])
    assert {**document, "history": 0, "rootfs": 0} == {
        **source.document,
        "history": 0,
        "rootfs": 0,
    }
    assert document["history"][0] == {**history[0], "empty_layer": True}
    assert list(document)[:4] == list(source.document)[:4], "in the same order"


def test_unknown_fields_of_rootfs_survive() -> None:
    rootfs = {"type": "layers", "diff_ids": ids(1), "new": 1}
    assert squashed(config(1, rootfs=rootfs), 0, [NEW])["rootfs"] == {**rootfs, "diff_ids": [NEW]}


def test_the_note_is_dated_as_the_source() -> None:
    assert squashed(config(1), 0, [NEW])["history"][-1] == {"created": CREATED, **NOTE}
    undated = config(1, created=None)
    assert squashed(undated, 0, [NEW])["history"][-1] == NOTE
    assert squashed(config(1), 0, [])["history"][-1] == {
        "created": CREATED,
        **NOTE,
        "empty_layer": True,
    }


def test_the_source_is_not_changed() -> None:
    source = config(3, PLAIN)
    before = json.dumps(source.document)
    squashed(source, 0, [NEW])
    assert json.dumps(source.document) == before


def test_the_same_bytes_each_time() -> None:
    source = config(3, MIXED)
    assert len({source.squashed(1, [NEW], NOTE) for _ in range(5)}) == 1


@pytest.mark.parametrize(
    ("history", "layer", "made_by"),
    [
        pytest.param(PLAIN, 0, "a", id="the first"),
        pytest.param(PLAIN, 2, "c", id="the last"),
        pytest.param(MIXED, 0, "a", id="behind a step without a layer"),
        pytest.param(MIXED, 1, "b", id="between steps without layers"),
        pytest.param(None, 0, "", id="no history"),
        pytest.param([step("a")], 0, "", id="a history too short"),
        pytest.param([*PLAIN, step("d")], 0, "", id="a history too long"),
        pytest.param([{}, {}, {}], 1, "", id="steps without words"),
        pytest.param([{"created_by": None}, {}, {}], 0, "", id="a step with null"),
    ],
)
def test_which_step_made_a_layer(history: list[Json] | None, layer: int, made_by: str) -> None:
    assert config(3, history).created_by(layer) == made_by


def test_the_platform() -> None:
    assert config(0).platform == Platform("linux", "arm64", "v8")
    assert parse_config(b'{"rootfs":{"diff_ids":[]}}', 0, WHERE).platform == Platform(
        "unknown", "unknown"
    )


@pytest.mark.parametrize(
    ("document", "layers", "word"),
    [
        pytest.param({}, 1, "lists 0 diff IDs for 1 layers", id="no rootfs"),
        pytest.param({"rootfs": []}, 1, "lists 0 diff IDs for 1", id="rootfs, a list"),
        pytest.param({"rootfs": []}, 0, "lists 0 diff IDs for 0", id="rootfs, an empty list"),
        pytest.param({"rootfs": {"diff_ids": {}}}, 0, "lists 0 diff IDs", id="an object"),
        pytest.param({"rootfs": {"diff_ids": "x"}}, 1, "lists 0 diff IDs", id="a word"),
        pytest.param({"rootfs": {"diff_ids": ids(2)}}, 1, "2 diff IDs for 1 lay", id="too many"),
        pytest.param({"rootfs": {"diff_ids": ids(2)}}, 3, "2 diff IDs for 3 lay", id="too few"),
        pytest.param(
            {"rootfs": {"diff_ids": []}, "history": {"a": 1}}, 0, "history that is no", id="history"
        ),
        pytest.param(
            {"rootfs": {"diff_ids": []}, "history": ["a"]}, 0, "history that is no", id="a step"
        ),
    ],
)
def test_broken_configs(document: Json, layers: int, word: str) -> None:
    with pytest.raises(FormatError, match=f"^{WHERE} .*{word}"):
        parse_config(json.dumps(document).encode(), layers, WHERE)


def test_a_config_that_is_no_json() -> None:
    with pytest.raises(FormatError, match=f"^{WHERE} is not valid JSON"):
        parse_config(b"\x1f\x8b", 1, WHERE)
