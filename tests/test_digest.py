"""Digests, and streams that fail instead of ending where they are not what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.digest import Digest, Hasher, Verified, digest_of, parse_digest
from squashproxy.errors import FormatError, IntegrityError, StreamConsumed

CONTENT = [b"one ", b"two ", b"three"]
WHOLE = b"".join(CONTENT)
WHAT = "blob 1 of h.io/app"


@pytest.mark.parametrize(
    "text", ["sha256:" + "0f" * 32, "sha512:" + "0f" * 64], ids=["sha256", "sha512"]
)
def test_a_digest(text: str) -> None:
    assert parse_digest(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("0f" * 32, id="no algorithm"),
        pytest.param("sha256:", id="no digits"),
        pytest.param("sha256:" + "0f" * 31, id="short"),
        pytest.param("sha256:" + "0f" * 33, id="long"),
        pytest.param("sha512:" + "0f" * 32, id="sha512 with sha256's length"),
        pytest.param("sha256:" + "0F" * 32, id="capitals"),
        pytest.param("sha256:" + "0g" * 32, id="not hexadecimal"),
        pytest.param("sha256:" + "0f" * 32 + "\n", id="a line feed"),
        pytest.param("md5:" + "0f" * 16, id="md5"),
        pytest.param("sha256:../../" + "0f" * 29, id="a path"),
        pytest.param("sha256:" + "٣" * 64, id="digits of another script"),
    ],
)
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(FormatError, match="is not a sha256 or sha512 digest"):
        parse_digest(text)


@given(st.binary(), st.integers(1, 50))
def test_hashed_in_pieces_it_is_the_same(data: bytes, size: int) -> None:
    hasher = Hasher()
    for at in range(0, len(data), size):
        hasher.update(memoryview(data)[at : at + size])
    assert hasher.digest == digest_of(data) == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert hasher.size == len(data)
    assert parse_digest(hasher.digest) == hasher.digest


def test_hashed_with_the_algorithm_of_another() -> None:
    hasher = Hasher(Digest("sha512:" + "0f" * 64))
    hasher.update(WHOLE)
    assert hasher.digest == f"sha512:{hashlib.sha512(WHOLE).hexdigest()}"


@pytest.mark.parametrize("size", [len(WHOLE), None], ids=["size known", "size not known"])
@pytest.mark.parametrize(
    "digest",
    [digest_of(WHOLE), Digest(f"sha512:{hashlib.sha512(WHOLE).hexdigest()}")],
    ids=["sha256", "sha512"],
)
def test_a_stream_that_is_right_passes(digest: Digest, size: int | None) -> None:
    assert list(Verified(CONTENT, digest, size, WHAT)) == CONTENT


def test_nothing_can_be_right() -> None:
    assert list(Verified([], digest_of(b""), 0, WHAT)) == []


OTHER = digest_of(b"other")


@pytest.mark.parametrize(
    ("chunks", "digest", "size", "sentence"),
    [
        pytest.param(
            CONTENT[:2], digest_of(WHOLE), 13, "ended after 8 of 13 bytes", id="cut short"
        ),
        pytest.param([], digest_of(WHOLE), 13, "ended after 0 of 13 bytes", id="nothing came"),
        pytest.param(
            CONTENT, digest_of(WHOLE), 8, "longer than the 8 bytes its descriptor", id="too long"
        ),
        pytest.param(CONTENT, OTHER, 13, f"instead of {OTHER}", id="other bytes"),
        pytest.param(CONTENT, OTHER, None, f"instead of {OTHER}", id="other bytes, no size"),
        pytest.param(
            CONTENT[:2], digest_of(WHOLE), None, f"instead of {digest_of(WHOLE)}", id="cut, no size"
        ),
    ],
)
def test_a_stream_that_is_wrong_fails(
    chunks: list[bytes], digest: Digest, size: int | None, sentence: str
) -> None:
    with pytest.raises(IntegrityError, match=f"^{WHAT} .*{sentence}"):
        list(Verified(chunks, digest, size, WHAT))


def test_no_byte_too_many_is_passed_on() -> None:
    passed: list[bytes] = []
    with pytest.raises(IntegrityError, match="is longer than"):
        passed.extend(Verified(CONTENT, digest_of(WHOLE[:8]), 8, WHAT))
    assert passed == CONTENT[:2]


def test_an_endless_stream_stops_at_its_size() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(100)

    with pytest.raises(IntegrityError, match="is longer than the 250 bytes"):
        list(Verified(endless(), digest_of(bytes(250)), 250, WHAT))


def test_a_stream_is_read_once() -> None:
    verified = Verified(CONTENT, digest_of(WHOLE), 13, WHAT)
    list(verified)
    with pytest.raises(StreamConsumed, match=f"{WHAT} was read already"):
        list(verified)


def test_a_stream_that_failed_is_not_read_again() -> None:
    verified = Verified(CONTENT, OTHER, 13, WHAT)
    with pytest.raises(IntegrityError):
        list(verified)
    with pytest.raises(StreamConsumed):
        next(iter(verified))
