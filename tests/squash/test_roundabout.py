"""What becomes of names with a `..` inside: squashed they lose it, pruned they keep it."""

from __future__ import annotations

import io
import tarfile

from squashproxy.span import Inflated
from squashproxy.squash.cut import iter_pruned
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.prune import PruneScan
from squashproxy.testing import LayerBuilder as Layer
from squashproxy.verify.apply import LayerApplication
from squashproxy.verify.entries import TarStream, iter_entries
from squashproxy.verify.tree import Tree
from tests.model.squashing import MemoryLayer
from tests.model.untar import read_tree
from tests.squash.trap import squash

LOWER = Layer().directory("d").file("d/../b", b"b").hardlink("h", "d/../b").file("x", b"x")
UPPER = Layer().file("x", b"new")
INSIDE = "layer 0: the name of /b, or of the file that it links to, leads there with '..'; some "


def names(tar: bytes) -> list[tuple[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return [(member.name, member.linkname) for member in archive]


def test_a_squash_writes_names_without_it() -> None:
    result = squash([LOWER.tar(), UPPER.tar()])
    assert names(result.tar) == [("x", ""), ("d", ""), ("b", ""), ("h", "b")]
    assert result.report.warnings == (
        INSIDE + "unpackers refuse that, so the result has it without (and 1 more like it)",
    )
    assert result.report.touched


def test_the_only_layer_above_the_base_is_written_again_for_it() -> None:
    report = squash([UPPER.tar(), LOWER.tar()], MergeOptions(kept=1)).report
    assert report.touched


def test_pruning_keeps_it_and_warns() -> None:
    layers = [MemoryLayer(f"layer {n}", tar.tar(), 999) for n, tar in enumerate((LOWER, UPPER))]
    scan = PruneScan(layers, MergeOptions())
    scan.run()
    assert scan.warnings == (INSIDE + "unpackers refuse that (and 1 more like it)",)
    pruned = b"".join(bytes(span.data) for span in iter_pruned(layers[0], scan.cuts[0], 0))
    assert names(pruned) == [("d", ""), ("d/../b", ""), ("h", "d/../b")]
    assert read_tree([pruned, UPPER.tar()]) == read_tree([LOWER.tar(), UPPER.tar()])


def test_the_unpacker_of_verify_warns_in_the_same_words() -> None:
    application = LayerApplication(Tree(), 0, "layer 0")
    for entry in iter_entries(TarStream([Inflated(LOWER.tar())], None), "layer 0"):
        application.apply(entry)
    assert application.warnings == [INSIDE + "unpackers refuse that (and 1 more like it)"]


def test_the_unpacker_of_verify_warns_of_a_path_that_stands_twice() -> None:
    for layer in (
        Layer().file("a").file("a"),
        Layer().directory("a").directory("a"),
        Layer().file("a").directory("a"),
        Layer().directory("a").file("a"),
        Layer().file("x").hardlink("a", "x").symlink("a", "x"),
    ):
        application = LayerApplication(Tree(), 0, "layer 0")
        for entry in iter_entries(TarStream([Inflated(layer.tar())], None), "layer 0"):
            application.apply(entry)
        assert application.warnings == ["layer 0 holds /a more than once; the last one counts"]


def test_it_may_lead_to_the_root() -> None:
    layer = Layer().directory("d/..", mode=0o711).file("k")
    result = squash([layer.tar()])
    assert names(result.tar)[1] == ("k", "")
    assert read_tree([result.tar])[b""].mode == 0o711
