"""The audit log: a line before each deletion, with all that an undo needs, and one after it."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from threading import Lock
from typing import IO, Any, Protocol, Self

from squashproxy.cleanup.results import StepOutcome
from squashproxy.digest import Digest, Hasher, parse_digest
from squashproxy.errors import FormatError, UsageError, advice_of, reason_of
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository, check_tag, parse_repository

_FORMAT = "squashproxy audit"
_NOT_DONE = frozenset({StepOutcome.LEFT, StepOutcome.GONE})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: a manifest, and the tags that pointed to it.

    `action` is `delete`, `untag` or `squash`. `is_done` says whether it happened; None if the
    process ended before it could write that down.
    """

    action: str
    rule: str
    repository: Repository
    digest: Digest
    tags: tuple[str, ...]
    why: str
    manifest: RawManifest
    is_done: bool | None = None


class AuditTrail(Protocol):
    """Keeps what is about to be deleted, where it survives the end of this process."""

    @property
    def path(self) -> Path:
        """The file that an undo can be given."""
        ...

    def begin(self, entry: Entry) -> int:
        """Keep what is about to be deleted; returns the entry's number."""
        ...

    def end(self, number: int, outcome: StepOutcome, tags: tuple[str, ...]) -> None:
        """Keep how the step ended, and which tags it removed."""
        ...


class AuditLog:
    """Appends entries to a file, and syncs each to disk before the deletion.

    Usable from several threads.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._lock = Lock()
        self._count = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path, self._file = _open_new(folder / name)
        except OSError as error:
            raise UsageError(
                f"{folder / name} cannot be written: {reason_of(error)}",
                advice=advice_of(
                    error, "nothing is deleted without a log, so name another folder as `state`"
                ),
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begin(self, entry: Entry) -> int:
        """Write what is about to be deleted; returns the entry's number. Raises UsageError."""
        with self._lock:
            self._count += 1
            number = self._count
        head = {"format": _FORMAT, "number": number, "at": round(time.time(), 3)}
        self._write({**head, **entry_form(entry)})
        self._sync()
        return number

    def end(self, number: int, outcome: StepOutcome, tags: tuple[str, ...]) -> None:
        """Write how the step ended, and which tags it removed. Raises UsageError."""
        self._write({"format": _FORMAT, "ended": number, "outcome": outcome, "tags": list(tags)})

    def _write(self, document: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._file.write(json.dumps(document).encode() + b"\n")
        except OSError as error:
            raise self._lost(error) from error

    def _sync(self) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._lost(error) from error

    def _lost(self, error: OSError) -> UsageError:
        return UsageError(
            f"{self.path} cannot be written: {reason_of(error)}; nothing more was deleted"
        )


def _open_new(wanted: Path) -> tuple[Path, IO[bytes]]:
    """Create a new file. If another run took the wanted name, a number is added to it."""
    path = wanted
    for number in count(2):
        try:
            return path, path.open("xb", buffering=0)
        except FileExistsError:
            path = wanted.with_stem(f"{wanted.stem}-{number}")
    raise AssertionError("there is always a next number")


def log_name(moment: float) -> str:
    """A file name that sorts by date and is unique to this process."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment)) + f"-{os.getpid()}.jsonl"


def read_log(path: Path) -> list[Entry]:
    """The entries of a log, oldest first. A truncated last line is ignored: nothing was deleted
    then.

    Raises UsageError for a file that is not a log, naming the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    entries: dict[int, Entry] = {}
    for number, fields in enumerate(_documents(data, path), 1):
        try:
            _take(fields, entries)
        except (ValueError, KeyError, TypeError, FormatError) as error:
            raise _no_entry(path, number) from error
    return list(entries.values())


def _documents(data: bytes, path: Path) -> Iterator[dict[str, Any]]:
    whole, _, _ = data.rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _no_entry(path, number) from error
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise _no_entry(path, number)
        yield fields


def _take(fields: dict[str, Any], entries: dict[int, Entry]) -> None:
    """Read one line: an entry, or the end of one."""
    if "ended" not in fields:
        # Logs of earlier versions have no numbers; everything in them was done.
        number = fields.get("number", len(entries) + 1)
        entries[_int(number)] = read_entry(fields, is_done=None if "number" in fields else True)
        return
    entry = entries[_int(fields["ended"])]
    is_done = _text(fields["outcome"]) not in _NOT_DONE
    tags = _tags(fields["tags"])
    if not set(tags) <= set(entry.tags):
        raise FormatError("other tags")
    entries[_int(fields["ended"])] = replace(entry, is_done=is_done, tags=tags)


def entry_form(entry: Entry) -> dict[str, Any]:
    """An entry as JSON, without whether it was done."""
    return {
        "action": entry.action,
        "rule": entry.rule,
        "repository": str(entry.repository),
        "digest": entry.digest,
        "tags": list(entry.tags),
        "why": entry.why,
        "media_type": entry.manifest.media_type,
        "manifest": base64.b64encode(entry.manifest.data).decode(),
    }


def read_entry(fields: Mapping[str, Any], *, is_done: bool | None = None) -> Entry:
    """The inverse of `entry_form`. Raises ValueError, KeyError, TypeError or FormatError."""
    data = base64.b64decode(_text(fields["manifest"]), validate=True)
    digest = parse_digest(_text(fields["digest"]))
    hasher = Hasher(digest)
    hasher.update(data)
    if hasher.digest != digest:
        raise FormatError("another manifest")
    return Entry(
        _text(fields["action"]),
        _text(fields["rule"]),
        parse_repository(_text(fields["repository"])),
        digest,
        _tags(fields["tags"]),
        _text(fields["why"]),
        RawManifest(data, _text(fields["media_type"])),
        is_done,
    )


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise FormatError("no list of tags")
    for tag in value:
        check_tag(_text(tag))
    return tuple(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise FormatError("no text")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise FormatError("no number")
    return value


def _no_entry(path: Path, number: int) -> UsageError:
    return UsageError(
        f"{path}:{number}: this is no entry of an audit log, or it was edited",
        advice="take the file that the cleanup wrote",
    )
