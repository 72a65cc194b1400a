"""Which hidden files a link may still take over without another reading."""

from __future__ import annotations

from squashproxy.archive.scanner import Aside
from squashproxy.squash.lately import MOST, Lately

WINDOW = 1000


def aside(ordinal: int, offset: int) -> Aside:
    return Aside(ordinal, offset, b"path", b"header", 0, 0, [])


def test_a_file_is_found_up_to_a_window_behind_it_whatever_came_between() -> None:
    lately = Lately(WINDOW)
    lately.add(aside(3, 200))
    assert lately.try_find(3, 200 + WINDOW) == aside(3, 200)
    assert lately.try_find(3, 201 + WINDOW) is None
    lately.add(aside(4, 200 + WINDOW))
    assert lately.try_find(3, 200 + WINDOW) == aside(3, 200)
    lately.add(aside(5, 201 + WINDOW))
    assert lately.try_find(3, 201 + WINDOW) is None
    assert lately.try_find(4, 201 + WINDOW) == aside(4, 200 + WINDOW)


def test_an_entry_that_was_never_added_is_not_found() -> None:
    assert Lately(WINDOW).try_find(0, 0) is None


def test_of_many_small_files_the_last_ones_are_remembered() -> None:
    lately = Lately(WINDOW * MOST)
    for ordinal in range(MOST + 1):
        lately.add(aside(ordinal, ordinal))
    assert lately.try_find(0, MOST) is None
    assert lately.try_find(1, MOST) == aside(1, 1)
