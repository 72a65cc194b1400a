"""The log of deletions: a line each, written before it happens, with all that undoing it takes."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import FormatError, UsageError, reason_of
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository, parse_repository

_FORMAT = "squashproxy audit"


@dataclass(frozen=True, slots=True)
class Entry:
    """What was there: a manifest and the tags that pointed to it.

    `action` is `delete`, `untag` or `squash`.
    """

    action: str
    rule: str
    repository: Repository
    digest: Digest
    tags: tuple[str, ...]
    why: str
    manifest: RawManifest


class AuditLog:
    """Appends to a file, which is on the disk before anything is deleted. For one thread."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written: {reason_of(error)}; nothing is deleted without a "
                "log, so name another folder as `state`"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, entry: Entry) -> None:
        """Write what is about to go. Raises UsageError where that fails, so that it does not go."""
        document = {
            "format": _FORMAT,
            "at": round(time.time(), 3),
            "action": entry.action,
            "rule": entry.rule,
            "repository": str(entry.repository),
            "digest": entry.digest,
            "tags": list(entry.tags),
            "why": entry.why,
            "media_type": entry.manifest.media_type,
            "manifest": base64.b64encode(entry.manifest.data).decode(),
        }
        try:
            self._file.write(json.dumps(document).encode() + b"\n")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written: {reason_of(error)}; nothing more was deleted"
            ) from error


def log_name(moment: float) -> str:
    """A name that sorts by date and stands for one process."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment)) + f"-{os.getpid()}.jsonl"


def read_log(path: Path) -> list[Entry]:
    """The entries, oldest first; a last line that was cut short is left out, as nothing went then.

    Raises UsageError for what is no log.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    return list(_entries(data, path))


def _entries(data: bytes, path: Path) -> Iterator[Entry]:
    whole, _, _ = data.rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            yield _entry(json.loads(line))
        except (ValueError, KeyError, TypeError, FormatError, UsageError) as error:
            raise UsageError(f"{path}:{number}: this is no entry of an audit log") from error


def _entry(fields: dict[str, Any]) -> Entry:
    if fields["format"] != _FORMAT:
        raise FormatError("another format")
    raw = RawManifest(base64.b64decode(fields["manifest"], validate=True), fields["media_type"])
    digest = Digest(fields["digest"])
    if digest.startswith("sha256:") and digest_of(raw.data) != digest:
        raise FormatError("another manifest")
    return Entry(
        fields["action"],
        fields["rule"],
        parse_repository(fields["repository"]),
        digest,
        tuple(fields["tags"]),
        fields["why"],
        raw,
    )
