"""A repository as a graph: tags point to manifests, which refer to other manifests. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.oci.platform import Platform
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

    `layers` is None for an index; `is_squashed` says that this tool made the image. Of an index,
    `blobs` are those that it lists itself, as the cache of BuildKit does, `attested` says that it
    holds attestations, and `platforms` are those that it states for its children.
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
    attested: bool = False
    platforms: Mapping[Digest, Platform] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """What is known of a repository. Times are unix seconds.

    `untagged` are manifests without a tag, each with the time when that was first seen. `created`
    is when images were made, None if they do not say; `pushed` and `pulled` are the registry's
    dates. `names` are all listed tags, also those that point to nothing. `unclear` are manifests
    whose referrers the registry should list but did not. `systems` are those of images that are
    for another system than Linux, as far as that was looked up.
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
    systems: Mapping[Digest, str] = field(default_factory=dict)

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

    def held_by(self, digest: Digest) -> list[Node]:
        """The manifest and all that it lists, also in indexes in it; each once, indexes first."""
        found: dict[Digest, Node] = {}
        waiting = [digest]
        while waiting:
            node = self.nodes.get(waiting.pop())
            if node is not None and node.digest not in found:
                found[node.digest] = node
                waiting += reversed(node.children)
        return list(found.values())

    def absent_from(self, digest: Digest) -> list[Digest]:
        """What an index, or one in it, lists and the repository does not hold."""
        listed = (child for node in self.held_by(digest) for child in node.children)
        return [child for child in dict.fromkeys(listed) if child not in self.nodes]

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
    layers = None
    attested = False
    platforms: dict[Digest, Platform] = {}
    kind = parsed.kind
    if isinstance(parsed, ImageIndex):
        listed = [child.descriptor for child in parsed.children if not child.is_manifest]
        manifests = [child for child in parsed.children if child.is_manifest]
        children = tuple(child.descriptor.digest for child in manifests)
        attested = any(child.is_attestation for child in manifests)
        platforms = {
            child.descriptor.digest: child.platform
            for child in manifests
            if child.platform is not None
        }
    else:
        listed = [parsed.config, *parsed.layers]
        layers = len(parsed.layers)
        kind = "image" if parsed.is_image else parsed.kind
    blobs = tuple((blob.digest, blob.size) for blob in listed)
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
        attested=attested,
        platforms=platforms,
    )
