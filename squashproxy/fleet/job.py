"""A job: what is asked of the workers, and what becomes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

JobBody = Mapping[str, Any]
"""A JSON object."""

_ID_LENGTH = 24


class JobKind(Enum):
    """The kinds of jobs; each has a handler in the workers."""

    PROMOTE = "promote"
    """Copy the image of one step of a promotion."""
    SQUASH = "squash"
    """Squash one image into the store of the server."""
    SCAN = "scan"
    """Find out what a promotion rule does in one source repository."""
    PLAN = "plan"
    """Plan the cleanup of one repository."""
    APPLY = "apply"
    """Apply the plan of one repository."""


class QueueName(Enum):
    """The queues; workers take from the first before the second."""

    INTERACTIVE = "interactive"
    """Somebody waits for it, as for a pull."""
    BULK = "bulk"
    """Everything else."""


class JobState(Enum):
    """The states of a job. Queued and running jobs are live; the others are over."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    PARKED = "parked"
    """It ended its worker too often, and waits for `squashproxy jobs --retry`."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to run. Two requests of one kind and key are the same job, which runs once.

    `key` names all that decides the result, as source digest, options and target do. `title` is a
    few words for people. `body` is what the handler gets: JSON without credentials or keys.
    """

    kind: JobKind
    key: str
    title: str
    body: JobBody = field(default_factory=dict)
    queue: QueueName = QueueName.BULK

    @property
    def id(self) -> str:
        """The ID of the job: hexadecimal, the same wherever it is asked for."""
        text = f"{self.kind.value}\0{self.key}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_ID_LENGTH]
