"""Differences that do not count: metadata that no layer states, and impossible link groups."""

from __future__ import annotations

import pytest

from squashproxy.testing import LayerBuilder as Layer
from squashproxy.verify.compare import compare
from tests.verify.unpacking import unpack

FILE = Layer().file("a", b"data")

ALIKE = {
    "a folder that no entry describes may have any metadata": (
        [Layer().file("d/x")],
        [Layer().directory("d", mode=0o700, uid=9, mtime=1, xattrs={"user.a": b"1"}).file("d/x")],
    ),
    "so may the root": ([FILE], [Layer().directory("./", mode=0o700).file("a", b"data")]),
    "a symlink's mode means nothing": (
        [Layer().symlink("s", "t", mode=0o777)],
        [Layer().symlink("s", "t", mode=0o644)],
    ),
    "links into a lower layer, and the group that a squash makes of them": (
        [FILE, Layer().hardlink("b", "a").hardlink("c", "a")],
        [Layer().file("a", b"data").hardlink("b", "a").hardlink("c", "a")],
    ),
    "links into a lower layer, written out": (
        [FILE, Layer().hardlink("b", "a")],
        [Layer().file("a", b"data").file("b", b"data")],
    ),
    "a link's own header": (
        [Layer().file("a", mode=0o600, uid=3).hardlink("b", "a", mode=0o777, uid=4)],
        [Layer().file("b", mode=0o600, uid=3).hardlink("a", "b")],
    ),
}


@pytest.mark.parametrize("case", ALIKE)
def test_it_makes_no_difference(case: str) -> None:
    a, b = map(unpack, ALIKE[case])
    assert compare(a, b).differences == ()
    assert compare(b, a).differences == ()


def test_a_link_whose_other_name_is_missing_is_told_once() -> None:
    a = unpack([Layer().file("a", b"x").hardlink("b", "a").hardlink("c", "a")])
    b = unpack([Layer().file("a", b"x").hardlink("c", "a")])
    assert [(found.path, found.kind) for found in compare(a, b).differences] == [("b", "missing")]


def test_names_of_a_real_group_are_compared_beside_loose_ones() -> None:
    lower = Layer().file("a", b"x").hardlink("b", "a")
    a = unpack([lower, Layer().hardlink("loose", "a")])
    b = unpack([Layer().file("a", b"x").file("b", b"x").hardlink("loose", "a")])
    found = [(found.path, found.kind, found.a, found.b) for found in compare(a, b).differences]
    assert found == [("a", "links", "a, b", "a"), ("b", "links", "a, b", "b")]


@pytest.mark.parametrize(
    "linked",
    [Layer().file("a").hardlink("b", "a"), Layer().hardlink("b", "a").file("a")],
    ids=["behind its target", "before its target"],
)
def test_a_link_and_a_copy_differ_on_either_side(linked: Layer) -> None:
    a, b = unpack([linked]), unpack([Layer().file("a").file("b")])
    told = [("a", "links"), ("b", "links")]
    assert [(found.path, found.kind) for found in compare(a, b).differences] == told
    assert [(found.path, found.kind) for found in compare(b, a).differences] == told


def test_a_link_that_became_another_type_is_told_once() -> None:
    a = unpack([Layer().file("a").hardlink("b", "a")])
    b = unpack([Layer().file("a").symlink("b", "a")])
    assert [(found.path, found.kind) for found in compare(a, b).differences] == [("b", "type")]


def test_a_few_names_of_a_large_group_are_shown() -> None:
    linked, copies = Layer().file("0"), Layer().file("0")
    for number in range(1, 9):
        linked.hardlink(str(number), "0")
        copies.file(str(number))
    found = compare(unpack([linked]), unpack([copies])).differences
    assert len(found) == 9
    assert found[0].a == "0, 1, 2, 3, 4, and 4 more"


def test_one_path_may_differ_in_many_ways() -> None:
    a = unpack([Layer().file("a", b"x", mode=0o600, uid=1, mtime=1, xattrs={"user.a": b"1"})])
    b = unpack([Layer().file("a", b"y", mode=0o640, uid=2, mtime=2, xattrs={"user.a": b"2"})])
    kinds = [found.kind for found in compare(a, b).differences]
    assert kinds == ["mode", "owner", "mtime", "xattrs", "content"]


def test_a_time_that_no_calendar_has_is_a_number() -> None:
    a = unpack([Layer().file("a", records=(("mtime", b"99999999999999.5"),))])
    (found,) = compare(a, unpack([Layer().file("a", mtime=0)])).differences
    assert found.a == "99999999999999.500000000 seconds since 1970"


def test_paths_of_both_trees_are_counted_once() -> None:
    a, b = unpack([Layer().file("d/x").file("y")]), unpack([Layer().file("d/x").file("z")])
    assert compare(a, b).paths == 4
