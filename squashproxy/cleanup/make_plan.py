"""Making the plan of one repository from its graph and the decision on its tags. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from squashproxy.cleanup.graph import Graph, Node, in_order
from squashproxy.cleanup.plan import KeptTag, Removal, RepositoryPlan, Squash, Untag
from squashproxy.cleanup.retention import Decision, InUse
from squashproxy.config.cleanup import Action, CleanupRule
from squashproxy.digest import Digest
from squashproxy.pipeline.image import why_unmerged
from squashproxy.pipeline.options import BaseChoice

_IMAGES = ("image", "index")
_EXPIRED = "it has had no tag for longer than the rule allows"
_UNCLEAR = "its registry does not say what refers to it"


def make_plan(
    graph: Graph, decision: Decision, rule: CleanupRule, in_use: InUse, heads: Collection[Digest]
) -> RepositoryPlan:
    """The plan for one repository. Everything that a remaining manifest needs stays.

    `heads` are the candidates for deletion (see `find_heads`). The graph must hold the referrers of
    everything below them.
    """
    return _Planner(graph, decision, rule, in_use, heads).plan()


class _Planner:
    def __init__(
        self,
        graph: Graph,
        decision: Decision,
        rule: CleanupRule,
        in_use: InUse,
        heads: Collection[Digest],
    ) -> None:
        self._graph = graph
        self._decision = decision
        self._rule = rule
        self._heads = set(heads) & graph.nodes.keys()
        below = graph.below(self._heads)
        self._needed = self._find_needed(below, in_use)
        self._going = below - self._needed

    def plan(self) -> RepositoryPlan:
        graph = self._graph
        squashes, left = self._squashes()
        removals = self._removals()
        gone = [graph.nodes[each.digest] for each in removals]
        staying = [node for node in graph.nodes.values() if node.digest not in self._going]
        blobs = _sizes(graph.nodes.values())
        return RepositoryPlan(
            repository=str(graph.repository),
            tags=dict(sorted(graph.tags.items())),
            kept=tuple(
                KeptTag(tag, graph.tags[tag], why) for tag, why in self._decision.kept.items()
            ),
            untag=tuple(self._untags()),
            remove=removals,
            squash=squashes,
            left=left,
            manifests=len(graph.nodes),
            bytes=sum(blobs.values()),
            freed_bytes=sum(blobs[blob] for blob in _sizes(gone).keys() - _sizes(staying).keys()),
        )

    @property
    def _squashing(self) -> bool:
        return self._rule.action is Action.SQUASH

    def _find_needed(self, below: set[Digest], in_use: InUse) -> set[Digest]:
        """The manifests to keep: those reachable from a root that is not to be deleted."""
        graph = self._graph
        roots = {graph.tags[tag] for tag in self._decision.kept}
        roots |= graph.untagged.keys() - self._heads
        roots |= in_use.digests.keys()
        roots |= graph.unclear
        roots |= graph.nodes.keys() - below
        if self._squashing:
            roots |= {graph.tags[tag] for tag in self._decision.candidates}
        return graph.needed_by(roots)

    def _removals(self) -> tuple[Removal, ...]:
        order = _parents_first(self._graph, self._going)
        by_digest = self._tags_by_digest()
        return tuple(
            Removal(
                node.digest,
                node.media_type,
                node.size,
                node.kind,
                tuple(by_digest.get(node.digest, ())),
                self._why(node.digest, by_digest),
            )
            for node in order
        )

    def _why(self, digest: Digest, tags: dict[Digest, list[str]]) -> str:
        if digest in self._heads:
            return "no reason keeps its tags" if digest in tags else _EXPIRED
        return "only what goes needs it"

    def _untags(self) -> Iterable[Untag]:
        """Candidates whose image is needed by others: only the tag is deleted."""
        if self._squashing:
            return
        for tag in self._decision.candidates:
            digest = self._graph.tags[tag]
            if digest in self._needed and not self._is_unclear(digest):
                yield Untag(tag, digest, "what it points to is needed by what stays")

    def _is_unclear(self, digest: Digest) -> bool:
        """Whether the referrers of an image, or of one of its platforms, cannot be determined."""
        held = (node.digest for node in self._graph.held_by(digest))
        return not self._graph.unclear.isdisjoint(held)

    def _unclear(self) -> tuple[KeptTag, ...]:
        tags = ((tag, self._graph.tags[tag]) for tag in self._decision.candidates)
        return tuple(
            KeptTag(tag, digest, _UNCLEAR) for tag, digest in tags if self._is_unclear(digest)
        )

    def _squashes(self) -> tuple[tuple[Squash, ...], tuple[KeptTag, ...]]:
        if not self._squashing:
            return (), self._unclear()
        squashes: list[Squash] = []
        left: list[KeptTag] = []
        referrers = self._graph.referrers()
        by_digest: dict[Digest, list[str]] = {}
        for tag in self._decision.candidates:
            by_digest.setdefault(self._graph.tags[tag], []).append(tag)
        for digest, tags in by_digest.items():
            why = _why_not(self._graph, digest, referrers, self._rule.base)
            if why is None:
                squashes.append(Squash(digest, tuple(tags), self._weight(digest)))
            else:
                left += [KeptTag(tag, digest, why) for tag in tags]
        return tuple(squashes), tuple(left)

    def _weight(self, digest: Digest) -> int:
        return sum(_sizes(self._graph.held_by(digest)).values())

    def _tags_by_digest(self) -> dict[Digest, list[str]]:
        found: dict[Digest, list[str]] = {}
        for tag, digest in sorted(self._graph.tags.items()):
            found.setdefault(digest, []).append(tag)
        return found


def find_heads(graph: Graph, decision: Decision, rule: CleanupRule, now: float) -> set[Digest]:
    """The candidates for deletion: images of tags that the rule does not keep, and manifests that
    have been untagged for long enough.
    """
    kept = {graph.tags[tag] for tag in decision.kept}
    heads: set[Digest] = set()
    if rule.action is Action.DELETE:
        heads |= {graph.tags[tag] for tag in decision.candidates} - kept
    if rule.untagged is not None:
        tagged = set(graph.tags.values())
        heads |= {
            digest
            for digest, since in graph.untagged.items()
            if digest not in tagged and now - since >= rule.untagged.older_than
        }
    return heads & graph.nodes.keys()


def to_squash(graph: Graph, decision: Decision, rule: CleanupRule) -> list[Node]:
    """The images that a rule would squash, as far as the graph tells now: their systems, which
    decide as well, need not be looked up yet.
    """
    if rule.action is not Action.SQUASH:
        return []
    referrers = graph.referrers()
    digests = dict.fromkeys(graph.tags[tag] for tag in decision.candidates)
    found = {
        node.digest: node
        for digest in digests
        if _why_not(graph, digest, referrers, rule.base) is None
        for node in graph.held_by(digest)
        if node.layers is not None
    }
    return list(found.values())


def _why_not(
    graph: Graph, digest: Digest, referrers: dict[Digest, set[Digest]], base: BaseChoice
) -> str | None:
    """Why an image cannot be squashed in place; None if it can."""
    return next(_iter_objections(graph, digest, referrers, base), None)


def _iter_objections(
    graph: Graph, digest: Digest, referrers: dict[Digest, set[Digest]], base: BaseChoice
) -> Iterator[str]:
    """Yield the reasons against squashing an image in place, the gravest first."""
    node = graph.nodes[digest]
    images = graph.held_by(digest)
    if node.is_squashed:
        yield "it is squashed"
    if any(image.digest in referrers or image.attested for image in images):
        yield "it is signed or attested, and squashing would leave that behind"
    if any(image.digest in graph.unclear for image in images):
        yield _UNCLEAR
    if node.kind not in _IMAGES:
        yield f"it is no image but {node.kind}"
    if any(image.kind not in _IMAGES for image in images):
        yield "it holds what is no image"
    for absent in graph.absent_from(digest):
        yield f"its index names {absent}, which is not there"
    layered = [image for image in images if not _is_flat(image, base)]
    if not layered:
        yield "it is squashed"
    elif all(image.digest in graph.systems for image in layered):
        yield f"it {why_unmerged(graph.systems[layered[0].digest])}"


def _is_flat(node: Node, base: BaseChoice) -> bool:
    """Whether an image has at most one layer above the smallest possible base."""
    if node.layers is None:
        return True
    return node.layers <= base.least_layers + 1


def _parents_first(graph: Graph, going: set[Digest]) -> list[Node]:
    """Order deletions so that an image comes before its children and referrers.

    If the image is left in the end because of a push, these are then still there, and are left too.
    """
    parents: dict[Digest, list[Digest]] = {}
    referrers = graph.referrers()
    for digest in sorted(going):
        node = graph.nodes.get(digest)
        held = () if node is None else node.children
        for below in (*held, *sorted(referrers.get(digest, ()))):
            parents.setdefault(below, []).append(digest)
    order = in_order(sorted(going & graph.nodes.keys()), lambda each: parents.get(each, ()))
    return [graph.nodes[digest] for digest in order]


def _sizes(nodes: Iterable[Node]) -> dict[Digest, int]:
    """The sizes of the manifests' blobs, each blob once."""
    return {blob: size for node in nodes for blob, size in node.blobs}
