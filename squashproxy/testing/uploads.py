"""Upload sessions: begun by POST, fed by PATCH, ended by PUT or DELETE."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

from squashproxy.digest import Digest
from squashproxy.testing.answers import Code, Refusal
from squashproxy.testing.content import Draft
from squashproxy.testing.store import Store


class Upload:
    """One session; `lock` is held while a request feeds it."""

    def __init__(self, number: int, repo: str, draft: Draft) -> None:
        self.id = f"{number:08x}-0000-4000-8000-000000000000"
        self._number = number
        self._turn = 0
        self.repo = repo
        self.draft = draft
        self.ended_short = False
        self.lock = threading.Lock()

    @property
    def state(self) -> str:
        """What the newest Location says in its query; an older Location is refused."""
        return f"{self._number}-{self._turn}"

    def turn(self) -> None:
        """Take a step: from now on, another Location counts."""
        self._turn += 1

    @property
    def range(self) -> str:
        """The Range header: what is there, `0-0` also for nothing (as distribution says it)."""
        return f"0-{max(self.draft.size - 1, 0)}"


class Uploads:
    """The sessions that are open."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, Upload] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, repo: str) -> Upload:
        """Open a session."""
        with self._lock:
            upload = Upload(next(self._numbers), repo, self._store.contents.draft())
            self._open[upload.id] = upload
        return upload

    def find(self, repo: str, upload_id: str) -> Upload:
        """An open session; BLOB_UPLOAD_UNKNOWN where there is none such."""
        upload = self._open.get(upload_id)
        if upload is None or upload.repo != repo:
            raise Refusal(Code.BLOB_UPLOAD_UNKNOWN)
        return upload

    def finish(self, upload: Upload, digest: Digest) -> None:
        """Turn a session into a blob; DIGEST_INVALID ends it without one."""
        found = upload.draft.digest(digest)
        if found != digest:
            self.cancel(upload)
            raise Refusal(Code.DIGEST_INVALID, f"the upload has the digest {found}")
        with self._lock:
            del self._open[upload.id]
        self._store.contents.keep(upload.draft, digest)
        self._store.link_blob(upload.repo, digest)

    def cancel(self, upload: Upload) -> None:
        """Forget a session."""
        with self._lock:
            if self._open.pop(upload.id, None) is not None:
                upload.draft.discard()

    def store_at_once(self, repo: str, pieces: Iterable[bytes], digest: Digest) -> None:
        """A monolithic POST: a session that begins and ends in one request."""
        upload = self.begin(repo)
        try:
            upload.draft.append(pieces)
        except (Refusal, ConnectionError):
            self.cancel(upload)
            raise
        self.finish(upload, digest)
