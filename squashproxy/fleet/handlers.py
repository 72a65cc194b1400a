"""The work that workers do, given to them from outside: a function for each kind of job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

from squashproxy.cancellation import Cancellation
from squashproxy.fleet.job import JobBody, JobKind
from squashproxy.progress import Observer

if TYPE_CHECKING:
    from squashproxy.fleet.fleet import Fleet

Handler: TypeAlias = Callable[[JobBody, Observer, Cancellation], Mapping[str, Any]]
"""Does a job: takes its body, and gives its result as a JSON object.

It may run more than once for one job, so it must be idempotent. It raises errors of the tree in
squashproxy/errors.py, and Cancelled soon after it was cancelled.
"""

Handlers: TypeAlias = Mapping[JobKind, Handler]

OpenHandlers: TypeAlias = Callable[["Fleet"], AbstractContextManager[Handlers]]
"""Opens the handlers of a worker process, once, with a fleet of its own for rates and journals."""
