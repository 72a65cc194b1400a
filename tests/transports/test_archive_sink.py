"""What is at an archive's path already: replaced where it is the image's own, else left alone."""

from __future__ import annotations

import fcntl
import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from squashproxy.errors import ArchiveError
from squashproxy.location import ArchiveReference, Transport
from squashproxy.testing import BuiltImage, ImageBuilder
from squashproxy.transports import archives
from squashproxy.transports.archive_sink import ArchiveSink
from tests.pipeline.images import OS, RUNTIME
from tests.transports.places import write_blobs
from tests.transports.tars import document, tar_of

ONE = ImageBuilder().layer(OS).build()
TWO = ImageBuilder().layer(RUNTIME).build()


@dataclass(slots=True)
class Archives:
    """Sinks and sources of one kind at one path."""

    transport: Transport
    path: Path
    opened: ExitStack

    def sink(self, name: str | None) -> ArchiveSink:
        sink = archives.open_sink(ArchiveReference(self.transport, str(self.path), name))
        assert isinstance(sink, ArchiveSink)
        self.opened.callback(sink.close)
        return sink

    def put(self, image: BuiltImage, name: str | None) -> None:
        fill(self.sink(name), image)

    def digest(self) -> str:
        """Of the only image that is there."""
        source = archives.open_source(ArchiveReference(self.transport, str(self.path)))
        self.opened.callback(source.close)
        return source.find_digest()


def fill(sink: ArchiveSink, image: BuiltImage) -> None:
    write_blobs(sink, image)
    sink.publish(image.manifest)


@pytest.fixture(params=[Transport.OCI_ARCHIVE, Transport.DOCKER_ARCHIVE])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archives]:
    with ExitStack() as opened:
        yield Archives(request.param, tmp_path / "image.tar", opened)


@pytest.mark.parametrize("name", [None, "a"])
def test_an_image_of_the_same_name_is_replaced(at: Archives, name: str | None) -> None:
    at.put(ONE, name)
    at.put(TWO, name)
    assert at.digest() == TWO.digest


@pytest.mark.parametrize(("before", "after"), [("a", None), (None, "a"), ("a", "b")])
def test_another_image_is_not_lost(at: Archives, before: str | None, after: str | None) -> None:
    at.put(ONE, before)
    with pytest.raises(ArchiveError, match="would be lost"):
        at.sink(after)
    assert at.digest() == ONE.digest


def test_a_tag_alone_does_not_make_an_image_the_same(tmp_path: Path) -> None:
    """What docker saved has the tag in one annotation, and the whole name in another."""
    with ExitStack() as opened:
        at = Archives(Transport.DOCKER_ARCHIVE, tmp_path / "image.tar", opened)
        at.put(ONE, "app:1")
        at.transport = Transport.OCI_ARCHIVE
        with pytest.raises(ArchiveError, match=r"holds docker\.io/library/app:1, which"):
            at.sink("1")


def test_several_images_without_a_name_are_several(tmp_path: Path) -> None:
    listed: list[object] = [
        {"Config": f"{digest}.json", "RepoTags": None, "Layers": []} for digest in "ab"
    ]
    (tmp_path / "image.tar").write_bytes(tar_of({"manifest.json": document(listed)}))
    with ExitStack() as opened:
        at = Archives(Transport.DOCKER_ARCHIVE, tmp_path / "image.tar", opened)
        for name, words in ((None, "holds an image"), ("a", "holds 2 times an image")):
            with pytest.raises(ArchiveError, match=words):
                at.sink(name)


def test_the_lock_of_somebody_else_on_the_folder_is_not_waited_for(at: Archives) -> None:
    """As in `flock FOLDER squashproxy copy ...`, which is how cron jobs are kept apart."""
    folder = os.open(at.path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    at.put(ONE, "a")
    os.close(folder)
    assert at.digest() == ONE.digest


def test_a_pipe_by_its_descriptor(at: Archives) -> None:
    """As shells give it: docker-archive:>(docker load)."""
    reading, writing = os.pipe()
    at.path = Path(f"/dev/fd/{writing}")
    at.put(ONE, "a")
    os.close(writing)
    with os.fdopen(reading, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        assert "index.json" in archive.getnames()


def test_two_writers_at_once_do_not_lose_the_image_of_either(at: Archives) -> None:
    first, second = at.sink("a"), at.sink("b")
    fill(first, ONE)
    with pytest.raises(ArchiveError, match=r"holds .*a.* would be lost"):
        fill(second, TWO)
    second.close()
    assert at.digest() == ONE.digest
    assert [path.name for path in at.path.parent.iterdir()] == ["image.tar"]


def test_of_two_writers_of_one_image_the_last_one_wins(at: Archives) -> None:
    first, second = at.sink("a"), at.sink("a")
    fill(first, ONE)
    fill(second, TWO)
    assert at.digest() == TWO.digest


def test_permissions_stay(at: Archives) -> None:
    at.put(ONE, "a")
    at.path.chmod(0o600)
    at.put(TWO, "a")
    assert at.path.stat().st_mode & 0o777 == 0o600


class TestPlacesWhereNoFileCanAppear:
    """A plan opens the sink too, so it tells what a copy would tell."""

    def test_a_folder(self, at: Archives) -> None:
        at.path.mkdir()
        with pytest.raises(ArchiveError, match="is a folder; name a file in it"):
            at.sink("a")

    def test_a_folder_that_is_not_there(self, at: Archives) -> None:
        at.path = at.path / "below"
        with pytest.raises(ArchiveError, match=r"there is no folder .*; make it first"):
            at.sink("a")

    def test_a_circle_of_links(self, at: Archives) -> None:
        at.path.symlink_to(at.path)
        with pytest.raises(ArchiveError, match="too many levels of symbolic links"):
            at.sink("a")

    def test_a_folder_that_takes_no_files(
        self, at: Archives, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Root may write anywhere, so the system's answer is made up here."""
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(ArchiveError, match="takes no new files"):
            at.sink("a")

    def test_a_folder_that_lets_nobody_replace_the_files_of_others(
        self, at: Archives, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at.put(ONE, "a")
        at.path.parent.chmod(0o1777)
        at.sink("a")
        monkeypatch.setattr(os, "geteuid", lambda: 54_321)
        with pytest.raises(ArchiveError, match="it belongs to another user"):
            at.sink("a")
        at.path.parent.chmod(0o777)
        at.sink("a")

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("file/layout", "is no folder; name another"),
            ("file", "is no folder; name another"),
            ("dangling", "is a link to nowhere, which is not there"),
            ("circle", "is a link to circle, which is not there"),
        ],
    )
    def test_a_layout(self, path: str, words: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / "dangling").symlink_to("nowhere")
        (tmp_path / "circle").symlink_to("circle")
        with pytest.raises(ArchiveError, match=words):
            archives.open_sink(ArchiveReference(Transport.OCI, str(tmp_path / path)))

    def test_a_layout_in_a_folder_that_takes_no_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(ArchiveError, match="takes no new files"):
            archives.open_sink(ArchiveReference(Transport.OCI, str(tmp_path / "new/layout")))


def test_a_link_stays_a_link(at: Archives) -> None:
    real = at.path.with_name("real.tar")
    at.path.symlink_to(real)
    at.put(ONE, "a")
    assert at.path.is_symlink()
    assert real.is_file()
