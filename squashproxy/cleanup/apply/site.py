"""Site: the things that all steps of a rule in one repository share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.cancellation import Cancellation
from squashproxy.cleanup.apply.audit_log import AuditTrail, Entry
from squashproxy.cleanup.graph import Node, node_of
from squashproxy.cleanup.results import Step
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.reference import Repository
from squashproxy.registry.client import RemoteRepository
from squashproxy.state.tags import TagMemory


class Stopped(SquashproxyError):
    """The run was asked to stop, and did so between two steps."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(f"{repository}: stopped between two steps; apply again to go on")


@dataclass(frozen=True, slots=True)
class Site:
    """One repository under one rule; `tell` is called with each step, `now` gives unix seconds."""

    remote: RemoteRepository
    rule: str
    log: AuditTrail
    tags: TagMemory
    now: Callable[[], float]
    cancellation: Cancellation
    tell: Callable[[Step], None]

    @property
    def repository(self) -> Repository:
        """Its name."""
        return self.remote.name

    def check_stopped(self) -> None:
        """Raise Stopped where no further step may begin."""
        if self.cancellation.is_stopping:
            raise Stopped(self.repository)

    def read_node(self, digest: Digest) -> Node:
        """A manifest as a node of the graph, from the cache where it was read before."""
        raw = self.remote.get_manifest(digest)
        return node_of(digest, raw, f"the manifest {digest} of {self.repository}")

    def begin(self, action: str, digest: Digest, tags: tuple[str, ...], why: str) -> int:
        """Write into the audit log what is about to happen; returns the entry's number. Raises
        NotFound.
        """
        raw = self.remote.get_manifest(digest)
        return self.log.begin(Entry(action, self.rule, self.repository, digest, tags, why, raw))
