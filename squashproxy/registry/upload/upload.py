"""Uploads of blobs: one attempt, and others where the blob can be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from squashproxy.digest import Chunk, Digest
from squashproxy.registry.caller import Caller
from squashproxy.registry.options import UploadMode
from squashproxy.registry.upload.attempt import Attempt, Expected, await_turn
from squashproxy.registry.upload.bodies import Beginning
from squashproxy.registry.upload.session import UploadLost
from squashproxy.streams import Repeatable, closed_after


class Upload:
    """The upload of one blob to one repository.

    A session can be lost in its middle: distribution cannot go on with a PATCH that was cut, and
    a registry that starts again may know none of its sessions. Then the blob is sent anew from its
    start, if its chunks are Repeatable or a list.
    """

    def __init__(self, caller: Caller, chunks: Iterable[Chunk], expected: Expected) -> None:
        self._caller = caller
        self._chunks = chunks
        self._expected = expected

    def run(self, mode: UploadMode, on_stream: Callable[[], None]) -> tuple[Digest, int]:
        """Send the blob; return its digest and its size in bytes.

        There are as many further attempts as the client retries. `on_stream` is called if the
        registry accepted a stream but no ranges. Every session is ended or cancelled, whatever
        goes wrong. Raises RegistryError, IntegrityError for other bytes than expected or than in
        an earlier attempt, and what the source of the chunks raises.
        """
        failures = 0
        before: Beginning | None = None
        while True:
            chunks = iter(self._chunks)
            attempt = Attempt(self._caller, chunks, self._expected, before)
            try:
                with closed_after(chunks):
                    result = attempt.run(mode)
            except UploadLost as lost:
                failures += 1
                self._begin_again(lost, failures)
                before = attempt.beginning
                continue
            if attempt.streams:
                on_stream()
            return result

    def _begin_again(self, lost: UploadLost, failures: int) -> None:
        """Wait before the next attempt, or raise the error if there is none."""
        if isinstance(self._chunks, Repeatable):
            await_turn(self._caller, lost, failures)
            self._chunks.begin_again(lost.error.fact)
        elif isinstance(self._chunks, list | tuple):
            await_turn(self._caller, lost, failures)
        else:
            raise lost.error from lost
