"""The cache drops the entry that was unused for longest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from squashproxy.lru import LruCache


def test_uses_count() -> None:
    known: LruCache[str, str] = LruCache(2)
    known["a"] = "1"
    known["b"] = "2"
    assert known.find("a") == "1"
    known["c"] = "3"
    assert (known.find("a"), known.find("b"), known.get("c", "")) == ("1", None, "3")


def test_the_latest_stays_however_heavy() -> None:
    known: LruCache[str, bytes] = LruCache(10, len)
    known["a"] = b"x" * 6
    known["b"] = b"x" * 60
    assert (known.find("a"), known.find("b")) == (None, b"x" * 60)


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=20))))
def test_the_bound_holds(puts: list[tuple[int, bytes]]) -> None:
    known: LruCache[int, bytes] = LruCache(50, len)
    for key, value in puts:
        known[key] = value
        held = [found for number in range(10) if (found := known.find(number)) is not None]
        assert sum(map(len, held)) <= 50
        assert known.find(key) == value


def test_what_is_missing_is_made_once() -> None:
    cache: LruCache[str, int] = LruCache(2)
    made = iter([1, 2])
    assert [cache.find_or_make("a", lambda: next(made)) for _ in range(3)] == [1, 1, 1]
