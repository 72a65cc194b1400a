"""A registry in this process, over a real socket on loopback."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from squashproxy.digest import Digest
from squashproxy.oci.manifest import RawManifest
from squashproxy.testing.answers import Refusal
from squashproxy.testing.connection import Server
from squashproxy.testing.content import Contents
from squashproxy.testing.faults import ArmedFault, Fault, Faults
from squashproxy.testing.handlers import Handlers
from squashproxy.testing.harbor import Harbor
from squashproxy.testing.journal import Exchange, Journal
from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.pull import Pull
from squashproxy.testing.push import Push
from squashproxy.testing.store import Store
from squashproxy.testing.tokens import Gate
from squashproxy.testing.uploads import Uploads

_DEFAULT = RegistryOptions()


class FakeRegistry:
    """A registry that speaks the distribution specification 1.1, for tests and demonstrations.

    Listens from construction until `close()`, or to the end of a `with` block. What the methods
    put in or read goes past the API: no request, no check, no fault. `shares` makes two registries
    hold the same content, as a registry and its storage behind a redirect do.

    Reading what is absent raises LookupError.
    """

    def __init__(
        self, options: RegistryOptions = _DEFAULT, *, shares: FakeRegistry | None = None
    ) -> None:
        self.options = options
        self._journal = Journal()
        self._faults = Faults()
        self._server = Server(("127.0.0.1", options.port), options.tls, self._journal, self._faults)
        contents = Contents(options.directory, options.capacity)
        self._store: Store = shares._store if shares else Store(contents)  # noqa: SLF001 - its own kind
        self._uploads = Uploads(self._store)
        self._gate = Gate(options.auth, self.url)
        push = Push(options, self._store, self._uploads, self.url)
        self._harbor = Harbor(self._store, self._gate)
        harbor = self._harbor if options.harbor else None
        pull = Pull(options, self._store)
        self._server.start(Handlers(options, self._gate, pull, push, harbor))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, close every connection; one that hangs gets no answer."""
        self._server.stop()

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`, as it stands in a reference."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """Scheme and host, without a slash at the end."""
        return f"{'https' if self.options.tls else 'http'}://{self.host}"

    def put_blob(self, repo: str, data: bytes | Iterable[bytes]) -> Digest:
        """Store a blob, or a stream of one."""
        return self._store.add_blob(repo, (data,) if isinstance(data, bytes) else data)

    def put_manifest(self, repo: str, tag: str | None, data: bytes, media_type: str) -> Digest:
        """Store a manifest, even one that the API would refuse."""
        return self._store.add_manifest(repo, tag, RawManifest(data, media_type))

    def blob(self, repo: str, digest: str) -> bytes:
        """The bytes of a blob."""
        try:
            return self._store.blob(repo, Digest(digest)).read()
        except Refusal as refusal:
            raise LookupError(str(refusal)) from refusal

    def manifest(self, repo: str, selector: str) -> RawManifest:
        """A manifest by tag or digest."""
        try:
            return self._store.manifest(repo, selector)[1]
        except Refusal as refusal:
            raise LookupError(str(refusal)) from refusal

    def tags(self, repo: str) -> dict[str, Digest]:
        """The tags of a repository and what they point to; none for an unknown repository."""
        return self._store.tags(repo) if repo in self._store.names() else {}

    def blobs(self, repo: str) -> frozenset[Digest]:
        """The blobs that a repository holds."""
        return self._store.blobs(repo)

    def manifests(self, repo: str) -> frozenset[Digest]:
        """The manifests that a repository holds, tagged or not."""
        return frozenset(self._store.manifests(repo))

    def note_times(self, digest: Digest, pushed: str, pulled: str = "") -> None:
        """When a manifest was pushed and last pulled, in RFC 3339, as a Harbor tells it."""
        self._harbor.note(digest, pushed, pulled)

    @property
    def open_uploads(self) -> int:
        """Upload sessions that are neither finished nor cancelled."""
        return len(self._uploads)

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """Every request so far, in the order of their answers."""
        return self._journal.read()

    def forget_requests(self) -> None:
        """Begin `requests` anew."""
        self._journal.clear()

    def arm(self, fault: Fault) -> ArmedFault:
        """Make a fault wait for its requests."""
        return self._faults.arm(fault)

    def disarm(self) -> None:
        """Forget every fault; requests that hang go on."""
        self._faults.clear()

    @property
    def token_scopes(self) -> tuple[tuple[str, ...], ...]:
        """The scopes asked for, one tuple for each token that was issued."""
        return tuple(self._gate.scopes)

    def expire_tokens(self) -> None:
        """Make every token that was issued invalid at once."""
        self._gate.expire_tokens()
