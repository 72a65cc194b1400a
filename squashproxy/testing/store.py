"""The content of a fake registry: repositories with their blobs, manifests and tags."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from squashproxy.digest import Digest, digest_of
from squashproxy.oci.manifest import RawManifest
from squashproxy.testing.answers import Code, Refusal
from squashproxy.testing.content import Content, Contents


@dataclass(slots=True)
class HeldRepository:
    """One repository. Each has its own set of blobs, so a blob of another one must be mounted."""

    blobs: set[Digest] = field(default_factory=set)
    manifests: dict[Digest, RawManifest] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)


class Store:
    """All repositories of a registry; safe to use from many threads.

    Methods that read something raise Refusal, ready to be sent, if it does not exist.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self._repositories: dict[str, HeldRepository] = {}
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """The names of the repositories, sorted."""
        with self._lock:
            return sorted(self._repositories)

    def create(self, repo: str) -> None:
        """Make an empty repository, unless it exists."""
        with self._lock:
            self._repositories.setdefault(repo, HeldRepository())

    def blobs(self, repo: str) -> frozenset[Digest]:
        """The digests of the blobs that a repository holds."""
        with self._lock:
            return frozenset(self._repositories.get(repo, HeldRepository()).blobs)

    def tags(self, repo: str) -> dict[str, Digest]:
        """The tags of a repository, sorted by name. Raises Refusal (NAME_UNKNOWN)."""
        with self._lock:
            return dict(sorted(self._known(repo).tags.items()))

    def manifests(self, repo: str) -> dict[Digest, RawManifest]:
        """The manifests of a repository, in the order in which they were pushed."""
        with self._lock:
            return dict(self._repositories.get(repo, HeldRepository()).manifests)

    def blob(self, repo: str, digest: Digest) -> Content:
        """A blob. Raises Refusal (BLOB_UNKNOWN) if the repository does not hold it."""
        with self._lock:
            if digest not in self.blobs(repo):
                raise Refusal(Code.BLOB_UNKNOWN, f"{repo} holds no blob {digest}")
            return self.contents[digest]

    def link_blob(self, repo: str, digest: Digest) -> None:
        """Make a stored blob part of a repository."""
        with self._lock:
            self._repositories.setdefault(repo, HeldRepository()).blobs.add(digest)

    def add_blob(self, repo: str, pieces: Iterable[bytes]) -> Digest:
        """Store a blob and return its digest."""
        draft = self.contents.draft()
        draft.append(pieces)
        digest = draft.digest()
        self.contents.keep(draft, digest)
        self.link_blob(repo, digest)
        return digest

    def delete_blob(self, repo: str, digest: Digest) -> None:
        """Remove a blob from a repository. Raises Refusal (BLOB_UNKNOWN)."""
        with self._lock:
            self.blob(repo, digest)
            self._repositories[repo].blobs.remove(digest)

    def manifest(self, repo: str, selector: str) -> tuple[Digest, RawManifest]:
        """A manifest by tag or digest. Raises Refusal (NAME_UNKNOWN or MANIFEST_UNKNOWN)."""
        with self._lock:
            held = self._known(repo)
            digest = held.tags.get(selector, Digest(selector))
            if digest not in held.manifests:
                raise Refusal(Code.MANIFEST_UNKNOWN, f"{repo} holds no manifest {selector}")
            return digest, held.manifests[digest]

    def add_manifest(
        self, repo: str, tag: str | None, manifest: RawManifest, digest: Digest | None = None
    ) -> Digest:
        """Store a manifest without checks. `digest` is its digest (default: the sha256 one)."""
        name = digest or digest_of(manifest.data)
        with self._lock:
            held = self._repositories.setdefault(repo, HeldRepository())
            held.manifests[name] = manifest
            if tag is not None:
                held.tags[tag] = name
        return name

    def listed_tags(self, repo: str) -> list[str]:
        """The tags that are listed: all but hidden ones. Raises Refusal (NAME_UNKNOWN)."""
        with self._lock:
            held = self._known(repo)
            return sorted(held.tags.keys() - held.hidden)

    def drop_tag(self, repo: str, tag: str) -> None:
        """Delete a tag; its manifest stays. Raises Refusal (NAME_UNKNOWN)."""
        with self._lock:
            self._known(repo).tags.pop(tag, None)

    def hide_tag(self, repo: str, tag: str) -> None:
        """Leave a tag out of lists. Raises Refusal (NAME_UNKNOWN)."""
        with self._lock:
            self._known(repo).hidden.add(tag)

    def tags_of(self, repo: str, digest: str) -> list[str]:
        """The tags that point to a manifest."""
        return [tag for tag, at in self.tags(repo).items() if at == digest]

    def delete_manifest(self, repo: str, selector: str, *, keeps_tags: bool = False) -> None:
        """Delete only a tag, or by its digest a manifest with every tag that points to it.

        With `keeps_tags`, these tags stay and point to nothing. Raises Refusal.
        """
        with self._lock:
            digest, _ = self.manifest(repo, selector)
            held = self._repositories[repo]
            if selector in held.tags:
                del held.tags[selector]
                return
            del held.manifests[digest]
            if keeps_tags:
                return
            held.tags = {tag: at for tag, at in held.tags.items() if at != digest}

    def referrers(self, repo: str, subject: str) -> list[dict[str, object]]:
        """Descriptors of the manifests whose subject has the digest `subject`."""
        found: list[dict[str, object]] = []
        for digest, manifest in self.manifests(repo).items():
            document = json.loads(manifest.data)
            if not isinstance(document, dict):
                continue
            stated = document.get("subject")
            if not isinstance(stated, dict) or stated.get("digest") != subject:
                continue
            config = document.get("config") or {}
            descriptor: dict[str, object] = {
                "mediaType": manifest.media_type,
                "digest": digest,
                "size": len(manifest.data),
                "artifactType": document.get("artifactType") or config.get("mediaType"),
            }
            if document.get("annotations"):
                descriptor["annotations"] = document["annotations"]
            found.append(descriptor)
        return found

    def _known(self, repo: str) -> HeldRepository:
        if repo not in self._repositories:
            raise Refusal(Code.NAME_UNKNOWN, f"there is no repository {repo}")
        return self._repositories[repo]
