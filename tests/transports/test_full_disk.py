"""Places on disks that fill up, or take no files: one sentence, and nothing of the image stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from squashproxy.errors import ArchiveError
from squashproxy.location import Transport, parse_location
from squashproxy.testing import ImageBuilder, LayerBuilder
from squashproxy.transports import archives
from squashproxy.transports.base import ImageSink
from tests.disk import files_of_at_most
from tests.transports.places import write_blobs

IMAGE = ImageBuilder().layer(LayerBuilder().file("a", os.urandom(100_000))).build()
PATHS = {
    Transport.OCI.value: "layout:1",
    Transport.OCI_ARCHIVE.value: "image.tar:1",
    Transport.DOCKER_ARCHIVE.value: "image.tar:app:1",
}


@contextmanager
def sink_at(kind: str, folder: Path) -> Iterator[ImageSink]:
    with ExitStack() as opened:
        sink = archives.open_sink(parse_location(f"{kind}:{folder}/{PATHS[kind]}"))  # type: ignore[arg-type]
        opened.callback(sink.close)
        yield sink


def fill(kind: str, folder: Path) -> str:
    """Write the image; the sentence of the error that must come."""
    with pytest.raises(ArchiveError) as caught, sink_at(kind, folder) as sink:  # noqa: PT012
        write_blobs(sink, IMAGE)
        sink.publish(IMAGE.manifest)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(folder) in sentence
    return sentence


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("size", [0, 1000, 60_000])
def test_a_disk_that_fills_up(kind: str, size: int, tmp_path: Path) -> None:
    with files_of_at_most(size):
        assert "could not be written: file too large" in fill(kind, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", PATHS)
def test_a_disk_that_finds_out_when_it_flushes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", flush)
    assert "could not be written: no space left on device" in fill(kind, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", PATHS)
def test_a_file_system_that_takes_no_files(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is mounted to be read; root may write anywhere else."""
    opened = os.open

    def refuse(path: str, flags: int, *more: int, **others: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", refuse)
    assert "could not be written: read-only file system" in fill(kind, tmp_path)
