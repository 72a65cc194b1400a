"""Listings: what a scan learns from them is what it learns from the layers."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.codec.sealed import seal
from squashproxy.digest import digest_of
from squashproxy.errors import BadArchive, FormatError, IntegrityError, LimitExceeded
from squashproxy.span import Inflated
from squashproxy.squash.census import Census
from squashproxy.squash.cut import Cut, iter_pruned
from squashproxy.squash.index import PathIndex
from squashproxy.squash.layer import HiddenEntry, KnownLayer, LayerCount, MergeOptions, ScannedLayer
from squashproxy.squash.listing import Listing
from squashproxy.squash.listing_record import decode_listing, encode_listing
from squashproxy.squash.prune import PruneScan
from squashproxy.squash.walk import check_listing, walk
from squashproxy.testing import LayerBuilder
from tests.model.listings import known_layers, listing_of, remembered
from tests.model.squashing import MemoryLayer, MemoryStream
from tests.model.stacks import random_stack

STACKS = 300
CHUNKS = (100, 511, 512, 513, 1537, 65536)
LAYER = digest_of(b"a layer")
TAR = (
    LayerBuilder()
    .directory("usr")
    .file("usr/a", b"a" * 700)
    .hardlink("usr/b", "usr/a")
    .symlink("usr/c", "../somewhere/else")
    .file("n" * 300, b"long name")
    .file("usr/../odd", b"roundabout")
    .hardlink("even", "./usr/../odd")
    .whiteout("gone")
    .opaque("usr")
    .device("dev", 1, 3)
    .tar()
)


def scan(
    layers: list[ScannedLayer], kept: int
) -> tuple[dict[int, Cut], dict[int, LayerCount], list[HiddenEntry]]:
    hidden: list[HiddenEntry] = []
    pruning = PruneScan(layers, MergeOptions(kept=kept, on_hidden=hidden.append))
    pruning.run()
    return pruning.cuts, pruning.counts, hidden


def count(layers: list[ScannedLayer]) -> list[LayerCount]:
    census = Census(PathIndex(), MergeOptions())
    return [census.count(number, layers[number]) for number in reversed(range(len(layers)))]


@pytest.mark.parametrize("first", range(0, STACKS, 100))
def test_a_scan_finds_the_same_in_listings_as_in_layers(first: int) -> None:
    """Whichever layers are known, and however the others come."""
    for seed in range(first, first + 100):
        dice = random.Random(seed)
        tars = random_stack(seed).build().tars
        read: list[ScannedLayer] = [
            MemoryLayer(f"layer {number}", tar, 65536) for number, tar in enumerate(tars)
        ]
        known: list[ScannedLayer] = [*known_layers(tars, dice.choice(CHUNKS))]
        some = [dice.choice(pair) for pair in zip(read, known, strict=True)]
        kept = dice.randrange(len(tars))
        assert scan(known, kept) == scan(some, kept) == scan(read, kept), seed
        assert count(known) == count(some) == count(read), seed


def test_a_scan_records_each_layer_that_it_reads() -> None:
    tars = random_stack(7).build().tars
    known = known_layers(tars)
    layers: list[ScannedLayer] = [
        known[0], *(MemoryLayer(f"layer {n}", tar, 700) for n, tar in enumerate(tars) if n)
    ]  # fmt: skip
    recorded: dict[int, Listing] = {}
    PruneScan(layers, MergeOptions(on_listing=recorded.__setitem__)).run()
    assert recorded == {number: known[number].listing for number in range(1, len(tars))}


def test_a_census_records_too() -> None:
    recorded: dict[int, Listing] = {}
    census = Census(PathIndex(), MergeOptions(on_listing=recorded.__setitem__))
    census.count(3, MemoryLayer("layer 3", TAR, 100))
    assert recorded == {3: listing_of(TAR)}


@pytest.mark.parametrize("cut", [700, 1500, 5200])
def test_a_layer_that_is_cut_short_is_not_recorded(cut: int) -> None:
    recorded: list[Listing] = []
    census = Census(PathIndex(), MergeOptions(on_listing=lambda _, each: recorded.append(each)))
    with pytest.raises(BadArchive, match="cut short"):
        census.count(0, MemoryLayer("layer 1", TAR[:cut], 512))
    assert not recorded


def test_what_a_layer_cannot_hold_is_refused_in_a_listing_as_in_the_layer() -> None:
    tar = LayerBuilder().file("d/.wh.").tar()
    known = KnownLayer("layer 1", listing_of(tar))
    with pytest.raises(BadArchive) as in_tar:
        scan([MemoryLayer("layer 1", tar, 512)], 0)
    with pytest.raises(BadArchive) as in_listing:
        scan([known], 0)
    assert str(in_listing.value) == str(in_tar.value)


@pytest.mark.parametrize(
    "limit",
    [MergeOptions(max_entries=3), MergeOptions(max_unpacked=2048), MergeOptions(max_memory=100)],
    ids=["entries", "unpacked", "memory"],
)
def test_limits_hold_for_listings(limit: MergeOptions) -> None:
    with pytest.raises(LimitExceeded, match="nothing was pushed"):
        PruneScan(known_layers([TAR]), limit).run()


def test_a_listing_takes_little_memory() -> None:
    layer = LayerBuilder()
    for number in range(2000):
        layer.file(f"usr/lib/python3.13/site-packages/package/module_{number:05}.py", b"")
    listing = listing_of(layer.tar())
    assert listing.memory / len(listing) < 100
    assert len(encode_listing(listing, LAYER)) / len(listing) < 10


DISAGREEING: dict[str, bytes] = {
    "another path": LayerBuilder().file("a", b"1").file("x", b"2").tar(),
    "another type": LayerBuilder().file("a", b"1").directory("b").tar(),
    "another size": LayerBuilder().file("a", b"1").file("b", b"22").tar(),
    "another target": LayerBuilder().file("a", b"1").hardlink("b", "c").tar(),
    "other headers": LayerBuilder().file("a", b"1").file("b", b"2", xattrs={"user.x": b"y"}).tar(),
    "one entry less": LayerBuilder().file("a", b"1").tar(),
    "one entry more": LayerBuilder().file("a", b"1").file("b", b"2").file("c").tar(),
    "no entries": LayerBuilder().tar(),
    "a longer end": LayerBuilder().file("a", b"1").file("b", b"2").tar() + bytes(512),
}


@pytest.mark.parametrize("lie", DISAGREEING.values(), ids=list(DISAGREEING))
def test_a_listing_that_lies_about_its_layer_stops_the_writing(lie: bytes) -> None:
    layer = MemoryLayer("layer 1", LayerBuilder().file("a", b"1").file("b", b"2").tar(), 512)
    cut = Cut(array("q", [1]), {}, 1024, 1, 0, 0, 2)
    with pytest.raises(IntegrityError, match="is not what the memory of layers says"):
        list(iter_pruned(layer, cut, 0, listing_of(lie)))


@pytest.mark.parametrize("lie", DISAGREEING.values(), ids=list(DISAGREEING))
def test_a_layer_that_stays_can_be_compared_with_its_listing(lie: bytes) -> None:
    """What it hides of lower layers is taken from the listing, too."""
    layer = MemoryLayer("layer 1", LayerBuilder().file("a", b"1").file("b", b"2").tar(), 512)
    check_listing(layer, listing_of(layer.tar))
    with pytest.raises(IntegrityError, match="is not what the memory of layers says"):
        check_listing(layer, listing_of(lie))


class ChangedStream(MemoryStream):
    """A blob that was changed on the way, as its digest tells at its end."""

    def skip_rest(self) -> None:
        raise IntegrityError("the blob has another digest")


class ChangedLayer(MemoryLayer):
    def open(self) -> ChangedStream:
        return ChangedStream(iter([Inflated(self.tar)]))


def test_a_blob_that_was_changed_on_the_way_explains_the_difference() -> None:
    layer = ChangedLayer("layer 1", LayerBuilder().file("a", b"1").tar(), 512)
    lie = listing_of(LayerBuilder().file("b", b"1").tar())
    cut = Cut(array("q", [0]), {}, 1024, 1, 0, 0, 1)
    with pytest.raises(IntegrityError, match="another digest"):
        list(iter_pruned(layer, cut, 0, lie))


def test_a_listing_that_is_right_changes_nothing() -> None:
    for seed in range(60):
        tars = random_stack(seed).build().tars
        known = known_layers(tars)
        for number, cut in scan([*known], 0)[0].items():
            layer = MemoryLayer("a layer", tars[number], 513)
            checked = list(iter_pruned(layer, cut, 0, known[number].listing))
            assert checked == list(iter_pruned(layer, cut, 0))


def test_entries_above_any_size_do_not_break_the_recording() -> None:
    tar = bytearray(LayerBuilder().file("vast", b"").tar())
    tar[124:136] = b"\x80" + bytes(1) + b"\xff" * 10
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])
    with pytest.raises(BadArchive, match="cut short"):
        listing_of(bytes(tar))


class TestRecord:
    """Listings as bytes, and whatever else may stand in their place."""

    def test_comes_back_as_it_was(self) -> None:
        for tar in (TAR, LayerBuilder().tar(), b""):
            assert remembered(listing_of(tar), LAYER) == listing_of(tar)

    def test_is_the_same_each_time(self) -> None:
        first = encode_listing(listing_of(TAR, 100), LAYER)
        assert first == encode_listing(listing_of(TAR), LAYER)

    def test_is_of_one_layer_alone(self) -> None:
        record = encode_listing(listing_of(TAR), LAYER)
        with pytest.raises(FormatError, match="is no record of the listing 1 of sha256:"):
            decode_listing(record, digest_of(b"another layer"))

    @given(data=st.data())
    @settings(deadline=None, max_examples=300)
    def test_damage_is_noticed(self, data: st.DataObject) -> None:
        record = bytearray(encode_listing(listing_of(TAR), LAYER))
        whole = bytes(record)
        at = data.draw(st.integers(0, len(record) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "remove"])):
            case "flip":
                record[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del record[at:]
            case "insert":
                record[at:at] = data.draw(st.binary(min_size=1, max_size=40))
            case _:
                del record[at : at + data.draw(st.integers(1, 40))]
        if bytes(record) != whole:
            with pytest.raises(FormatError):
                decode_listing(bytes(record), LAYER)

    @given(content=st.binary(max_size=300))
    @settings(deadline=None, max_examples=300)
    def test_any_sealed_content_is_a_listing_or_refused(self, content: bytes) -> None:
        decodes(seal(f"listing 1 of {LAYER}", [content]))

    @given(data=st.data())
    @settings(deadline=None, max_examples=300)
    def test_a_sealed_lie_is_a_listing_that_can_be_scanned_or_refused(
        self, data: st.DataObject
    ) -> None:
        kinds, *numbers, paths, links = listing_of(TAR).columns()
        content = bytearray()
        for column in (kinds, *numbers, paths, links):
            content += memoryview(column).cast("B")
        head = bytearray(b"".join(n.to_bytes(8, "little") for n in
                                  (len(TAR), len(kinds), len(paths), len(links))))  # fmt: skip
        whole = head + content
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        decodes(seal(f"listing 1 of {LAYER}", [bytes(whole)]))


def decodes(record: bytes) -> None:
    """The record is refused, or what it holds can be scanned, with or without an error of ours."""
    try:
        listing = decode_listing(record, LAYER)
    except FormatError:
        return
    try:
        scan([KnownLayer("layer 1", listing), KnownLayer("layer 2", listing)], 0)
        count([KnownLayer("layer 1", listing), KnownLayer("layer 2", listing)])
    except BadArchive:
        return


def columns(
    *,
    unpacked: int = 4096,
    kinds: bytes = b"0",
    blocks: int = 1,
    size: int = 0,
    path: bytes = b"a",
    link: bytes = b"",
    roundabouts: tuple[int, ...] = (),
) -> Listing:
    """A listing of equal entries."""
    many = len(kinds)
    return Listing(
        unpacked,
        kinds=kinds,
        header_blocks=array("H", [blocks] * many),
        sizes=array("Q", [size] * many),
        path_lengths=array("I", [len(path)] * many),
        link_lengths=array("I", [len(link)] * many),
        roundabouts=array("I", roundabouts),
        paths=path * many,
        links=link * many,
    )


IMPOSSIBLE: dict[str, Callable[[], Listing]] = {
    "more payload than the tar has": lambda: columns(size=4096),
    "a payload beyond all numbers": lambda: columns(size=(1 << 64) - 1),
    "more entries than fit": lambda: columns(kinds=b"0" * 9),
    "an entry without a header": lambda: columns(blocks=0),
    "a path with `..` inside": lambda: columns(path=b"usr/../etc"),
    "a path that leads out": lambda: columns(path=b"../etc/passwd"),
    "an absolute path": lambda: columns(path=b"/etc/passwd"),
    "a path with empty parts": lambda: columns(path=b"etc//passwd"),
    "a path with NUL": lambda: columns(path=b"etc\0passwd"),
    "a hard link that leads out": lambda: columns(kinds=b"1", link=b"../a"),
    "a roundabout entry behind the last": lambda: columns(roundabouts=(1,)),
    "roundabout entries in disorder": lambda: columns(kinds=b"000", roundabouts=(2, 1)),
    "a roundabout entry twice": lambda: columns(kinds=b"000", roundabouts=(1, 1)),
    "a hard link that is absolute": lambda: columns(kinds=b"1", link=b"/a"),
}


@pytest.mark.parametrize("listing", IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_a_listing_that_no_layer_can_have_is_refused(listing: Callable[[], Listing]) -> None:
    with pytest.raises(FormatError):
        remembered(listing(), LAYER)


def test_a_bomb_is_not_inflated() -> None:
    bomb = seal(f"listing 1 of {LAYER}", [bytes(1 << 20)] * 200)
    assert len(bomb) < 1 << 16
    with pytest.raises(FormatError, match="holds more than"):
        decode_listing(bomb, LAYER)


def test_names_of_entries_are_read_from_listings_as_from_layers() -> None:
    from_tar: list[tuple[int, bytes, bytes, bytes, int, int, bool]] = []
    from_listing = list(map(tuple, listing_of(TAR)))
    walk(
        MemoryLayer("a layer", TAR, 300),
        lambda entry: from_tar.append(
            (
                entry.ordinal,
                entry.kind,
                entry.path,
                entry.link,
                entry.size,
                entry.span_size,
                entry.is_roundabout,
            )
        ),
    )
    assert from_listing == from_tar
