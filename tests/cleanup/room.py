"""A registry to clean up, what is in it, and its garbage collector."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from squashproxy.cancellation import Cancellation
from squashproxy.cleanup.apply.apply import Applier
from squashproxy.cleanup.apply.audit_log import AuditLog
from squashproxy.cleanup.apply.saved import SavedApplier, check_saved
from squashproxy.cleanup.apply.squash_in_place import InPlaceSquasher
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.cleanup.plan import RulePlan
from squashproxy.cleanup.repository_planner import LocalRepositoryPlanner
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.cleanup.rule_planner import Planner, apply_plan
from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.read import parse_configuration
from squashproxy.database import Database
from squashproxy.digest import Digest
from squashproxy.location import Location
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import Family
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import SilentObserver
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.state.database import open_state
from squashproxy.state.manifests import ManifestMemory
from squashproxy.state.tags import TagMemory
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder, RegistryOptions
from squashproxy.testing.images import BuiltImage
from squashproxy.transports.registry import RegistrySource

NOW = 1_800_000_000.0
DAY = 86400.0


def image(
    seed: object, created: str = "2026-01-01T00:00:00Z", family: Family = Family.OCI
) -> BuiltImage:
    """A small image of three layers, the first shared by all."""
    builder = ImageBuilder(family, fields={"created": created})
    for number in range(3):
        content = b"base" if number == 0 else f"{seed}-{number}".encode()
        builder.layer(LayerBuilder().file(f"f{number}", content * 50))
    return builder.build()


def rule(text: str, host: str) -> CleanupRule:
    """A rule, from the YAML of its keys but for the name."""
    lines = "\n".join(f"    {line}" for line in text.strip().splitlines())
    document = f"cleanup:\n  - name: old\n{lines}\n".replace("HOST", host)
    (found,) = parse_configuration(document, "rule.yml", Path(), {}).cleanup
    return found


@dataclass(slots=True)
class Room:
    """A repository and all that cleaning it up takes; `clock` is in unix seconds."""

    registry: FakeRegistry
    client: RegistryClient
    database: Database
    folder: Path
    clock: float = NOW
    path: str = "app"
    on_step: Callable[[str], None] = lambda _: None
    logs: list[Path] = field(default_factory=list)

    @property
    def graph_loader(self) -> GraphLoader:
        return GraphLoader(
            self.client, ManifestMemory(self.database, lambda: self.clock), TagMemory(self.database)
        )

    @property
    def repository(self) -> Repository:
        return Repository(self.registry.host, self.path)

    def rule(self, text: str) -> CleanupRule:
        return rule(f'repositories: ["HOST/{self.path}"]\n{text}', self.registry.host)

    def plan(self, text: str) -> RulePlan:
        planner = self.planner()
        return planner.plan(self.rule(text))

    def apply(self, plan: RulePlan) -> RepositoryResult:
        (result,) = self.apply_all(plan)
        return result

    def apply_all(self, plan: RulePlan) -> list[RepositoryResult]:
        with self._applier() as applier:
            return apply_plan(plan, applier, CopyOptions())

    def apply_saved(self, plan: RulePlan, text: str) -> RepositoryResult:
        """Apply a plan as the command does that reads it from a file."""
        rule = check_saved(plan, [self.rule(text)], self.clock)
        planner = self.planner()
        with self._applier() as applier:
            (result,) = SavedApplier(self.client, applier, planner, CopyOptions()).apply(plan, rule)
        return result

    def planner(self) -> Planner:
        loader = self.graph_loader
        return Planner(self.client, loader, LocalRepositoryPlanner(loader), lambda: self.clock)

    @contextmanager
    def _applier(self) -> Iterator[Applier]:
        squasher = InPlaceSquasher(
            self.client, self._open, self._open, SilentObserver(), Cancellation()
        )
        self.logs.append(self.folder / f"{len(self.logs)}.jsonl")
        with AuditLog(self.folder, self.logs[-1].name) as log:
            yield Applier(
                self.client,
                self.graph_loader,
                TagMemory(self.database),
                squasher,
                log,
                lambda: self.clock,
                Cancellation(),
                lambda _, step: self.on_step(step.outcome),
            )

    def intervene(self, act: Callable[[], object], method: str, path: str, skip: int = 0) -> None:
        """Act once, right before a request is answered whose path matches the expression."""
        left = skip

        def watch(asked: str, where: str) -> None:
            nonlocal left
            if self.logs and asked == method and re.search(path, where):
                left -= 1
                if left == -1:
                    act()

        self.registry.before_each(watch)

    def point(self, tag: str, digest: str) -> None:
        """Let a tag point to a manifest that is there, as a rollback does."""
        raw = self.registry.manifest(self.path, digest)
        self.registry.put_manifest(self.path, tag, raw.data, raw.media_type)

    def clean(self, text: str) -> RepositoryResult:
        return self.apply(self.plan(text))

    def _open(self, location: Location) -> RegistrySource:
        assert isinstance(location, Reference)
        return RegistrySource(self.client, location)


@contextmanager
def room_maker(folder: Path) -> Iterator[Callable[..., Room]]:
    """Make registries with these options, and what cleans them up; all end with the block."""
    with ExitStack() as stack:

        def make(**options: Any) -> Room:
            registry = stack.enter_context(FakeRegistry(RegistryOptions(**options)))
            database = stack.enter_context(open_state(None))
            client = RegistryClient(
                ClientOptions(retry_for=0.0),
                environ={},
                sleep=lambda _: None,
                cache=ManifestMemory(database, lambda: NOW),
            )
            stack.enter_context(client)
            return Room(registry, client, database, folder)

        yield make


@dataclass(frozen=True, slots=True)
class Held:
    """All that a repository held at a moment."""

    tags: dict[str, Digest]
    manifests: dict[Digest, RawManifest]

    def needs(self, digest: Digest) -> set[Digest]:
        """A manifest, what it holds and what it refers to, as far as they are there."""
        found: set[Digest] = set()
        waiting = [digest]
        while waiting:
            each = waiting.pop()
            if each in found or each not in self.manifests:
                continue
            found.add(each)
            document = json.loads(self.manifests[each].data)
            waiting += [Digest(child["digest"]) for child in document.get("manifests", [])]
            if "subject" in document:
                waiting.append(Digest(document["subject"]["digest"]))
        return found

    def referrers(self, digest: Digest) -> set[Digest]:
        """What refers to a manifest: by its subject, or by the name of a tag."""
        by_subject = {
            each
            for each, raw in self.manifests.items()
            if json.loads(raw.data).get("subject", {}).get("digest") == digest
        }
        prefix = digest.replace(":", "-")
        return by_subject | {at for tag, at in self.tags.items() if tag.startswith(prefix)}


def held(registry: FakeRegistry, repo: str = "app") -> Held:
    digests = registry.manifests(repo)
    return Held(registry.tags(repo), {each: registry.manifest(repo, each) for each in digests})


def pulls_whole(registry: FakeRegistry, digest: Digest, repo: str = "app") -> bool:
    """Whether a manifest and all that it holds are there."""
    try:
        document = json.loads(registry.manifest(repo, digest).data)
    except LookupError:
        return False
    children = [Digest(child["digest"]) for child in document.get("manifests", [])]
    blobs = [*(document.get("layers") or []), *filter(None, [document.get("config")])]
    return all(pulls_whole(registry, child, repo) for child in children) and all(
        blob["digest"] in registry.blobs(repo) for blob in blobs
    )
