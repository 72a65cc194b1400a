"""Whatever comes from outside is parsed, or refused with an error that is documented."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import squashproxy
from tests.fuzz.mutations import ODD_VALUES, exchanged, iter_places, nearly, nearly_json
from tests.fuzz.parsers import JSON, PARSERS, Parser

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
PACKAGE = str(Path(squashproxy.__file__).parent)
FREELY = [HealthCheck.too_slow, HealthCheck.data_too_large]
OFTEN = [
    pytest.param(25, id="some"),
    pytest.param(20_000, id="many", marks=pytest.mark.long),
]
each_parser = pytest.mark.parametrize("name", PARSERS)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_was_found_once_is_not_found_again(path: Path) -> None:
    """The file's name begins with that of its parser."""
    PARSERS[path.name.partition(",")[0]].accepts(path.read_bytes())


@each_parser
def test_every_seed_is_looked_at_and_one_is_taken(name: str) -> None:
    seeds = PARSERS[name].seeds
    taken = [PARSERS[name].accepts(seed) for seed in seeds]
    assert taken == [] or any(taken)


@pytest.mark.parametrize("count", OFTEN)
@each_parser
def test_any_bytes(name: str, count: int) -> None:
    parser = PARSERS[name]

    @settings(max_examples=count, deadline=None, suppress_health_check=FREELY, database=None)
    @given(nearly(parser.seeds))
    def check(data: bytes) -> None:
        parser.accepts(data)

    check()


@pytest.mark.parametrize("count", OFTEN)
@pytest.mark.parametrize("name", sorted(JSON))
def test_documents_with_other_values(name: str, count: int) -> None:
    parser = PARSERS[name]

    @settings(max_examples=count, deadline=None, suppress_health_check=FREELY, database=None)
    @given(nearly_json(parser.seeds))
    def check(data: bytes) -> None:
        parser.accepts(data)

    check()


@pytest.mark.parametrize("name", sorted(JSON - {"plan file"}))
def test_each_value_may_be_of_another_type(name: str) -> None:
    """Every value of a document in turn, each time another three of the odd ones."""
    parser = PARSERS[name]
    for seed in parser.seeds:
        document: Any = json.loads(seed) if seed[:1] == b"{" else {}
        for number, place in enumerate(iter_places(document)):
            for odd in (ODD_VALUES * 2)[number % len(ODD_VALUES) :][:3]:
                parser.accepts(json.dumps(exchanged(document, place, odd)).encode())


@given(st.sampled_from(sorted(PARSERS)), st.text(max_size=200))
@settings(max_examples=150, deadline=None, suppress_health_check=FREELY, database=None)
def test_any_text(name: str, text: str) -> None:
    PARSERS[name].accepts(text.encode("utf-8", "surrogatepass"))


@contextmanager
def counting() -> Iterator[list[int]]:
    """Count the lines of the package that run; the list's one number is the count."""
    steps = [0]

    def on_line(_: FrameType, event: str, __: object) -> Any:
        if event == "line":
            steps[0] += 1
        return on_line

    def on_call(frame: FrameType, _: str, __: object) -> Any:
        return on_line if frame.f_code.co_filename.startswith(PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield steps
    finally:
        sys.settrace(before)


def steps_of(parser: Parser, count: int) -> int:
    begin, piece, end = parser.piece
    with counting() as steps:
        parser.accepts(begin + piece * count + end)
    return steps[0]


@each_parser
def test_work_is_linear_in_the_input(name: str) -> None:
    """Four times the input takes at most about four times the steps."""
    parser = PARSERS[name]
    few, many = steps_of(parser, 250), steps_of(parser, 1000)
    assert many <= 4.5 * few + 500
