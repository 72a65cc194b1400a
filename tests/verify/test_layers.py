"""Unpacking rules that the traps of squashing do not cover, and layers that are refused."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from types import FrameType

import pytest

from squashproxy.errors import BadArchive
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import Header, SparseForm, TarFormat
from squashproxy.testing import LayerBuilder as Layer
from squashproxy.testing.headers import encode_records
from squashproxy.verify.compare import compare
from squashproxy.verify.tree import Directory
from tests.model.node import Kind
from tests.model.pruning import prune_in_process, scan_in_process
from tests.squash.test_archive_ends import CUTS, EMPTY, ENDS, TAR
from tests.squash.test_refusals import ENTRIES, LINKS
from tests.squash.trap import squash
from tests.verify.unpacking import nodes, paths, unpack

EXTENSION = Layer().entry(Header(b"p", b"x")).tar(end_blocks=0)
PLNK = ".wh..wh.plnk/1.2"


@pytest.mark.parametrize("case", ENTRIES)
def test_what_the_merge_refuses_is_refused_with_layer_and_entry(case: str) -> None:
    layer, words = ENTRIES[case]
    with pytest.raises(BadArchive) as caught:
        unpack([Layer().directory("d"), layer])
    sentence = str(caught.value)
    assert sentence.startswith("layer 1: the entry /")
    assert words in sentence
    assert sentence.endswith("build the image again")


@pytest.mark.parametrize("case", LINKS)
def test_a_link_to_nothing_is_refused_with_its_target(case: str) -> None:
    layers, words, reason = LINKS[case]
    with pytest.raises(BadArchive) as caught:
        unpack(layers)
    sentence = str(caught.value)
    assert sentence.startswith(f"layer {len(layers) - 1}: the hard link /")
    assert words in sentence
    assert reason in sentence


@pytest.mark.parametrize(
    "above",
    [
        pytest.param(Layer().whiteout("b"), id="deleted"),
        pytest.param(Layer().file("b"), id="replaced"),
        pytest.param(Layer().opaque(""), id="under an opaque root"),
    ],
)
def test_a_link_to_nothing_that_is_hidden_does_no_harm(above: Layer) -> None:
    assert "k" in paths(unpack([Layer().hardlink("b", "nothing"), above.file("k")]))


def test_a_link_to_a_link_to_nothing_is_one_to_nothing() -> None:
    with pytest.raises(BadArchive, match="/c points to /b"):
        unpack([Layer().hardlink("b", "nothing"), Layer().hardlink("c", "b").whiteout("b")])


@pytest.mark.parametrize("chunk", [1, 512, 65_536])
@pytest.mark.parametrize("end", ENDS)
def test_every_end_of_an_archive_is_one(end: str, chunk: int) -> None:
    assert paths(unpack([ENDS[end]], chunk)) == {"a", "b", "c" * 120}


@pytest.mark.parametrize("empty", EMPTY)
def test_an_empty_layer_adds_nothing(empty: str) -> None:
    assert paths(unpack([Layer().file("k"), EMPTY[empty]])) == {"k"}


@pytest.mark.parametrize("chunk", [1, 512, 65_536])
@pytest.mark.parametrize("cut", CUTS)
def test_a_layer_cut_short_is_refused(cut: str, chunk: int) -> None:
    with pytest.raises(BadArchive, match="layer 1 is cut short or damaged"):
        unpack([Layer().file("k"), TAR[: CUTS[cut]]], chunk)


def test_a_damaged_header_is_no_end() -> None:
    """tarfile alone would end the archive there, and what follows would go missing unseen."""
    damaged = TAR[:1540] + b"\xff" + TAR[1541:]
    with pytest.raises(BadArchive, match="damaged"):
        unpack([damaged])


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(Layer().entry(Header(b"x", b"x", size=2 << 20), bytes(2 << 20)), id="huge"),
        pytest.param(
            Layer().entry(
                Header(b"f", records=(("GNU.sparse.map", b"1,x"), ("GNU.sparse.size", b"9")))
            ),
            id="sparse-map-of-words",
        ),
    ],
)
def test_nonsense_in_extensions_is_damage_and_no_bug(raw: Layer) -> None:
    with pytest.raises(BadArchive, match="layer 0 is cut short or damaged"):
        unpack([raw.file("k")])


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(BadArchive, match="/f has the unknown type 'V'"):
        unpack([Layer().entry(Header(b"f", b"V"))])


@pytest.mark.parametrize("form", SparseForm)
def test_holes_of_sparse_files_are_read_as_zeros(form: SparseForm) -> None:
    segments = [(4096, b"data" * 128), (16_384, b"more" * 128)]
    content = bytearray(20_000)
    for at, data in segments:
        content[at : at + len(data)] = data
    layer = Layer(TarFormat.GNU if form is SparseForm.GNU_OLD else TarFormat.PAX)
    node = nodes(unpack([layer.sparse("f", segments, 20_000, form).file("k", b"k")]))[b"f"]
    assert (node.size, node.content) == (20_000, hashlib.sha256(content).hexdigest())


GLOBAL: dict[str, dict[str, str | bytes]] = {
    "an owner": {"uid": "12345", "gid": "77"},
    "a time": {"mtime": "7.25"},
    "a name": {"path": "evil", "linkpath": "evil"},
    "a size": {"size": "3"},
    "an attribute": {"SCHILY.xattr.user.note": b"evil"},
    "a sparse file": {"GNU.sparse.size": "9", "GNU.sparse.map": "0,1"},
    "a charset": {"hdrcharset": "BINARY"},
    "a comment of git": {"comment": "0" * 40},
}
SEEN = Layer().file("a", b"data").hardlink("b", "a").symlink("c", "a").directory("d", uid=3)


@pytest.mark.parametrize("records", GLOBAL.values(), ids=list(GLOBAL))
def test_a_global_header_acts_on_nothing_as_for_docker_and_podman(
    records: dict[str, str | bytes],
) -> None:
    """Go's archive/tar hands it out as an entry of its own, and keeps nothing of it."""
    layer = Layer().file("0").global_pax_header(records).raw(SEEN.tar(end_blocks=0))
    assert nodes(unpack([layer, Layer().file("k")])) == nodes(
        unpack([Layer().file("0").raw(SEEN.tar(end_blocks=0)), Layer().file("k")])
    )
    tars = [layer.tar(), Layer().file("0", b"new").tar()]
    squashed = squash(tars).tar
    assert compare(unpack(tars), unpack([squashed])).differences == ()
    cuts = scan_in_process(tars, 0)
    assert cuts[0].hidden_entries == 1
    pruned = prune_in_process(tars, cuts, cuts)
    assert compare(unpack(tars), unpack(pruned)).differences == ()
    with tarfile.open(fileobj=io.BytesIO(squashed)) as archive:
        assert archive.pax_headers == {}


