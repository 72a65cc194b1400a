"""Upload sessions: POST begins one, PATCH adds bytes, PUT or DELETE ends it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

from squashproxy.digest import Digest
from squashproxy.testing.answers import Code, Refusal
from squashproxy.testing.content import Draft
from squashproxy.testing.store import Store


class Upload:
    """One upload session; hold `lock` while a request adds bytes."""

    def __init__(self, number: int, repo: str, draft: Draft) -> None:
        self.id = f"{number:08x}-0000-4000-8000-000000000000"
        self._number = number
        self._turn = 0
        self._first = ""
        self.repo = repo
        self.draft = draft
        self.ended_short = False
        self.lock = threading.Lock()

    @property
    def state(self) -> str:
        """The query of the newest Location; requests with an older one are refused."""
        return f"{self._number}-{self._turn}"

    def turn(self) -> None:
        """Make the Location that was sent so far an old one."""
        self._turn += 1
        self._first = self._first or self.range

    @property
    def first_range(self) -> str:
        """The Range header as it was after the first PATCH."""
        return self._first or self.range

    @property
    def range(self) -> str:
        """The Range header for the bytes that arrived; `0-0` for none, as distribution sends it."""
        return f"0-{max(self.draft.size - 1, 0)}"


class Uploads:
    """The open upload sessions."""

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
        """An open session. Raises Refusal (BLOB_UPLOAD_UNKNOWN) if there is none with this ID."""
        upload = self._open.get(upload_id)
        if upload is None or upload.repo != repo:
            raise Refusal(Code.BLOB_UPLOAD_UNKNOWN)
        return upload

    def finish(self, upload: Upload, digest: Digest) -> None:
        """End a session by storing its blob.

        Raises Refusal (DIGEST_INVALID) if the bytes have another digest; the session is gone then.
        """
        found = upload.draft.digest(digest)
        if found != digest:
            self.cancel(upload)
            raise Refusal(Code.DIGEST_INVALID, f"the upload has the digest {found}")
        with self._lock:
            del self._open[upload.id]
        self._store.contents.keep(upload.draft, digest)
        self._store.link_blob(upload.repo, digest)

    def cancel(self, upload: Upload) -> None:
        """End a session and discard its bytes."""
        with self._lock:
            if self._open.pop(upload.id, None) is not None:
                upload.draft.discard()

    def cancel_all(self) -> None:
        """End all sessions and discard their bytes."""
        for upload in tuple(self._open.values()):
            self.cancel(upload)

    def store_at_once(self, repo: str, pieces: Iterable[bytes], digest: Digest) -> None:
        """Store the blob of a monolithic POST: a session that begins and ends in one request.

        Raises Refusal (DIGEST_INVALID), and what reading `pieces` raises.
        """
        upload = self.begin(repo)
        try:
            upload.draft.append(pieces)
        except (Refusal, ConnectionError):
            self.cancel(upload)
            raise
        self.finish(upload, digest)
