"""Results of pruning as bytes, and whatever else may stand in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.codec.sealed import seal
from squashproxy.errors import FormatError
from squashproxy.layer_memory.results_record import MOST_RESULTS, decode_results, encode_results
from tests.layer_memory.remembered import LAYER, OTHER, result

LABEL = f"results 1 by 3 of {LAYER}"
RESULTS = (result(1), result(40), result(2))
GOOD: dict[str, Any] = {
    "source_diff_id": LAYER,
    "dropped": 1,
    "whiteouts": 0,
    "hidden_bytes": 1024,
    "compression": "gzip",
    "digest": OTHER,
    "size": 7,
    "diff_id": LAYER,
    "unpacked": 9,
}


def record(documents: object, columns: bytes = b"\1\0\0\0") -> bytes:
    """A record with the right digest, whatever it holds."""
    text = json.dumps(documents).encode()
    return seal(LABEL, [len(text).to_bytes(4, "little"), text, columns])


def test_they_come_back_as_they_were() -> None:
    assert decode_results(encode_results(RESULTS, LAYER, 3), LAYER, 3) == RESULTS
    assert decode_results(encode_results((), LAYER, 3), LAYER, 3) == ()
    assert len(decode_results(record([GOOD]), LAYER, 3)) == 1


@pytest.mark.parametrize(("layer", "engine"), [(OTHER, 3), (LAYER, 4), (LAYER, 33)])
def test_those_of_another_layer_or_engine_do_not_count(layer: Any, engine: int) -> None:
    with pytest.raises(FormatError, match="is no record of the results"):
        decode_results(encode_results(RESULTS, LAYER, 3), layer, engine)


LIES: dict[str, bytes] = {
    "no list": record(7),
    "no objects": record([7]),
    "a field is missing": record([{key: value for key, value in GOOD.items() if key != "size"}]),
    "no digest": record([GOOD | {"digest": "sha256:12"}]),
    "a digest that is no text": record([GOOD | {"digest": {}}]),
    "a negative size": record([GOOD | {"size": -1}]),
    "a size that is no number": record([GOOD | {"size": True}]),
    "an unknown compression": record([GOOD | {"compression": "lzma"}]),
    "more ordinals than there are": record([GOOD | {"dropped": 2}]),
    "ordinals that are left over": record([GOOD], b"\1\0\0\0\2\0\0\0"),
    "ordinals that go down": record([GOOD | {"dropped": 2}], b"\2\0\0\0\1\0\0\0"),
    "an ordinal twice": record([GOOD | {"dropped": 2}], b"\1\0\0\0\1\0\0\0"),
    "too many results": record([GOOD] * (MOST_RESULTS + 1), b"\1\0\0\0" * (MOST_RESULTS + 1)),
    "a length beyond the end": seal(LABEL, [b"\xff\xff\xff\xff[]"]),
    "nothing": seal(LABEL, []),
    "no JSON": seal(LABEL, [b"\2\0\0\0]["]),
    "no text": seal(LABEL, [b"\2\0\0\0\xff\xfe"]),
    "JSON in JSON in JSON": seal(LABEL, [b"\x40\x0d\x03\0", b"[" * 200_000]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_record_that_makes_no_sense_is_refused(lie: bytes) -> None:
    with pytest.raises(FormatError):
        decode_results(lie, LAYER, 3)


@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_damage_is_noticed(data: st.DataObject) -> None:
    damaged = bytearray(encode_results(RESULTS, LAYER, 3))
    if data.draw(st.booleans()):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    with pytest.raises(FormatError):
        decode_results(bytes(damaged), LAYER, 3)


@given(content=st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_sealed_content_is_results_or_refused(content: bytes) -> None:
    try:
        decode_results(seal(LABEL, [content]), LAYER, 3)
    except FormatError:
        return