def test_an_entrys_own_records_count_behind_a_global_header() -> None:
    layer = Layer().global_pax_header({"mtime": "7.25"}).file("a", records=(("uid", b"12345"),))
    node = nodes(unpack([layer]))[b"a"]
    assert (node.uid, node.mtime) == (12345, 1_700_000_000_000_000_000)


def test_records_before_a_global_header_are_lost_as_in_go() -> None:
    lost = encode_records(b"x", b"lost", [("uid", b"12345")])
    layer = Layer().raw(lost).global_pax_header({"comment": "c"}).file("a", uid=3)
    assert nodes(unpack([layer]))[b"a"].uid == 3
    tars = [layer.tar(), Layer().file("k").tar()]
    assert compare(unpack(tars), unpack([squash(tars).tar])).differences == ()


def test_a_nanosecond_is_kept() -> None:
    layer = Layer().file("a", records=(("mtime", b"1700000000.123456789"),))
    assert nodes(unpack([layer]))[b"a"].mtime == 1_700_000_000_123_456_789


def test_links_into_the_aufs_store_of_a_lower_layer_become_files() -> None:
    layers = [Layer().file(PLNK, b"data").file("k"), Layer().hardlink("a", PLNK)]
    tree = nodes(unpack(layers))
    assert tree.keys() == {b"", b"a", b"k"}
    assert tree[b"a"].size == 4


@pytest.mark.parametrize("order", [("whiteout", "file"), ("file", "whiteout")])
def test_a_whiteout_of_a_folder_spares_what_its_layer_put_there(order: tuple[str, ...]) -> None:
    top = Layer()
    for step in order:
        _ = top.whiteout("d") if step == "whiteout" else top.file("d/e/new")
    below = Layer().directory("d", mode=0o700).directory("d/e", mode=0o700).file("d/e/old")
    tree = unpack([below, top])
    assert paths(tree) == {"d", "d/e", "d/e/new"}
    for path in (b"d", b"d/e"):
        folder = tree.find(path)
        assert isinstance(folder, Directory)
        assert folder.metadata is None


def test_a_whiteout_in_a_folder_that_is_nowhere_makes_it() -> None:
    assert paths(unpack([Layer().file("k"), Layer().whiteout("d/x")])) == {"k", "d"}


def test_a_copied_tree_grows_apart_from_its_original() -> None:
    tree = unpack([Layer().directory("d").directory("d/e").file("d/e/x")])
    copy = tree.copy()
    folder = copy.find(b"d/e")
    assert isinstance(folder, Directory)
    folder.children.clear()
    assert paths(tree) == {"d", "d/e", "d/e/x"}
    assert paths(copy) == {"d", "d/e"}


def test_very_deep_paths_need_no_recursion() -> None:
    deep = "/".join(["d"] * 2000)
    tree = unpack([Layer().file(deep), Layer().whiteout("d")])
    assert paths(tree) == set()
    assert unpack([Layer().file(deep)]).copy().find(deep.encode()) is not None


def names_joined(levels: int) -> int:
    """How often names are joined while a file below so many new directories is unpacked."""
    layer = Layer().file("/".join(["d"] * levels)).tar()
    count = 0

    def count_joins(_: FrameType, event: str, function: object) -> None:
        nonlocal count
        count += event == "c_call" and getattr(function, "__name__", "") == "join"

    sys.setprofile(count_joins)
    try:
        unpack([layer])
    finally:
        sys.setprofile(None)
    return count


