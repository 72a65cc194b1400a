"""Layers remembered in a folder: bounded, shared, and never a reason for a wrong image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from squashproxy.layer_memory.results_record import MOST_RESULTS
from squashproxy.squash.listing_record import encode_listing
from tests.disk import files_of_at_most
from tests.layer_memory.remembered import LAYER, OTHER, listing, result

BLOCK = 4096
LISTING_FILE = f"listing-1/{LAYER.replace(':', '-')}"
RESULTS_FILE = f"results-1-3/{LAYER.replace(':', '-')}"


def another(root: Path, warnings: list[str]) -> RememberedLayers:
    """The memory as another process has it."""
    return RememberedLayers(Folder(root, warnings.append), 3)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_what_was_kept_is_found(memory: RememberedLayers, root: Path, warnings: list[str]) -> None:
    memory.keep_listing(LAYER, listing())
    memory.keep_result(result(1))
    memory.keep_result(result(7))
    again = another(root, warnings)
    assert again.find_listing(LAYER) == listing()
    assert again.find_results(LAYER) == (result(7), result(1))
    assert again.find_listing(OTHER) is None
    assert again.find_results(OTHER) == ()
    assert files(root) == {"CACHEDIR.TAG", LISTING_FILE, RESULTS_FILE}
    assert not warnings


def test_nothing_is_made_until_something_is_kept(memory: RememberedLayers, root: Path) -> None:
    assert memory.find_listing(LAYER) is None
    assert memory.find_results(LAYER) == ()
    assert not root.exists()


def test_it_is_for_its_owner_alone_and_no_part_of_backups(
    memory: RememberedLayers, root: Path
) -> None:
    memory.keep_listing(LAYER, listing())
    assert root.stat().st_mode & 0o777 == 0o700
    mark = (root / "CACHEDIR.TAG").read_bytes()
    assert mark.startswith(b"Signature: 8a477f597d28d172789f06886806bc55")


def test_an_empty_folder_is_taken(memory: RememberedLayers, root: Path) -> None:
    root.mkdir(parents=True)
    memory.keep_listing(LAYER, listing())
    assert memory.find_listing(LAYER) == listing()


def test_results_of_another_engine_do_not_count(
    memory: RememberedLayers, root: Path, warnings: list[str]
) -> None:
    memory.keep_result(result())
    newer = RememberedLayers(Folder(root, warnings.append), 4)
    assert newer.find_results(LAYER) == ()
    assert memory.find_results(LAYER) == (result(),)
    assert not warnings


def test_a_result_is_kept_once_and_only_the_latest_are(memory: RememberedLayers) -> None:
    for number in (*range(1, MOST_RESULTS + 5), 9, MOST_RESULTS + 4):
        memory.keep_result(result(number))
    found = memory.find_results(LAYER)
    assert len(found) == len(set(found)) == MOST_RESULTS
    assert found[0] == result(MOST_RESULTS + 4)
    assert result(9) in found
    assert result(4) not in found


DAMAGE: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(900),
    "another file": b"\x7fELF" * 99,
    "another layer's": encode_listing(listing(), OTHER),
    "the first half": encode_listing(listing(), LAYER)[:80],
    "a byte too much": encode_listing(listing(), LAYER) + b"\0",
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=list(DAMAGE))
@pytest.mark.parametrize("name", [LISTING_FILE, RESULTS_FILE], ids=["listing", "results"])
def test_a_damaged_file_costs_time_and_is_made_anew(
    name: str, content: bytes, memory: RememberedLayers, root: Path, warnings: list[str]
) -> None:
    memory.keep_listing(LAYER, listing())
    memory.keep_result(result())
    (root / name).write_bytes(content)
    assert memory.find_listing(LAYER) in (None, listing())
    assert memory.find_results(LAYER) in ((), (result(),))
    assert not (root / name).exists()
    [warning] = warnings
    assert warning.startswith(f"{root / name} ")
    assert warning.endswith("it was deleted, and the layer is read again")
    memory.keep_listing(LAYER, listing())
    memory.keep_result(result())
    assert memory.find_listing(LAYER) == listing()
    assert memory.find_results(LAYER) == (result(),)


def test_a_vast_file_is_not_read(root: Path, warnings: list[str]) -> None:
    memory = RememberedLayers(Folder(root, warnings.append, most_bytes=64 << 10), 3)
    memory.keep_listing(LAYER, listing())
    os.truncate(root / LISTING_FILE, 1 << 40)
    assert memory.find_listing(LAYER) is None
    assert "is no record of the listing" in warnings[0]
    assert not (root / LISTING_FILE).exists()


def test_what_is_no_file_is_not_opened(
    memory: RememberedLayers, root: Path, warnings: list[str]
) -> None:
    memory.keep_listing(LAYER, listing())
    (root / LISTING_FILE).unlink()
    os.mkfifo(root / LISTING_FILE)
    assert memory.find_listing(LAYER) is None
    assert not warnings


class TestBound:
    """The folder does not outgrow its bound; what was not used for longest goes first."""

    MOST = 64 * BLOCK

    def layers(self, count: int) -> list[Digest]:
        return [digest_of(b"layer %d" % number) for number in range(count)]

    def test_what_was_not_used_for_longest_goes_first(
        self, root: Path, warnings: list[str]
    ) -> None:
        memory = RememberedLayers(Folder(root, warnings.append, most_bytes=self.MOST), 3)
        layers = self.layers(300)
        for number, layer in enumerate(layers):
            memory.keep_listing(layer, listing())
            path = root / "listing-1" / layer.replace(":", "-")
            os.utime(path, (1e9 + number, 1e9 + number))
        used = sum(BLOCK for _ in (root / "listing-1").iterdir())
        assert self.MOST // 2 < used <= self.MOST + self.MOST // 16 + BLOCK
        assert memory.find_listing(layers[0]) is None
        assert memory.find_listing(layers[-1]) == listing()

    def test_finding_counts_as_using(self, root: Path, warnings: list[str]) -> None:
        memory = RememberedLayers(Folder(root, warnings.append, most_bytes=self.MOST), 3)
        first, *rest = self.layers(300)
        memory.keep_listing(first, listing())
        for number, layer in enumerate(rest):
            memory.keep_listing(layer, listing())
            os.utime(root / "listing-1" / layer.replace(":", "-"), (number, number))
            assert memory.find_listing(first) == listing()

    def test_a_record_that_would_fill_it_is_not_kept(self, root: Path, warnings: list[str]) -> None:
        memory = RememberedLayers(Folder(root, warnings.append, most_bytes=400), 3)
        memory.keep_listing(LAYER, listing())
        assert not root.exists()

    def test_old_versions_and_leftovers_go_too(self, root: Path, warnings: list[str]) -> None:
        memory = RememberedLayers(Folder(root, warnings.append, most_bytes=self.MOST), 3)
        memory.keep_listing(LAYER, listing())
        old = root / "listing-0"
        old.mkdir()
        for number in range(80):
            (old / str(number)).write_bytes(b"x")
            os.utime(old / str(number), (number, number))
        partial = root / "listing-1" / ".squashproxy-1234.partial"
        young = root / ".squashproxy-5678.partial"
        for path in (partial, young):
            path.write_bytes(b"half")
        os.utime(partial, (1e9, 1e9))
        another = RememberedLayers(Folder(root, warnings.append, most_bytes=self.MOST), 3)
        another.keep_listing(OTHER, listing())
        assert not partial.exists()
        assert young.exists()
        assert len(list(old.iterdir())) < 64
        assert memory.find_listing(LAYER) == listing()


class TestUnusable:
    """A folder that cannot be used gets one warning, and the work goes on."""

    def use(self, memory: RememberedLayers) -> None:
        for _ in range(2):
            assert memory.find_listing(LAYER) is None
            assert memory.find_results(LAYER) == ()
            memory.keep_listing(LAYER, listing())
            memory.keep_result(result())

    def test_a_folder_of_something_else(
        self, memory: RememberedLayers, root: Path, warnings: list[str]
    ) -> None:
        root.mkdir(parents=True)
        (root / "thesis.tex").write_text("mine")
        self.use(memory)
        assert files(root) == {"thesis.tex"}
        assert warnings == [f"{root} holds something else; layers are not remembered"]

    def test_a_file(self, memory: RememberedLayers, root: Path, warnings: list[str]) -> None:
        root.parent.mkdir()
        root.write_text("mine")
        self.use(memory)
        assert root.read_text() == "mine"
        assert warnings == [f"{root} is no folder; layers are not remembered"]

    def test_a_folder_below_a_file(
        self, memory: RememberedLayers, root: Path, warnings: list[str]
    ) -> None:
        root.parent.write_text("mine")
        self.use(memory)
        assert warnings == [f"{root} cannot be read: not a directory; layers are not remembered"]

    def test_a_folder_that_another_cache_marked(
        self, memory: RememberedLayers, root: Path, warnings: list[str]
    ) -> None:
        root.mkdir(parents=True)
        (root / "CACHEDIR.TAG").write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55\n# cargo")
        self.use(memory)
        assert files(root) == {"CACHEDIR.TAG"}
        assert warnings == [f"{root} holds something else; layers are not remembered"]

    def test_a_full_disk(self, memory: RememberedLayers, root: Path, warnings: list[str]) -> None:
        memory.keep_result(result())
        large = listing(5000)
        with files_of_at_most(1000):
            memory.keep_listing(LAYER, large)
            memory.keep_listing(OTHER, large)
        assert files(root) == {"CACHEDIR.TAG", RESULTS_FILE}
        assert memory.find_results(LAYER) == (result(),)
        assert warnings == [
            f"{root} cannot be written: file too large; what is new is not remembered"
        ]

    def test_a_folder_that_cannot_be_written_is_still_read(
        self, memory: RememberedLayers, root: Path, warnings: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """As on a file system that is mounted to be read; root may write anywhere else."""
        memory.keep_listing(LAYER, listing())

        def refuse(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        for name in ("utime", "unlink", "mkdir", "open"):
            monkeypatch.setattr(os, name, refuse)
        again = another(root, warnings)
        for _ in range(2):
            assert again.find_listing(LAYER) == listing()
            again.keep_listing(OTHER, listing())
        assert warnings == [
            f"{root} cannot be written: read-only file system; what is new is not remembered"
        ]

    def test_a_folder_that_is_deleted_meanwhile_is_made_anew(
        self, memory: RememberedLayers, root: Path, warnings: list[str]
    ) -> None:
        memory.keep_listing(LAYER, listing())
        shutil.rmtree(root)
        assert memory.find_listing(LAYER) is None
        memory.keep_listing(LAYER, listing())
        assert memory.find_listing(LAYER) == listing()
        assert not warnings
