"""Sealed records: what comes back is what went in, or an error."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.codec import zstd
from squashproxy.codec.sealed import seal, unseal
from squashproxy.errors import FormatError
from squashproxy.streams import CHUNK

MOST = 1 << 20
LABEL = "note 1 of sha256:12"


@given(pieces=st.lists(st.binary(max_size=400), max_size=6))
def test_the_content_comes_back(pieces: list[bytes]) -> None:
    record = seal(LABEL, pieces)
    assert unseal(LABEL, record, MOST) == b"".join(pieces)
    assert seal(LABEL, pieces) == record


def test_content_of_many_chunks_comes_back() -> None:
    numbers = array("Q", range(3 * CHUNK // 8 + 5))
    assert unseal(LABEL, seal(LABEL, [b"x", numbers]), 1 << 30) == b"x" + numbers.tobytes()


def resealed(length: int, packed: bytes) -> bytes:
    """A record with the right digest, whatever it holds."""
    name = LABEL.encode()
    head = len(name).to_bytes(2, "little") + name + length.to_bytes(8, "little")
    return b"SQPR" + head + hashlib.sha256(head + packed).digest() + packed


RECORD = seal(LABEL, [b"content" * 9])
FRAME = b"".join(zstd.iter_deflated([b"content"], 3, 1))
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is no record of the note 1"),
    "a file of something else": (b"\x7fELF" + bytes(900), "is no record of the note 1"),
    "another label": (seal("note 2 of sha256:12", [b"x"]), "is no record of the note 1"),
    "a label that goes on": (seal(LABEL + "3", [b"x"]), "is no record of the note 1"),
    "a head alone": (RECORD[:30], "is cut short"),
    "an end that is cut off": (RECORD[:-1], "has another digest than it says"),
    "a flipped bit": (RECORD[:-9] + bytes([RECORD[-9] ^ 1]) + RECORD[-8:], "another digest"),
    "another length": (resealed(8, FRAME), "another number of bytes"),
    "a length above all": (resealed((1 << 64) - 1, FRAME), "holds more than 1048576 bytes"),
    "no frame": (resealed(7, b"content"), "does not inflate"),
    "a frame without an end": (resealed(7, FRAME[:-2]), "has no end"),
    "nothing for something": (resealed(7, b""), "another number of bytes"),
}


@pytest.mark.parametrize(("record", "sentence"), REFUSED.values(), ids=list(REFUSED))
def test_refusals(record: bytes, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        unseal(LABEL, record, MOST)


def test_a_bomb_is_inflated_no_further_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    inflated = 0
    inflate = zstd.iter_inflated

    def counted(blob: Iterable[bytes], where: str) -> Iterator[bytes]:
        nonlocal inflated
        for chunk in inflate(blob, where):
            inflated += len(chunk)
            yield chunk

    monkeypatch.setattr(zstd, "iter_inflated", counted)
    bomb = b"".join(zstd.iter_deflated([bytes(CHUNK)] * 400, 3, 1))
    with pytest.raises(FormatError, match="another number of bytes"):
        unseal(LABEL, resealed(100, bomb), MOST)
    assert inflated <= CHUNK
