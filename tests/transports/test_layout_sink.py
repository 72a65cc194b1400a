"""A layout that is given up, at whatever moment, leaves nothing half-made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.atomic_file import AtomicFile
from squashproxy.cancellation import Cancelled
from squashproxy.location import ArchiveReference, Transport
from squashproxy.transports.layout_sink import LayoutSink


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def sink_in(folder: Path) -> LayoutSink:
    return LayoutSink(ArchiveReference(Transport.OCI, str(folder), "v1"))


@pytest.mark.parametrize("change", [1, 2, 3])
def test_an_interrupt_right_behind_a_new_name(
    change: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python raises it after the call of the system that made the name."""
    publish, published = AtomicFile.publish, 0

    def interrupted(file: AtomicFile, path: Path) -> None:
        nonlocal published
        publish(file, path)
        published += 1
        if published == change:
            raise KeyboardInterrupt

    monkeypatch.setattr(AtomicFile, "publish", interrupted)
    sink = sink_in(folder)
    with pytest.raises(KeyboardInterrupt):
        write_two(sink)
    sink.close()
    assert not folder.exists()


def write_two(sink: LayoutSink) -> None:
    sink.write_blob([b"one"])
    sink.write_blob([b"two"])


def test_a_thread_that_still_writes_makes_nothing_any_more(folder: Path) -> None:
    sink = sink_in(folder)
    begun, may_end = threading.Event(), threading.Event()
    found: list[BaseException] = []

    def chunks() -> Iterator[bytes]:
        yield b"begin"
        begun.set()
        assert may_end.wait(30)
        yield b"end"

    def write() -> None:
        try:
            sink.write_blob(chunks())
        except Cancelled as error:
            found.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(30)
    sink.close()
    may_end.set()
    thread.join(30)
    assert [str(error) for error in found] == [f"writing {folder} was given up"]
    assert not folder.exists()


def test_what_another_put_there_keeps_the_layout_whole(folder: Path) -> None:
    sink = sink_in(folder)
    sink.write_blob([b"one"])
    (folder / "blobs" / "sha256" / "other").write_bytes(b"")
    sink.close()
    assert (folder / "oci-layout").exists()
    assert sink_in(folder).find_manifest() is None
