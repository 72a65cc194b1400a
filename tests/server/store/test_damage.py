"""Full disks, lost ledgers and flipped bits: pulls go on, and the store heals."""

from __future__ import annotations

import json
import os
import random
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from squashproxy.cancellation import Cancellation
from squashproxy.digest import digest_of
from squashproxy.errors import SquashproxyError, UsageError
from squashproxy.server.store import ledger_file
from squashproxy.server.store.base import SquashKey
from squashproxy.server.store.directory import DirectoryStore
from squashproxy.server.store.spools import StoreFull
from squashproxy.testing import FakeRegistry
from tests.disk import files_of_at_most
from tests.server.serving import UP, Served, app, run_serve, settings
from tests.server.store.test_directory import ELSEWHERE, GIB, ONE, TWO, Clock, found, keep, squash

ANYTHING = Cancellation()


def pull(served: Served, repo: str = "app", tag: str = "1") -> dict[str, bytes]:
    """The blobs of an image, whose digests are checked."""
    answer = served.manifest(repo, tag)
    assert answer.status_code == 200, answer.text
    assert digest_of(answer.content) == answer.headers["Docker-Content-Digest"]
    document = json.loads(answer.content)
    blobs = {}
    for each in (document["config"], *document["layers"]):
        blob = served.blob(repo, each["digest"])
        assert blob.status_code == 200, blob.text
        assert digest_of(blob.content) == each["digest"]
        blobs[each["digest"]] = blob.content
    return blobs


def source_of(answer: requests.Response) -> str:
    return answer.headers["X-Squashproxy-Source"]


# Full disks.


