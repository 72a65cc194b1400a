"""`copy --verify`: the result is unpacked and compared before the tag moves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import TreesDiffer, UsageError
from squashproxy.location import ArchiveReference, Transport
from squashproxy.oci.mediatypes import Family
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import SilentObserver
from squashproxy.squash.judge import Judge
from squashproxy.testing import index_of
from squashproxy.transports import archives
from tests.pipeline.images import ARM64, app
from tests.pipeline.lab import Lab
from tests.transports.copying import NEW, TREE, copy, tree_of
from tests.transports.places import KINDS, open_places


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", ["1", "none", "4"])
def test_what_is_right_is_published(kind: str, base: str, tmp_path: Path) -> None:
    with open_places(tmp_path, "registry", kind) as (old, new):
        old.put(app())
        copy(old, new, base=base, verify=True)
        assert tree_of(new.source(NEW)) == TREE


@pytest.mark.parametrize("family", Family)
def test_every_platform_of_an_index(lab: Lab, family: Family) -> None:
    index_of([app(family), app(family, platform=ARM64)], family).push(lab.old, "app", "1")
    lab.copy(verify=True)
    read = {
        exchange.path.rpartition("/")[2]
        for exchange in lab.new.requests
        if exchange.method == "GET" and "/blobs/sha256:" in exchange.path
    }
    kept = app(family).layers[0].digest
    assert read == lab.new.blobs("app") - {kept}, "what both begin with is read once, at the source"


@pytest.fixture
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge that loses one file."""
    decide = Judge.decide

    def lose(judge: Judge, scanner: TarScanner) -> None:
        if scanner.path == b"app/new":
            scanner.drop()
        else:
            decide(judge, scanner)

    monkeypatch.setattr(Judge, "decide", lose)


@pytest.mark.usefixtures("_forgetful")
class TestAMergeThatLosesAFile:
    @pytest.mark.parametrize("kind", KINDS)
    def test_is_not_published(self, kind: str, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", kind) as (old, new):
            old.put(app())
            with pytest.raises(TreesDiffer, match=r"missing of 'app/new'") as caught:
                copy(old, new, verify=True)
            assert caught.value.exit_code == 4
            assert new.sink(NEW).find_manifest() is None
            if kind != "registry":
                assert new.leftovers() == []

    def test_would_be_otherwise(self, lab: Lab) -> None:
        lab.put(app())
        assert not lab.copy().skipped


def test_a_pipe_cannot_be_read_back(lab: Lab) -> None:
    lab.put(app())
    sink = archives.open_sink(ArchiveReference(Transport.DOCKER_ARCHIVE, "-"))
    with pytest.raises(UsageError, match="--verify"):
        copy_image(
            lab.source(),
            sink,
            CopyOptions(verify=True),
            open_source=lab.open,
            observer=SilentObserver(),
            clock=time.monotonic,
        )
