"""Traps and random stacks once more, from blob to blob: every encoder in, the splicer out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet

from squashproxy.codec.compression import iter_decompressed
from squashproxy.codec.library import find_library
from squashproxy.codec.splicer import Splicer
from squashproxy.squash.cut import Cut, iter_pruned
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.merge import Merge
from squashproxy.squash.restart import merge_with_restarts
from squashproxy.testing import LayerBuilder, Packing
from tests.codec.encoders import Encoder, each_encoder
from tests.codec.splicing import some_content
from tests.codec.test_splicer import blocks_of
from tests.model.pruning import scan_in_process
from tests.model.squashing import MemoryStream
from tests.model.stacks import random_stack
from tests.squash.trap import PackedLayer, Trap, squash
from tests.squash.traps.tables import TABLES

STACKS = 6
TURNS = 10
FILLERS = 4
MANY_BLOCKS = 10
"""With so many in a layer, some lie far enough from every cut."""
FILLER = 45_000


@dataclass(frozen=True, slots=True)
class BlobLayer:
    """A layer as its blob."""

    where: str
    blob: bytes

    def open(self) -> MemoryStream:
        """The tar from its start, with its code."""
        return MemoryStream(iter_decompressed((self.blob,), self.where, find_library()))


@dataclass(frozen=True, slots=True)
class Result:
    """The merged tar, and how many bytes of code were copied for it."""

    tar: bytes
    spliced: int


def spliced(blobs: Sequence[bytes], options: MergeOptions) -> Result:
    """Merge the blobs and inflate what the splicer makes of them."""
    layers = [BlobLayer(f"layer {number}", blob) for number, blob in enumerate(blobs)]
    return merge_with_restarts(layers, options, _run)


def _run(merge: Merge) -> Result:
    library = find_library()
    assert library is not None
    splicer = Splicer(library)
    blob = b"".join(splicer.iter_blob(merge.iter_spans()))
    member = zlib.decompressobj(31)
    tar = member.decompress(blob)
    assert member.eof
    assert not member.unused_data
    return Result(b"" if merge.report.empty else tar, splicer.spliced)


def filled(tars: Sequence[bytes]) -> list[bytes]:
    """The layers with files in front, of several blocks; each hides some of the layer below."""
    return [
        b"".join(
            LayerBuilder()
            .file(f"filler-{number + at}", some_content(number + at, FILLER))
            .tar(end_blocks=0)
            for at in range(FILLERS)
        )
        + tar
        for number, tar in enumerate(tars)
    ]


def _turns() -> Iterator[ParameterSet]:
    """Each encoder with each turn; that of its number is always taken, the others with `--long`."""
    for number, encoder in enumerate(each_encoder(costly=False)):
        for turn in range(TURNS):
            is_always = number % TURNS == turn
            marks = [*encoder.marks, *([] if is_always else [pytest.mark.long])]
            yield pytest.param(*encoder.values, turn, id=f"{encoder.id}-{turn}", marks=marks)


each_turn = pytest.mark.parametrize(("encoder", "turn"), list(_turns()))
"""The turn says which traps: so each encoder meets some, and each trap some encoders."""


def traps_of(turn: int) -> list[Trap]:
    """Each `TURNS`th trap of all tables."""
    every = [trap for traps in TABLES.values() for trap in traps.values()]
    return every[turn::TURNS]


@each_turn
def test_every_trap_gives_the_same_tar(encoder: Encoder, turn: int) -> None:
    for trap in traps_of(turn):
        blobs = [encoder(tar) for tar in trap.tars]
        for kept in trap.iter_kept():
            options = MergeOptions(kept=kept)
            assert spliced(blobs, options).tar == squash(trap.tars, options).tar, trap


@pytest.mark.parametrize("encoder", each_encoder(costly=False))
def test_random_stacks_give_the_same_tar_of_copied_code(encoder: Encoder) -> None:
    copied = most = 0
    for seed in range(STACKS):
        tars = filled(random_stack(seed).build().tars)
        blobs = [encoder(tar) for tar in tars]
        most = max(most, len(blocks_of(blobs[0])))
        for kept in range(len(tars)):
            options = MergeOptions(kept=kept)
            result = spliced(blobs, options)
            assert result.tar == squash(tars, options).tar, f"seed {seed}, {kept} layers kept"
            copied += result.spliced
    assert copied > 0 or most < MANY_BLOCKS


@each_turn
def test_every_trap_and_stack_is_pruned_to_the_same_tars(encoder: Encoder, turn: int) -> None:
    """Each layer is cut by itself; those of stacks are of many blocks, of which code is copied."""
    copied = most = 0
    stacks = [trap.tars for trap in traps_of(turn)]
    stacks += [filled(random_stack(seed).build().tars) for seed in range(STACKS)]
    for tars in stacks:
        for number, cut in scan_in_process(tars, 0).items():
            if cut.is_nothing:
                continue
            blob = encoder(tars[number])
            result = pruned(blob, cut)
            plain = iter_pruned(PackedLayer(tars[number], Packing.NONE), cut, 0)
            assert result.tar == b"".join(bytes(span.data) for span in plain)
            copied += result.spliced
            most = max(most, len(blocks_of(blob)))
    assert copied > 0 or most < MANY_BLOCKS


def pruned(blob: bytes, cut: Cut) -> Result:
    """Cut the blob and inflate what the splicer makes of it."""
    library = find_library()
    assert library is not None
    splicer = Splicer(library)
    packed = b"".join(splicer.iter_blob(iter_pruned(BlobLayer("layer", blob), cut, 0)))
    member = zlib.decompressobj(31)
    tar = member.decompress(packed)
    assert member.eof
    assert not member.unused_data
    return Result(tar, splicer.spliced)


LINKED = 700_000
"""A file of many blocks, with more of them than lie near its ends."""
TAKEN_OVER = {
    "each behind its own": "one=1 one+a two=2 two+b",
    "both behind both": "one=1 two=2 one+a two+b",
    "in the other order": "one=1 two=2 two+b one+a",
    "with a file that stays between them": "one=1 stays=3 one+a two=2 stays-too=4 two+b",
    "several names": "one=1 one+a one+b stays=3 one+c",
}


def _linked(story: str) -> LayerBuilder:
    """`name=seed` is a file, `name+link` a link to it."""
    layer = LayerBuilder()
    for word in story.split():
        if "=" in word:
            name, seed = word.split("=")
            layer.file(name, some_content(int(seed), LINKED))
        else:
            layer.hardlink(word.partition("+")[2], word.partition("+")[0])
    return layer


@pytest.mark.parametrize("encoder", each_encoder(costly=False))
@pytest.mark.parametrize("story", TAKEN_OVER)
def test_links_that_take_over_hidden_files_copy_their_code(story: str, encoder: Encoder) -> None:
    """The file's blocks come after blocks that stood behind them, or not at all, in the source."""
    tars = [_linked(TAKEN_OVER[story]).tar(), LayerBuilder().whiteout("one").whiteout("two").tar()]
    blobs = [encoder(tar) for tar in tars]
    result = spliced(blobs, MergeOptions())
    expected = squash(tars)
    assert expected.report.fallbacks == 0
    assert result.tar == expected.tar
    assert result.spliced > 0 or len(blocks_of(blobs[0])) < MANY_BLOCKS