def test_a_new_directory_costs_no_name_of_the_whole_way_to_it() -> None:
    """Otherwise the time for a hostile path would grow with the square of its length."""
    assert names_joined(2000) == names_joined(500)


def test_a_link_shares_its_files_kind_and_names() -> None:
    tree = nodes(unpack([Layer().hardlink("c", "b").hardlink("b", "a").fifo("a", mode=0o600)]))
    for name in (b"a", b"b", b"c"):
        assert tree[name].kind is Kind.FIFO
        assert tree[name].mode == 0o600
        assert tree[name].links == (b"a", b"b", b"c")


def test_links_of_a_layer_to_one_lower_file_share_its_copy() -> None:
    tree = nodes(
        unpack([Layer().file("a", b"data"), Layer().hardlink("b", "a").hardlink("c", "a")])
    )
    assert [tree[name].links for name in (b"a", b"b", b"c")] == [(), (b"b", b"c"), (b"b", b"c")]


def test_a_lower_file_is_found_however_often_its_layer_replaced_what_held_it() -> None:
    top = Layer().file("d").directory("d").file("d/x", b"own").file("d").hardlink("b", "d/x")
    tree = nodes(unpack([Layer().directory("d").file("d/x", b"lower one"), top]))
    assert tree[b"b"].size == 9


def test_a_file_that_its_own_layer_took_away_again_is_none() -> None:
    layer = Layer().directory("d").file("d/x").file("d").hardlink("b", "d/x")
    with pytest.raises(BadArchive, match="/b points to /d/x"):
        unpack([layer])


def test_a_link_before_its_target_that_is_replaced_meanwhile() -> None:
    tree = nodes(unpack([Layer().hardlink("b", "a").file("b", b"own").file("a", b"target")]))
    assert (tree[b"b"].size, tree[b"b"].links) == (3, ())


@pytest.mark.parametrize("turned", [False, True])
def test_long_chains_of_links_before_their_target(turned: bool) -> None:
    layer = Layer()
    for number in reversed(range(3000)) if turned else range(3000):
        layer.hardlink(f"link-{number}", f"link-{number + 1}")
    tree = nodes(unpack([layer.file("link-3000", b"data")]))
    assert len(tree[b"link-0"].links) == 3001


def test_an_absolute_symlink_of_the_layer_leads_from_the_root() -> None:
    layer = Layer().directory("a").directory("b").symlink("a/s", "/b").file("a/s/x")
    assert paths(unpack([layer])) == {"a", "a/s", "b", "b/x"}


def test_the_mode_is_without_the_type_that_some_builders_write_into_it() -> None:
    assert nodes(unpack([Layer().file("a", mode=0o100_644)]))[b"a"].mode == 0o644


BELOW = Layer().directory("d", mode=0o700).directory("d/e").file("d/e/old").file("d/old")
OVER_AND_BACK = {
    "the file and the directory merges": (Layer().file("d").directory("d").file("d/new"), True),
    "but not without an entry for the directory": (Layer().file("d").file("d/new"), False),
    "what the layer put there before the file is gone": (
        Layer()
        .directory("d")
        .file("d/x")
        .directory("d/e/y")
        .file("d")
        .directory("d")
        .file("d/new"),
        True,
    ),
    "back and forth": (
        Layer().file("d").directory("d").file("d/x").fifo("d").directory("d").file("d/new"),
        True,
    ),
    "nor where the layer also deleted it": (
        Layer().file("d").whiteout("d").directory("d").file("d/new"),
        False,
    ),
    "nor where the root is opaque": (
        Layer().file("d").opaque("").directory("d").file("d/new"),
        False,
    ),
    "nor where it was deleted before": (
        Layer().whiteout("d").file("d").directory("d").file("d/new"),
        False,
    ),
}


@pytest.mark.parametrize("case", OVER_AND_BACK)
def test_of_a_file_and_a_directory_at_one_path_the_last_wins(case: str) -> None:
    """An overlay's upper directory is made of the layer alone, so the file leaves no trace."""
    top, merges = OVER_AND_BACK[case]
    lower = {"d/old", "d/e", "d/e/old"} if merges else set()
    assert paths(unpack([BELOW, top])) == {"d", "d/new"} | lower
    for kept in (0, 1):
        squashed = squash([BELOW.tar(), top.tar()], MergeOptions(kept=kept)).tar
        result = unpack([BELOW, squashed] if kept else [squashed])
        assert paths(result) == {"d", "d/new"} | lower


def steps_of_markers(count: int) -> int:
    """The number of calls while a layer is unpacked that clears itself again and again."""
    layer = Layer()
    for number in range(count):
        layer.file(f"d{number}/f").opaque("").whiteout("d0")
    tar = layer.tar()
    steps = 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        unpack([tar])
    finally:
        sys.setprofile(None)
    return steps


def test_markers_that_stand_many_times_cost_no_more_than_their_number() -> None:
    assert steps_of_markers(400) < 5 * steps_of_markers(100)
