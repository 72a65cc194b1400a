"""FakeRegistry: a registry inside this process, on a real socket of the loopback interface."""

from __future__ import annotations

from collections.abc import Iterable

from squashproxy.digest import Digest
from squashproxy.oci.manifest import RawManifest
from squashproxy.testing.answers import Refusal
from squashproxy.testing.content import Contents
from squashproxy.testing.faulty_server import FaultyServer
from squashproxy.testing.handlers import Handlers
from squashproxy.testing.harbor import Harbor
from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.pull import STORAGE, Pull
from squashproxy.testing.push import Push
from squashproxy.testing.store import Store
from squashproxy.testing.tokens import Gate
from squashproxy.testing.uploads import Uploads

_DEFAULT = RegistryOptions()


class FakeRegistry(FaultyServer):
    """A registry that speaks the distribution specification 1.1, for tests and demonstrations.

    It listens from its construction until `close()`, or until the end of a `with` block. Its
    methods bypass the HTTP API: they send no request, check nothing, and meet no fault. With
    `shares`, it holds the content of another registry, as the storage behind a redirect does.
    Methods that read something raise LookupError if it does not exist.
    """

    def __init__(
        self, options: RegistryOptions = _DEFAULT, *, shares: FakeRegistry | None = None
    ) -> None:
        super().__init__(options.port, options.tls)
        self.options = options
        contents = Contents(options.directory, options.capacity)
        self._store: Store = shares._store if shares else Store(contents)  # noqa: SLF001 - its own kind
        self._uploads = Uploads(self._store)
        self._gate = Gate(options.auth, self.url)
        push = Push(options, self._store, self._uploads, self.url)
        self._harbor = Harbor(self._store, self._gate)
        harbor = self._harbor if options.harbor else None
        storage = f"{self.url.replace('127.0.0.1', 'localhost')}{STORAGE.rstrip('/')}"
        pull = Pull(options, self._store, storage)
        self._server.start(Handlers(options, self._gate, pull, push, harbor))

    def create(self, repo: str) -> None:
        """Make an empty repository, where pushes do not (`creates`)."""
        self._store.create(repo)

    def put_blob(self, repo: str, data: bytes | Iterable[bytes]) -> Digest:
        """Store a blob, whole or as a stream; return its digest."""
        return self._store.add_blob(repo, (data,) if isinstance(data, bytes) else data)

    def put_manifest(self, repo: str, tag: str | None, data: bytes, media_type: str) -> Digest:
        """Store a manifest, even one that the API would refuse; return its digest."""
        return self._store.add_manifest(repo, tag, RawManifest(data, media_type))

    def blob(self, repo: str, digest: str) -> bytes:
        """The bytes of a blob. Raises LookupError if it does not exist."""
        try:
            return self._store.blob(repo, Digest(digest)).read()
        except Refusal as refusal:
            raise LookupError(str(refusal)) from refusal

    def manifest(self, repo: str, selector: str) -> RawManifest:
        """A manifest by tag or digest. Raises LookupError if it does not exist."""
        try:
            return self._store.manifest(repo, selector)[1]
        except Refusal as refusal:
            raise LookupError(str(refusal)) from refusal

    def tags(self, repo: str) -> dict[str, Digest]:
        """The tags of a repository, each with its digest; empty for an unknown repository."""
        return self._store.tags(repo) if repo in self._store.names() else {}

    def drop_blob(self, repo: str, digest: str) -> None:
        """Delete a blob from a repository, as a failing storage does."""
        self._store.delete_blob(repo, Digest(digest))

    def drop_tag(self, repo: str, tag: str) -> None:
        """Delete a tag; its manifest stays."""
        self._store.drop_tag(repo, tag)

    def hide_tag(self, repo: str, tag: str) -> None:
        """Leave a tag out of lists, as registries with incomplete lists do; it can be pulled."""
        self._store.hide_tag(repo, tag)

    def blobs(self, repo: str) -> frozenset[Digest]:
        """The digests of the blobs that a repository holds."""
        return self._store.blobs(repo)

    def manifests(self, repo: str) -> frozenset[Digest]:
        """The digests of the manifests that a repository holds, tagged or not."""
        return frozenset(self._store.manifests(repo))

    def note_times(self, digest: Digest, pushed: str, pulled: str = "") -> None:
        """Set the dates that Harbor's API gives for a manifest, in RFC 3339; empty for never."""
        self._harbor.note(digest, pushed, pulled)

    @property
    def open_uploads(self) -> int:
        """The number of upload sessions that are neither finished nor cancelled."""
        return len(self._uploads)

    def forget_uploads(self) -> None:
        """Forget the open upload sessions, as a registry does that starts again."""
        self._uploads.cancel_all()

    @property
    def token_scopes(self) -> tuple[tuple[str, ...], ...]:
        """The requested scopes, one tuple for each token that was issued."""
        return tuple(self._gate.scopes)

    def expire_tokens(self) -> None:
        """Make every token that was issued invalid at once."""
        self._gate.expire_tokens()
