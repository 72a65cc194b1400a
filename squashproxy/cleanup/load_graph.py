"""Loading a repository's graph from its registry.

Any error ends the loading, since a manifest that could not be read may need others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from squashproxy.catalog.dates import created_at
from squashproxy.catalog.tags import resolve_tags, side_by_side
from squashproxy.cleanup.graph import Graph, Node, node_of
from squashproxy.cleanup.harbor_dates import harbor_dates
from squashproxy.cleanup.retention import NOTHING_IN_USE, InUse
from squashproxy.config.cleanup import Keep
from squashproxy.digest import Digest
from squashproxy.errors import (
    FormatError,
    IntegrityError,
    NotFound,
    ReferrersUnknown,
    SquashproxyError,
    UsageError,
)
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import parse_json_object
from squashproxy.oci.platform import other_system
from squashproxy.progress import Tally, silent_tally
from squashproxy.reference import Repository, is_tag
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.tags import TagList
from squashproxy.rules.patterns import Pattern
from squashproxy.state.manifests import ManifestMemory
from squashproxy.state.tags import TagMemory
from squashproxy.transports.documents import read_document


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parts of the graph that a rule needs; each costs requests."""

    created: bool
    pushed: bool
    pulled: bool
    names: frozenset[str] = frozenset()
    """Tags that are asked for by name, to notice a list that lacks them."""


def wanted_by(keep: Keep) -> Wanted:
    """The parts of the graph that a rule needs."""
    return Wanted(
        names=frozenset(each.text for each in keep.tags if _is_tag(each)),
        created=keep.newest is not None or keep.younger_than is not None,
        pushed=keep.pushed_within is not None,
        pulled=keep.pulled_within is not None,
    )


def _is_tag(pattern: Pattern) -> bool:
    return not pattern.is_wild and is_tag(pattern.text)


