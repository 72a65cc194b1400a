"""The state of runs: read back as written, bounded in size, upgraded from older versions."""

from __future__ import annotations

import os
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from squashproxy.database import Database
from squashproxy.errors import UsageError
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.distinct_layers import DistinctLayers
from squashproxy.reference import parse_reference
from squashproxy.state import database as state
from squashproxy.state.database import open_state
from squashproxy.state.manifests import ManifestMemory
from squashproxy.state.promotions import Promoted, PromotionMemory
from squashproxy.state.runs import Outcome, RunHistory

DAY = 86400.0
MANIFEST = RawManifest(b'{"schemaVersion": 2}', mediatypes.OCI_MANIFEST)
TARGET = parse_reference("new.example/app:1")
SOURCE = parse_reference("old.example/app:1")
OTHER = RawManifest(b'{"schemaVersion": 2, "manifests": []}', mediatypes.OCI_INDEX)


def test_a_manifest_that_is_asked_for_stays_and_others_go_after_90_days() -> None:
    now = 1_800_000_000.0
    with open_state(None) as database:
        memory = ManifestMemory(database, lambda: now)
        for raw in (MANIFEST, OTHER):
            memory.add(raw.digest, raw)
        for _ in range(12):
            now += 10 * DAY
            memory.forget_unused()
            assert memory.find(MANIFEST.digest) == MANIFEST
        assert memory.find(OTHER.digest) is None


def test_asking_every_day_writes_once_a_week(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    with open_state(tmp_path) as database:
        memory = ManifestMemory(database, lambda: now)
        memory.add(MANIFEST.digest, MANIFEST)
        changes = database._db.total_changes
        for _ in range(28):
            now += DAY
            memory.find(MANIFEST.digest)
        assert database._db.total_changes - changes == 4


def test_many_manifests_are_found_at_once_without_those_that_are_damaged_or_unknown() -> None:
    now = 1_800_000_000.0
    raws = [RawManifest(b'{"n": %d}' % number, mediatypes.OCI_MANIFEST) for number in range(1100)]
    with open_state(None) as database:
        memory = ManifestMemory(database, lambda: now)
        for raw in raws[:1099]:
            memory.add(raw.digest, raw)
        database.write("UPDATE manifests SET data = ? WHERE digest = ?", (b"{}", raws[3].digest))
        database.write("UPDATE manifests SET data = 7 WHERE digest = ?", (raws[700].digest,))
        now += 80 * DAY
        found = memory.find_all(raw.digest for raw in raws)
        whole = [raw for n, raw in enumerate(raws) if n not in {3, 700, 1099}]
        assert found == {raw.digest: raw for raw in whole}
        now += 80 * DAY
        memory.forget_unused()
        assert memory.find_all([raw.digest for raw in raws]) == found
        assert memory.find_all([]) == {}


def test_the_newest_runs_keep_their_results_and_older_ones_their_line() -> None:
    with open_state(None) as database:
        history = RunHistory(database)
        for number in range(30):
            for rule in ("apps", "other"):
                run = history.begin("promote", rule, None, float(number))
                history.end(run, number + 0.5, Outcome.DONE, f"{number} copied", "{}")
        runs = [run for run in history.newest(100) if run.rule == "apps"]
    assert [run.document for run in runs] == ["{}"] * 20 + [""] * 10
    assert [run.summary for run in runs] == [f"{number} copied" for number in range(29, -1, -1)]


def test_the_state_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    with Database(tmp_path / "state.db", (state._FIRST,)) as database:
        database.write(
            "INSERT INTO manifests(digest, media_type, data) VALUES(?, ?, ?)",
            (MANIFEST.digest, MANIFEST.media_type, MANIFEST.data),
        )
        database.write("INSERT INTO untagged VALUES('r', 'd', 5.0)")
    with open_state(tmp_path) as database:
        memory = ManifestMemory(database, time.time)
        memory.forget_unused()
        assert memory.find(MANIFEST.digest) == MANIFEST
        assert database.read("SELECT since FROM untagged") == [(5.0,)]


def test_the_state_of_a_later_version_is_refused(tmp_path: Path) -> None:
    open_state(tmp_path).close()
    with sqlite3.connect(tmp_path / "state.db") as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(UsageError, match=r"written by a later version \(99\)"):
        open_state(tmp_path)


LAYERS = DistinctLayers({MANIFEST.digest: 7}, {OTHER.digest: 5})
AGAIN: dict[str, tuple[Promoted, DistinctLayers | None]] = {
    "the same image, found up to date": (Promoted(TARGET, SOURCE, MANIFEST.digest), LAYERS),
    "another image, of which nothing is known": (Promoted(TARGET, SOURCE, OTHER.digest), None),
    "another image": (Promoted(TARGET, SOURCE, OTHER.digest, LAYERS), LAYERS),
}


@pytest.mark.parametrize(("then", "layers"), AGAIN.values(), ids=AGAIN)
def test_layers_of_a_promoted_image_belong_to_its_digest(
    then: Promoted, layers: DistinctLayers | None
) -> None:
    with open_state(None) as database:
        memory = PromotionMemory(database)
        memory.note("apps", Promoted(TARGET, SOURCE, MANIFEST.digest, LAYERS))
        memory.note("apps", then)
        assert memory.find_layers("apps", TARGET, then.digest) == layers
        assert memory.find_layers("other", TARGET, then.digest) is None


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open so many more files and no others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.open(os.devnull, os.O_RDONLY)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("is_new", [True, False], ids=["a new state", "one that is there"])
@pytest.mark.parametrize("count", range(3))
def test_a_folder_is_not_blamed_where_no_descriptor_is_left(
    tmp_path: Path, count: int, *, is_new: bool
) -> None:
    """SQLite needs several, and says "unable to open database file" whichever it lacks."""
    if not is_new:
        open_state(tmp_path).close()
    with descriptors_left(count), pytest.raises(UsageError) as raised:
        open_state(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path} cannot hold the state: too many open files; "
        "raise the limit (ulimit -n), or do less at once"
    )


def test_a_folder_that_cannot_be_used_is_blamed_though_descriptors_are_left(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(UsageError, match="unable to open database file; name another folder"):
        open_state(tmp_path)


def test_a_state_in_use_that_lacks_a_descriptor_is_not_called_damaged(tmp_path: Path) -> None:
    """SQLite opens a temporary file for what it sorts."""
    with open_state(tmp_path) as database:
        database.write("PRAGMA cache_size = 1")
        rows = [(f"{number}", "t", "d" * 1000) for number in range(5000)]
        database.write_many("INSERT INTO tags VALUES (?, ?, ?)", rows)
        with descriptors_left(0), pytest.raises(UsageError, match="too many open files; raise"):
            database.read("SELECT * FROM tags ORDER BY digest, repository DESC")
