"""A repository as a graph: tags point to manifests, which refer to other manifests. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.pipeline.stamp import SOURCE
from squashproxy.reference import Repository

SIGNATURE_SUFFIXES = ("", ".sig", ".att", ".sbom")
"""The suffixes of tags `sha256-HEX...` that belong to a manifest.

The referrers tag schema of the distribution specification has none; cosign has the others.
"""

_COMPANION = re.compile(r"sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")


@dataclass(frozen=True, slots=True)
class Node:
    """A manifest: its kind, the manifests it needs, and its blobs with their sizes in bytes.

    `layers` is None for an index; `is_squashed` says that this tool made the image.
    """

    digest: Digest
    media_type: str
    size: int
    kind: str
    children: tuple[Digest, ...] = ()
    subject: Digest | None = None
    layers: int | None = None
    is_squashed: bool = False
    blobs: tuple[tuple[Digest, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """What is known of a repository. Times are unix seconds.

    `untagged` are manifests without a tag, each with the time when that was first seen. `created`
    is when images were made, None if they do not say; `pushed` and `pulled` are the registry's
    dates. `names` are all listed tags, also those that point to nothing. `unclear` are manifests
    whose referrers the registry should list but did not.
    """

    repository: Repository
    tags: Mapping[str, Digest]
    nodes: Mapping[Digest, Node]
    untagged: Mapping[Digest, float] = field(default_factory=dict)
    created: Mapping[Digest, float | None] = field(default_factory=dict)
    pushed: Mapping[Digest, float] = field(default_factory=dict)
    pulled: Mapping[Digest, float] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    unclear: frozenset[Digest] = frozenset()

    @property
    def companions(self) -> dict[str, Digest]:
        """Tags that belong to another manifest (cosign's tags, lists of referrers), and that
        manifest.
        """
        found = ((tag, subject_of_tag(tag)) for tag in self.tags)
        return {tag: subject for tag, subject in found if subject is not None}

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """The same graph with further manifests."""
        return replace(self, nodes={**self.nodes, **{node.digest: node for node in nodes}})

    def referrers(self) -> dict[Digest, set[Digest]]:
        """The referrers of each manifest, by their subject field or by the name of their tag."""
        found: defaultdict[Digest, set[Digest]] = defaultdict(set)
        for node in self.nodes.values():
            if node.subject is not None:
                found[node.subject].add(node.digest)
        for tag, subject in self.companions.items():
            found[subject].add(self.tags[tag])
        return dict(found)

    def below(self, roots: Iterable[Digest]) -> set[Digest]:
        """The roots, all manifests below them, and the referrers of any of these."""
        return self._closure(roots, with_subjects=False)

    def needed_by(self, roots: Iterable[Digest]) -> set[Digest]:
        """The roots, all manifests they need, and the referrers of any of these."""
        return self._closure(roots, with_subjects=True)

    def _closure(self, roots: Iterable[Digest], *, with_subjects: bool) -> set[Digest]:
        referrers = self.referrers()
        found: set[Digest] = set()
        waiting = list(roots)
        while waiting:
            digest = waiting.pop()
            if digest in found:
                continue
            found.add(digest)
            waiting += referrers.get(digest, ())
            node = self.nodes.get(digest)
            if node is None:
                continue
            waiting += node.children
            if with_subjects and node.subject is not None:
                waiting.append(node.subject)
        return found


def subject_of_tag(tag: str) -> Digest | None:
    """The digest that a tag such as `sha256-HEX` or `sha256-HEX.sig` belongs to; None for other
    tags.
    """
    match = _COMPANION.fullmatch(tag)
    return None if match is None else Digest(f"sha256:{match[1]}")


def in_order(
    digests: Iterable[Digest], before: Callable[[Digest], Iterable[Digest]]
) -> list[Digest]:
    """Sort digests so that each comes after the digests that `before` lists for it.

    Tag names can form a circle, which is broken at an arbitrary place.
    """
    wanted = dict.fromkeys(digests)
    placed: dict[Digest, None] = {}
    begun: set[Digest] = set()
    waiting = list(reversed(wanted))
    while waiting:
        digest = waiting[-1]
        first = [each for each in before(digest) if each in wanted and each not in begun]
        if digest not in begun and first:
            begun.add(digest)
            waiting += first
            continue
        begun.add(digest)
        placed[digest] = None
        waiting.pop()
    return list(placed)


def node_of(digest: Digest, raw: RawManifest, where: str) -> Node:
    """The node of a manifest. Raises FormatError if it cannot be parsed: it may need others."""
    parsed = parse_manifest(raw, where)
    stated = parsed.document.get("subject")
    subject = None
    if isinstance(stated, Mapping):
        try:
            subject = parse_digest(str(stated.get("digest")))
        except FormatError as error:
            raise FormatError(f"{where}: its subject: {error}") from error
    children: tuple[Digest, ...] = ()
    blobs: tuple[tuple[Digest, int], ...] = ()
    layers = None
    kind = "index"
    if isinstance(parsed, ImageIndex):
        children = tuple(child.descriptor.digest for child in parsed.children)
    else:
        blobs = tuple((blob.digest, blob.size) for blob in (parsed.config, *parsed.layers))
        layers = len(parsed.layers)
        kind = "image" if parsed.is_image else parsed.kind
    return Node(
        digest,
        parsed.raw.media_type,
        len(raw.data),
        kind,
        children,
        subject,
        layers,
        is_squashed=SOURCE in parsed.annotations,
        blobs=blobs,
    )
