"""Hidden bytes by folder: a short list that leaves nothing out."""

from __future__ import annotations

import random

from squashproxy.analysis.hidden_folders import LISTED, HiddenFolders
from squashproxy.squash.layer import HiddenEntry


def hidden(path: str, size: int) -> HiddenEntry:
    return HiddenEntry(path.encode(), size, 0, 1)


def rows(folders: HiddenFolders) -> list[tuple[str, int, int]]:
    return [(row.path, row.hidden_bytes, row.files) for row in folders.listed]


def test_each_folder_counts_its_own_files_and_the_largest_comes_first() -> None:
    folders = HiddenFolders()
    for path, size in (("a/x", 5), ("a/y", 6), ("a/b/z", 100), ("top", 1)):
        folders.hidden(hidden(path, size))
    assert rows(folders) == [("a/b", 100, 1), ("a", 11, 2), ("/", 1, 1)]


def test_what_lives_on_as_a_link_is_taken_back() -> None:
    folders = HiddenFolders()
    folders.hidden(hidden("a/x", 5))
    folders.hidden(hidden("b/y", 7))
    folders.revived(b"a/x", 5)
    assert rows(folders) == [("b", 7, 1)]


def test_many_folders_are_rolled_up_smallest_first() -> None:
    folders = HiddenFolders()
    for number in range(1000):
        folders.hidden(hidden(f"small/{number}/x", 1 + number % 3))
    for number in range(150):
        folders.hidden(hidden(f"large/{number}/x", 1_000_000 + number))
    found = rows(folders)
    assert len(found) == LISTED
    assert [path for path, _, _ in found[:2]] == ["large/149", "large/148"]
    assert sum(path.startswith("large/") for path, _, _ in found) == 150
    assert {path.partition("/")[0] for path, _, _ in found} == {"large", "small"}
    rolled = [row for row in found if row[0] == "small"]
    assert [files for _, _, files in rolled] == [1000 - (LISTED - 150 - 1)]
    assert sum(size for _, size, _ in found) == folders_total(1000, 150)
    assert sum(files for _, _, files in found) == 1150


def folders_total(small: int, large: int) -> int:
    return sum(1 + n % 3 for n in range(small)) + sum(1_000_000 + n for n in range(large))


def test_a_small_folder_does_not_take_larger_ones_above_it_along() -> None:
    folders = HiddenFolders()
    for number in range(LISTED + 1):
        folders.hidden(hidden(f"usr/share/{number}/deep/down/x", 10))
    found = rows(folders)
    assert len(found) == LISTED
    assert {path.count("/") for path, _, _ in found} <= {4, 3, 2, 1}
    assert sum(size for _, size, _ in found) == 10 * (LISTED + 1)
    assert "/" not in {path for path, _, _ in found}


def test_memory_is_bounded_and_nothing_is_lost_or_goes_below_zero() -> None:
    dice = random.Random(7)
    folders = HiddenFolders(remembered=50)
    entries = [
        hidden(
            "/".join(dice.choice("abcd") for _ in range(dice.randint(1, 9))), dice.randint(1, 99)
        )
        for _ in range(3000)
    ]
    for entry in entries:
        folders.hidden(entry)
        assert len(folders._sums) <= 50
    for entry in entries[::3]:
        folders.revived(entry.path, entry.size)
    left = [entry for number, entry in enumerate(entries) if number % 3]
    assert sum(size for _, size, _ in rows(folders)) == sum(entry.size for entry in left)
    assert sum(files for _, _, files in rows(folders)) == len(left)
    assert min(size for _, size, _ in rows(folders)) > 0


def test_names_that_are_no_text_are_shown_escaped() -> None:
    folders = HiddenFolders()
    folders.hidden(HiddenEntry(b"caf\xe9/x", 1, 0, 1))
    assert rows(folders) == [("caf\\xe9", 1, 1)]
