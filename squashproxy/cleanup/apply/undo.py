"""Undoing a cleanup while the registry still has the blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.cleanup.apply.audit_log import Entry
from squashproxy.cleanup.provenance import is_made_from
from squashproxy.cleanup.results import Step, StepOutcome
from squashproxy.digest import Digest
from squashproxy.errors import RegistryError, SquashproxyError
from squashproxy.registry.client import RegistryClient


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What was put back; `failures` counts what could not be."""

    steps: tuple[Step, ...]
    failures: int


def undo(client: RegistryClient, entries: Sequence[Entry]) -> UndoResult:
    """Put manifests back, children first, then their tags where these point to nothing else now.

    A logged step that was not carried out needs no undo. An entry that fails does not stop the
    others.
    """
    steps: list[Step] = []
    failures = 0
    for entry in reversed(entries):
        if entry.is_done is False:
            continue
        try:
            steps += _put_back(client, entry)
        except SquashproxyError as error:
            failures += 1
            steps.append(Step("undo", entry.digest, entry.tags, StepOutcome.FAILED, _reason(error)))
    return UndoResult(tuple(steps), failures)


def _put_back(client: RegistryClient, entry: Entry) -> list[Step]:
    remote = client.repository(entry.repository)
    if remote.find_manifest(entry.digest) is None:
        remote.put_manifest(entry.manifest, entry.digest)
    free: list[str] = []
    steps: list[Step] = []
    for tag in entry.tags:
        found = remote.find_manifest(tag)
        if found is None or _is_ours(client, entry, found.digest):
            remote.put_manifest(entry.manifest, tag)
            free.append(tag)
        elif found.digest != entry.digest:
            why = f"{remote.name}:{tag} points to something newer, which was left"
            steps.append(Step("undo", entry.digest, (tag,), StepOutcome.LEFT, why))
    return [Step("undo", entry.digest, tuple(free), StepOutcome.RESTORED, entry.why), *steps]


def _is_ours(client: RegistryClient, entry: Entry, digest: Digest) -> bool:
    """Whether a tag points to the image that the cleanup itself squashed from this manifest."""
    return entry.action == "squash" and is_made_from(client, entry.repository, digest, entry.digest)


def _reason(error: SquashproxyError) -> str:
    if isinstance(error, RegistryError) and error.status in (400, 404):
        return f"{error}; its blobs are gone, most likely to the registry's garbage collection"
    return str(error)