class GraphLoader:
    """Loads graphs with several requests at once. Manifests are cached between runs."""

    def __init__(
        self,
        client: RegistryClient,
        manifests: ManifestMemory,
        tags: TagMemory,
        tally: Tally = silent_tally,
    ) -> None:
        self._tally = tally
        self._client = client
        self._manifests = manifests
        self._tags = tags

    def tags(self, repository: Repository) -> tuple[TagList, dict[str, Digest]]:
        """The listed tags, and what each points to. Raises RegistryError and FormatError."""
        remote = self._client.repository(repository)
        listed = remote.list_tags()
        before = self._tags.tags(repository)
        return listed, resolve_tags(remote, listed.tags, self._manifests, before, self._tally)

    def has_no_tags(self, repository: Repository) -> bool:
        """Whether the registry knows no tags of a repository, as it may of one without any.

        Distribution answers 404 NAME_UNKNOWN to the list of tags of a repository that it lists.
        """
        try:
            self._client.repository(repository).list_tags()
        except NotFound:
            return True
        except SquashproxyError:
            return False
        return False

    def graph(
        self,
        repository: Repository,
        wanted: Wanted,
        now: float,
        in_use: InUse = NOTHING_IN_USE,
    ) -> Graph:
        """The graph without the referrers that only the registry's API lists.

        Tags and manifests that lose their tag are remembered between runs. Raises RegistryError and
        FormatError, also where a tag that `wanted` or an earlier run names exists but is not
        listed, or an image in use does not exist.
        """
        remote = self._client.repository(repository)
        before = self._tags.tags(repository)
        listed, tags = self.tags(repository)
        self._check_whole(remote, listed, sorted({*wanted.names, *in_use.tags, *before}))
        self._check_in_use(remote, in_use)
        self._tags.note(repository, tags, now)
        pushed = {
            each.digest: each.uploaded for each in listed.manifests if each.uploaded is not None
        }
        pulled: dict[Digest, float] = {}
        if wanted.pulled or (wanted.pushed and not pushed):
            pushed, pulled = self._told_dates(remote, wanted)
        for each in listed.manifests:
            if not each.tags:
                self._tags.note_untagged(repository, each.digest, each.uploaded or now)
        untagged = self._still_there(remote)
        nodes = self._nodes(remote, [*tags.values(), *untagged, *in_use.digests])
        names = frozenset(listed.tags)
        graph = Graph(repository, tags, nodes, untagged, {}, pushed, pulled, names)
        if not wanted.created:
            return graph
        return replace(graph, created=self._created(remote, graph))

    def with_referrers(self, graph: Graph, digests: Iterable[Digest]) -> Graph:
        """The same graph with the referrers of these manifests, and their referrers in turn.

        Each manifest is asked for, even where the registry lists no referrers for the first: some
        registries answer differently for different digests.
        """
        remote = self._client.repository(graph.repository)

        def referrers(digest: Digest) -> tuple[Descriptor, ...] | None:
            try:
                return remote.list_referrers(digest)
            except ReferrersUnknown:
                unclear.add(digest)
                return None

        unclear: set[Digest] = set()
        waiting = sorted(set(digests) & graph.nodes.keys())
        asked: dict[Digest, bool] = {}
        while waiting:
            label = f"{graph.repository.path}: referrers"
            lists = side_by_side(referrers, waiting, tally=self._tally, label=label)
            asked |= {digest: each is not None for digest, each in zip(waiting, lists, strict=True)}
            found = {each.digest for listed in lists for each in listed or ()}
            graph = graph.with_nodes(self._nodes(remote, found).values())
            waiting = sorted(found - asked.keys())
        if any(asked.values()):
            unclear |= {digest for digest, is_listed in asked.items() if not is_listed}
        return replace(graph, unclear=frozenset(unclear))

    def with_systems(self, graph: Graph, images: Iterable[Node]) -> Graph:
        """The same graph with the systems of those images that are not for Linux.

        Costs the config of those for which no index states a platform; of the others, the copy will
        look at it. Raises RegistryError.
        """
        remote = self._client.repository(graph.repository)
        stated = {
            child: platform
            for node in graph.nodes.values()
            for child, platform in node.platforms.items()
        }

        def look(image: Node) -> str | None:
            told = stated.get(image.digest)
            return other_system(_config_of(remote, image) if told is None else {}, told)

        wanted = list(images)
        label = f"{graph.repository.path}: configs"
        found = side_by_side(look, wanted, tally=self._tally, label=label)
        systems = {
            image.digest: system
            for image, system in zip(wanted, found, strict=True)
            if system is not None
        }
        return replace(graph, systems={**graph.systems, **systems})

    def _check_whole(self, remote: RemoteRepository, listed: TagList, names: Sequence[str]) -> None:
        """Raise FormatError where a tag exists that the list lacks: it may lack others, too."""
        known = set(listed.tags)
        unlisted = [name for name in names if name not in known]
        for name, found in zip(unlisted, side_by_side(remote.find_manifest, unlisted), strict=True):
            if found is not None:
                raise FormatError(
                    f"{remote.name.host} does not list the tag {name} of {remote.name.path}, "
                    "although it is there, so its list is not whole; nothing can be planned by it"
                )

    def _check_in_use(self, remote: RemoteRepository, in_use: InUse) -> None:
        """Raise NotFound where an image in use does not exist: what it needs is unknown then."""
        digests = list(in_use.digests)
        for digest, found in zip(digests, side_by_side(remote.find_manifest, digests), strict=True):
            if found is None:
                raise NotFound(
                    f"{in_use.digests[digest]} says that {digest} of {remote.name} is in use, "
                    "but it is not there, so nobody knows what it needs",
                    advice="take it out of that list, or push it again",
                    status=404,
                )

    def _nodes(self, remote: RemoteRepository, roots: Iterable[Digest]) -> dict[Digest, Node]:
        """The manifests and all below them. A child that an index names and that does not exist is
        left out.
        """
        nodes: dict[Digest, Node] = {}
        missing: set[Digest] = set()
        waiting = list(dict.fromkeys(roots))
        top = set(waiting)

        def read(digest: Digest) -> Node | None:
            try:
                raw = remote.get_manifest(digest)
            except NotFound:
                if digest in top:
                    raise
                return None
            return node_of(digest, raw, f"the manifest {digest} of {remote.name}")

        while waiting:
            for digest, node in zip(waiting, side_by_side(read, waiting), strict=True):
                if node is None:
                    missing.add(digest)
                else:
                    nodes[digest] = node
            held = [nodes[digest].children for digest in waiting if digest in nodes]
            known = nodes.keys() | missing
            waiting = [child for child in dict.fromkeys(chain(*held)) if child not in known]
        return nodes

    def _still_there(self, remote: RemoteRepository) -> dict[Digest, float]:
        """The untagged manifests that the repository still holds, found by a HEAD each."""
        known = self._tags.untagged(remote.name)
        found = side_by_side(remote.find_manifest, known)
        for digest, descriptor in zip(known, found, strict=True):
            if descriptor is None:
                self._tags.forget_untagged(remote.name, digest)
        return {
            digest: since
            for (digest, since), descriptor in zip(known.items(), found, strict=True)
            if descriptor is not None
        }

    def _created(self, remote: RemoteRepository, graph: Graph) -> Mapping[Digest, float | None]:
        """The dates of all tagged images. One that cannot be read has none, and so it is kept."""
        companions = graph.companions
        digests = list(
            dict.fromkeys(digest for tag, digest in graph.tags.items() if tag not in companions)
        )

        def look(digest: Digest) -> float | None:
            try:
                return created_at(remote, digest, self._manifests)
            except FormatError:
                return None

        label = f"{graph.repository.path}: dates"
        dates = side_by_side(look, digests, tally=self._tally, label=label)
        return dict(zip(digests, dates, strict=True))

    def _told_dates(
        self, remote: RemoteRepository, wanted: Wanted
    ) -> tuple[dict[Digest, float], dict[Digest, float]]:
        if remote.is_harbor():
            return harbor_dates(remote)
        word = "pulled" if wanted.pulled else "pushed"
        raise UsageError(
            f"{remote.name.host} does not tell when an image was {word}",
            advice="write younger_than, which goes by the image's own date",
        )


def _config_of(remote: RemoteRepository, image: Node) -> Mapping[str, object]:
    """The config of an image; empty where it is absent or cannot be read: a copy will say so."""
    digest, size = image.blobs[0]
    where = f"the config of {image.digest} of {remote.name}"
    try:
        data = read_document(remote.iter_blob, Descriptor("", digest, size), where)
        return parse_json_object(data, where)
    except (NotFound, FormatError, IntegrityError):
        return {}