def test_on_a_full_disk_the_original_is_handed_out(
    upstream: FakeRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the store nor its ledger can write; the server also ends without a complaint."""
    original = app().push(upstream, "app", "1")
    app("kept").push(upstream, "kept", "1")
    with run_serve(settings(upstream, tmp_path, tag_ttl="0s")) as served:
        kept = pull(served, "kept")
        with files_of_at_most(0):
            answer = served.manifest("app", "1")
            assert (answer.status_code, source_of(answer)) == (200, "original")
            assert answer.headers["Docker-Content-Digest"] == original
            pull(served)
            assert pull(served, "kept") == kept, "what the store holds is served"
    assert not [record for record in caplog.records if record.exc_info], "a traceback"


def test_a_server_stops_on_a_full_disk(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    running = run_serve(settings(upstream, tmp_path))
    served = running.__enter__()
    pull(served)
    with files_of_at_most(0):
        running.__exit__(None, None, None)
    with run_serve(settings(upstream, tmp_path)) as again:
        assert source_of(again.manifest("app", "1")) == "cached"


def test_a_server_starts_on_a_full_disk(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ledger is a copy in memory then, which is written back when there is room."""
    app().push(upstream, "app", "1")
    app("new").push(upstream, "new", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        kept = pull(served)
    full = ledger_file._is_full
    monkeypatch.setattr(ledger_file, "_is_full", lambda _: True)
    with files_of_at_most(0), run_serve(settings(upstream, tmp_path)) as served:
        assert pull(served) == kept
        assert source_of(served.manifest("app", "1")) == "cached"
        assert source_of(served.manifest("new", "1")) == "original"
    monkeypatch.setattr(ledger_file, "_is_full", full)
    with run_serve(settings(upstream, tmp_path)) as served:
        assert source_of(served.manifest("app", "1")) == "cached"
        assert source_of(served.manifest("new", "1")) == "squashed"


def test_a_ledger_in_memory_is_written_back(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, manifest, _ = squash(store, ONE, "app")
    store.close()
    monkeypatch.setattr(ledger_file, "_is_full", lambda _: True)
    with files_of_at_most(0):
        again = DirectoryStore(tmp_path / "store", GIB)
    assert again.find_squashed(key) == manifest.digest
    new, image, _ = squash(again, ONE, "new")
    again.look_after(ANYTHING)
    again.close()
    last = DirectoryStore(tmp_path / "store", GIB)
    assert last.find_squashed(new) == image.digest
    last.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DirectoryStore]:
    opened = DirectoryStore(tmp_path / "store", GIB, clock=clock)
    yield opened
    opened.close()


KEPT = b"kept"
CHANGES: dict[str, Callable[[DirectoryStore], object]] = {
    "a blob": lambda store: keep(store, TWO, random.randbytes(5000)),
    "a squashed image": lambda store: squash(store, TWO, "another"),
    "uses": lambda store: store.touch([(digest_of(KEPT), 2e6)]),
    "a name": lambda store: store.name_image(ONE, "2", digest_of(KEPT)),
    "a link": lambda store: store.adopt_blob(TWO, digest_of(KEPT), lambda _: True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_a_full_disk_stopped_is_made_later(
    store: DirectoryStore, change: Callable[[DirectoryStore], object]
) -> None:
    """No transaction stays open, so that the next change is made as if nothing had been."""
    key, manifest, _ = squash(store, ONE, "app")
    keep(store, ONE, KEPT)
    with files_of_at_most(0), pytest.raises(SquashproxyError):
        change(store)
    assert store.find_squashed(key) == manifest.digest
    change(store)


def test_max_size_holds_whatever_is_in_use(store: DirectoryStore, clock: Clock) -> None:
    """What was used within a minute cannot go, so what does not fit is not taken."""
    store._max_bytes = 10_000
    for number in range(3):
        keep(store, ONE, bytes([number]) * 3000)
    with pytest.raises(StoreFull, match="max_size"):
        keep(store, ONE, b"x" * 3000)
    sink = store.open_sink(
        SquashKey(ONE, digest_of(b"source"), "o"), "app", lambda _: False, ANYTHING
    )
    with pytest.raises(StoreFull):
        sink.write_blob(b"y" * 500 for _ in range(10))
    sink.close()
    assert size_of(store) <= 10_000
    keep(store, ONE, b"z" * 900)
    clock.now += 61
    keep(store, ONE, b"x" * 3000)
    assert size_of(store) <= 10_000


def test_unfinished_files_count(store: DirectoryStore) -> None:
    store._max_bytes = 10_000
    first = store.open_spool(6000)
    with pytest.raises(StoreFull):
        store.open_spool(6000)
    first.close()
    store.open_spool(6000).close()


def test_a_pull_of_more_than_max_size_goes_past_the_store(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    data = [random.randbytes(300_000) for _ in range(5)]
    digests = [upstream.put_blob("app", each) for each in data]
    small = {"directory": str(tmp_path / "store"), "max_size": "700KB"}
    with run_serve(settings(upstream, tmp_path, store=small)) as served:
        assert [served.blob("app", each).content for each in digests] == data
        kept = tmp_path / "store" / "blobs" / "sha256"
        deadline = time.monotonic() + 20
        while not any(kept.iterdir()):  # a blob is kept after its last byte was sent
            assert time.monotonic() < deadline, "nothing was kept"
            time.sleep(0.01)
        assert sum(path.stat().st_size for path in kept.iterdir()) <= 700_000


def size_of(store: DirectoryStore) -> int:
    return sum(path.stat().st_size for path in (store._root / "blobs").rglob("*") if path.is_file())


# Damaged ledgers.


def scramble(path: Path) -> None:
    """Random bytes behind the header."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(100)
        file.write(random.Random(1).randbytes(size - 100))


def scramble_all(path: Path) -> None:
    path.write_bytes(random.Random(2).randbytes(path.stat().st_size))


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE other(x)")
    other.close()


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_text("of somebody")


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def lead(where: str) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        path.unlink()
        path.symlink_to(where)

    return harm


def break_again(path: Path) -> None:
    """With something else where damaged files are put."""
    path.with_suffix(".broken").mkdir()
    (path.with_suffix(".broken") / "file").write_text("of an earlier time")
    scramble_all(path)


HARMS: dict[str, Callable[[Path], None]] = {
    "random bytes behind its header": scramble,
    "random bytes": scramble_all,
    "half of it": halve,
    "nothing in it": empty,
    "gone": remove,
    "another database": replace,
    "a folder": become_a_folder,
    "a pipe": become_a_pipe,
    "a link that leads nowhere": lead("nowhere/ledger.db"),
    "a link to a device": lead("/dev/zero"),
    "a folder where it is put aside": break_again,
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_ledger_that_was_lost_before_a_start(
    upstream: FakeRegistry, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    app().push(upstream, "app", "1")
    app("two").push(upstream, "app", "2")
    with run_serve(settings(upstream, tmp_path)) as served:
        before = pull(served)
    harm(tmp_path / "store" / "squashproxy.db")
    jobs = len([one for one in upstream.requests if "/blobs/" in one.path])
    with run_serve(settings(upstream, tmp_path)) as served:
        assert pull(served) == before
        assert source_of(served.manifest("app", "1")) == "cached"
        after = [one for one in upstream.requests if "/blobs/" in one.path]
        assert len(after) == jobs, "the image was found again, not made again"
        assert source_of(served.manifest("app", "2")) == "squashed"
    with run_serve(settings(upstream, tmp_path)) as served:
        assert source_of(served.manifest("app", "2")) == "cached"


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_ledger_that_is_lost_while_it_is_in_use(
    store: DirectoryStore,
    tmp_path: Path,
    harm: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    keys = [squash(store, ONE, f"app{number}") for number in range(50)]
    for number, (_, manifest, _) in enumerate(keys):
        store.name_image(ONE, str(number), manifest.digest)
    store.look_after(ANYTHING)
    store._ledger._db.read("PRAGMA wal_checkpoint(TRUNCATE)")
    harm(tmp_path / "store" / "squashproxy.db")
    store.look_after(ANYTHING)
    drop_cache(store)
    for key, manifest, blobs in keys:
        assert store.find_squashed(key) == manifest.digest
        assert all(found(store, ONE, blob.digest) for blob in blobs)
    assert not found(store, ELSEWHERE, keys[0][2][0].digest)
    key, manifest, _ = squash(store, TWO, "later")
    store.close()
    assert caplog.messages, "the operator hears of it"
    again = DirectoryStore(tmp_path / "store", GIB)
    assert again.find_squashed(key) == manifest.digest
    assert again.find_squashed(keys[0][0]) == keys[0][1].digest
    again.close()


def drop_cache(store: DirectoryStore) -> None:
    """Let SQLite read the file again, as it does once its cache is full."""
    store._ledger._db.read("PRAGMA cache_size = 0")
    store._ledger._db._db._db.execute("PRAGMA shrink_memory")


def test_while_another_program_locks_the_ledger_pulls_go_on(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    """The first change waits for it; then none does, until one succeeds."""
    app().push(upstream, "app", "1")
    source = app("two").push(upstream, "app", "2")
    with run_serve(settings(upstream, tmp_path)) as served:
        before = pull(served)
        other = sqlite3.connect(tmp_path / "store" / "squashproxy.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert pull(served) == before
        answer = served.manifest("app", "2")
        assert answer.headers["Docker-Content-Digest"] == source
        for layer in answer.json()["layers"]:
            assert served.blob("app", layer["digest"]).status_code == 200
        assert time.monotonic() - began < 8
        other.execute("ROLLBACK")
        other.close()
        assert served.blob("app", upstream.put_blob("app", b"new")).content == b"new"
    with run_serve(settings(upstream, tmp_path)) as served:
        assert pull(served) == before


def test_a_folder_of_somebody_elses_layout_is_left_alone(
    store: DirectoryStore, tmp_path: Path
) -> None:
    """A store without its ledger is known by the mark on its index; another layout has none."""
    store.close()
    root = tmp_path / "store"
    (root / "squashproxy.db").unlink()
    index = json.loads((root / "index.json").read_text())
    del index["annotations"]
    (root / "index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match="other files"):
        DirectoryStore(root, GIB)


# Damaged blobs.


def blob_file(tmp_path: Path, digest: str) -> Path:
    return tmp_path / "store" / "blobs" / "sha256" / digest.removeprefix("sha256:")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_a_flipped_byte_is_found_before_a_blob_is_sent(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    """Blobs of upstream are fetched again, those of a squashed image are made again."""
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        before = pull(served)
    for digest in before:
        flip(blob_file(tmp_path, digest))
    with run_serve(settings(upstream, tmp_path)) as served:
        assert pull(served) == before
        problems = served.get("/api/v1/status").json()["errors"]
        assert any("was damaged on its disk" in each["message"] for each in problems)
    assert 0 < len(list((tmp_path / "store" / "damaged").iterdir())) <= 3


@pytest.mark.parametrize("size", [0, 1 << 20, (1 << 20) + 7])
def test_a_file_that_is_cut_while_it_is_sent_ends_the_connection(
    upstream: FakeRegistry, tmp_path: Path, size: int
) -> None:
    """Else the next answer would be taken for the rest of the blob."""
    data = bytes(range(256)) * (128 << 10)
    digest = upstream.put_blob("app", data)
    path = f"/v2/{UP}/app/blobs/{digest}"
    both = "".join(f"GET {each} HTTP/1.1\r\nHost: x\r\n\r\n" for each in (path, "/healthz"))
    with run_serve(settings(upstream, tmp_path)) as served:
        assert served.get(path).content == data
        host, port = served.host.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(both.encode())
            answer = bytearray(client.recv(1000))
            os.truncate(blob_file(tmp_path, digest), size)
            with suppress(ConnectionError):
                while piece := client.recv(1 << 20):
                    answer += piece
        assert len(answer) < len(data)
        assert answer.count(b"HTTP/1.1") == 1
        assert served.get(path).content == data


def test_a_blob_that_is_asked_for_alone_is_made_again(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    """A client that resumes has the manifest, and asks for the layer only."""
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        digest, data = list(pull(served).items())[-1]
    flip(blob_file(tmp_path, digest))
    with run_serve(settings(upstream, tmp_path)) as served:
        part = served.blob("app", digest, headers={"Range": "bytes=10-"})
        assert (part.status_code, part.content) == (206, data[10:])


def test_a_job_does_not_build_on_a_damaged_blob(upstream: FakeRegistry, tmp_path: Path) -> None:
    base = app("base", layers=2)
    base.push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        before = pull(served)
        for digest in before:
            flip(blob_file(tmp_path, digest))
    ledger = sqlite3.connect(tmp_path / "store" / "squashproxy.db")
    ledger.execute("DELETE FROM results")
    ledger.commit()
    ledger.close()
    with run_serve(settings(upstream, tmp_path)) as served:
        assert pull(served) == before


def test_publishing_replaces_a_file_that_differs(store: DirectoryStore) -> None:
    blob = keep(store, ONE, b"right" * 100)
    path = store._folder.path_of(blob.digest)
    flip(path)
    keep(store, TWO, b"right" * 100)
    assert path.read_bytes() == b"right" * 100


def test_a_sweep_finds_what_nobody_asks_for(store: DirectoryStore, clock: Clock) -> None:
    sound = keep(store, ONE, b"sound" * 100)
    harmed = keep(store, ONE, b"harmed" * 100)
    flip(store._folder.path_of(harmed.digest))
    generation = store.generation
    store.look_after(ANYTHING)
    assert store.generation > generation
    assert not found(store, ONE, harmed.digest)
    assert found(store, ONE, sound.digest)
    flip(store._folder.path_of(sound.digest))
    store.look_after(ANYTHING)
    assert found(store, ONE, sound.digest), "it rests until the next day"
    clock.now += 24 * 3600 + 1
    store.look_after(ANYTHING)
    assert not found(store, ONE, sound.digest)


# One image in two repositories.


@pytest.mark.parametrize("auth", ["none", "upstream"])
def test_an_image_of_two_repositories_is_made_again_in_each(
    upstream: FakeRegistry, tmp_path: Path, auth: str
) -> None:
    names = ("one/app", "two/app")
    for name in names:
        app().push(upstream, name, "1")
    configuration = settings(upstream, tmp_path, auth=auth)
    with run_serve(configuration) as served:
        digests = {served.manifest(name, "1").headers["Docker-Content-Digest"] for name in names}
    [digest] = digests
    evicting = DirectoryStore(tmp_path / "store", 1, clock=lambda: time.time() + 3600)
    assert evicting.trim() > 0
    evicting.close()
    for name in names:
        with run_serve(configuration) as served:
            answer = served.manifest(name, digest)
            assert (answer.status_code, digest_of(answer.content)) == (200, digest)
            for each in json.loads(answer.content)["layers"]:
                assert served.blob(name, each["digest"]).status_code == 200
