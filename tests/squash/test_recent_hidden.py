"""Which hidden files a link may still take over without another reading."""

from __future__ import annotations

from squashproxy.archive.detached_entry import DetachedEntry
from squashproxy.squash.recent_hidden import CELL, MOST, RecentHidden


def hidden_file(ordinal: int, offset: int, size: int = 1024) -> DetachedEntry:
    return DetachedEntry(ordinal, offset, b"path", b"header", size - 512, size, [])


def found(recent: RecentHidden) -> list[int]:
    return [ordinal for ordinal in range(10) if recent.try_find(ordinal) is not None]


def test_an_entry_that_was_never_added_is_not_found() -> None:
    assert found(RecentHidden(CELL)) == []


def test_files_are_remembered_however_much_stands_between_them() -> None:
    recent = RecentHidden(2 * CELL)
    recent.add(hidden_file(0, 0))
    recent.add(hidden_file(1, 1000 * CELL))
    assert found(recent) == [0, 1]
    assert recent.try_find(1) == hidden_file(1, 1000 * CELL)


def test_small_files_of_one_chunk_take_its_room_once() -> None:
    recent = RecentHidden(CELL)
    for ordinal in range(5):
        recent.add(hidden_file(ordinal, 1024 * ordinal))
    assert found(recent) == [0, 1, 2, 3, 4]
    recent.add(hidden_file(5, CELL))
    assert found(recent) == [5]


def test_the_oldest_go_when_there_is_no_room() -> None:
    recent = RecentHidden(4 * CELL)
    recent.add(hidden_file(0, 0, 3 * CELL))
    recent.add(hidden_file(1, 3 * CELL, CELL))
    assert found(recent) == [0, 1]
    recent.add(hidden_file(2, 9 * CELL))
    assert found(recent) == [1, 2]


def test_a_file_that_does_not_fit_is_not_worth_putting_aside() -> None:
    recent = RecentHidden(2 * CELL)
    assert recent.has_room_for(0, 2 * CELL)
    assert not recent.has_room_for(1, 2 * CELL)
    assert not RecentHidden(0).has_room_for(0, 512)


def test_of_many_small_files_the_last_ones_are_remembered() -> None:
    recent = RecentHidden(2 * CELL)
    for ordinal in range(MOST + 1):
        recent.add(hidden_file(ordinal, ordinal))
    assert recent.try_find(0) is None
    assert recent.try_find(1) is not None
