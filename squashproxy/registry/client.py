"""The client of registries: RegistryClient for several registries, RemoteRepository for one
repository.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Self

from squashproxy.digest import Chunk, Digest
from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.printable import quoted
from squashproxy.reference import Repository, is_repository_path
from squashproxy.registry import blobs, catalog, deletions, harbor, manifests, referrers, tags
from squashproxy.registry.auth.authorizer import Authorizer
from squashproxy.registry.auth.credentials import CredentialStore
from squashproxy.registry.caller import Caller
from squashproxy.registry.http.connections import AnswerListener, Connections
from squashproxy.registry.http.endpoints import Endpoints
from squashproxy.registry.http.open_connections import OpenConnections
from squashproxy.registry.http.rate_limit import PacerMaker, RateLimit
from squashproxy.registry.http.retry import Retry, WaitListener
from squashproxy.registry.http.tls import TlsContexts
from squashproxy.registry.manifest_cache import ManifestCache, NoCache
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.registry.referrers import ReferrersSupport
from squashproxy.registry.upload import start
from squashproxy.registry.upload.attempt import Expected
from squashproxy.registry.upload.upload import Upload

_DEFAULTS = ClientOptions()


class RegistryClient:
    """Connections, credentials and tokens for any number of registries.

    Usable from several threads, and as a context manager. `environ` replaces the process's
    environment, `sleep` and `clock` (seconds) those of `time`. `listener` is called with every
    answer, `on_wait` with every wait before a retry, `on_warning` with a sentence where a program
    that holds credentials gave none. A manifest that `cache` holds is not fetched
    by digest again, so `get_manifest` does not prove that a repository still has it;
    `find_manifest` does. `pacer` keeps to the rates of `options` together with other processes.
    """

    def __init__(
        self,
        options: ClientOptions = _DEFAULTS,
        *,
        environ: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        listener: AnswerListener | None = None,
        on_wait: WaitListener | None = None,
        on_warning: Callable[[str], None] | None = None,
        cache: ManifestCache | None = None,
        pacer: PacerMaker | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        self._options = options
        self._cache = cache or NoCache()
        opened = self._opened = OpenConnections()

        def rest(seconds: float) -> None:
            opened.sleep(seconds, sleep)

        self._retry = Retry(
            options.retries,
            rest,
            options.longest_wait,
            on_wait,
            options.retry_for,
            clock,
            options.retry_for_host,
        )
        self._endpoints = Endpoints(options)
        self._connections = Connections(
            options,
            TlsContexts(options, environ),
            RateLimit(options.rates, rest, clock) if pacer is None else pacer(options.rates, rest),
            listener,
            opened,
        )
        self._authorizer = Authorizer(
            self._connections,
            CredentialStore(options.authfile, environ, options.logins, on_warning),
            options.timeout,
            clock,
        )
        self._upload_modes = dict(options.upload)
        self._referrers = ReferrersSupport()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def repository(self, name: Repository) -> RemoteRepository:
        """A repository; no request is sent yet.

        Raises FormatError for an invalid path, as a registry's list may contain.
        """
        if not is_repository_path(name.path):
            raise FormatError(
                f"{quoted(name.path)} is no name of a repository, so {name.host} is not asked for "
                "it"
            )
        return RemoteRepository(self, name)

    def cached_manifests(self, digests: Iterable[Digest]) -> Mapping[Digest, RawManifest]:
        """Those of some manifests that the cache holds; sends no request.

        As with `get_manifest`, this does not prove that a repository still has them.
        """
        return self._cache.find_all(digests)

    def iter_repositories(self, host: str) -> Iterator[str]:
        """The name of every repository of a registry, where it lists them.

        A listed name may be invalid; check it with `is_repository_path`. Raises RegistryError and
        FormatError.
        """
        return catalog.iter_repositories(self._caller(Repository(host, "_catalog")))

    def stop(self) -> None:
        """End what runs in other threads, whatever it waits for, and send nothing new.

        Only upload sessions are still cancelled, within seconds. Everything else raises Cancelled.
        """
        self._opened.stop()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _caller(self, name: Repository) -> Caller:
        endpoint = self._retry.call(lambda: self._endpoints.find(name.host), name.host)
        return Caller(
            name,
            endpoint,
            self._connections,
            self._authorizer,
            self._retry,
            self._options.timeout,
            self._options.commit_timeout,
        )

    def _upload_mode(self, host: str) -> UploadMode:
        return self._upload_modes.get(host, UploadMode.AUTO)

    def _prefer_stream(self, host: str) -> None:
        self._upload_modes[host] = UploadMode.STREAM


class RemoteRepository:
    """One repository of one registry; every method may raise RegistryError."""

    def __init__(self, client: RegistryClient, name: Repository) -> None:
        self.name = name
        self._client = client

    def find_manifest(self, selector: str) -> Descriptor | None:
        """The manifest that a tag or digest points to, None if there is none; costs a HEAD, rarely
        a GET.
        """
        return manifests.find_manifest(self._caller, selector)

    def recheck_tag(self, tag: str) -> Descriptor | None:
        """The manifest of a tag that was found a moment ago, None if it is gone; costs a HEAD."""
        return manifests.find_manifest(self._caller, tag, trusts_head=True)

    def get_manifest(self, selector: str) -> RawManifest:
        """A manifest or index as exact bytes, its digest verified.

        Any kind of manifest is returned, even schema 1, which `parse_manifest` refuses. Raises
        NotFound, IntegrityError, and FormatError above MAX_MANIFEST bytes.
        """
        cache = self._client._cache  # noqa: SLF001 client and repository are one unit
        known = cache.find(Digest(selector)) if ":" in selector else None
        if known is not None:
            return known
        found = manifests.get_manifest(self._caller, selector)
        cache.add(found.digest, found)
        return found

    def put_manifest(self, raw: RawManifest, selector: str) -> None:
        """Write a manifest under a tag or its digest. Everything below it must be there."""
        manifests.put_manifest(self._caller, raw, selector)
        self._client._cache.add(raw.digest, raw)  # noqa: SLF001 client and repository are one unit

    def put_referrer(self, raw: RawManifest) -> None:
        """Write a manifest that has a subject, and list it where the registry does not."""
        referrers.put_referrer(self._caller, raw)

    def find_blob(self, digest: Digest) -> int | None:
        """The size of a blob in bytes; None where the repository does not have it."""
        return blobs.find_blob(self._caller, digest)

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob in chunks of 256 KiB. The request is sent when the first chunk is
        wanted.

        A broken connection is resumed. Raises IntegrityError, at the end at the latest, where size
        or digest is wrong.
        """
        return blobs.iter_blob(self._caller, blob)

    def try_mount(self, digest: Digest, source: Repository) -> bool:
        """Make a blob of another repository appear here; False if the registry declines."""
        return start.try_mount(self._caller, digest, source)

    def upload_blob(
        self, chunks: Iterable[Chunk], digest: Digest | None = None, size: int | None = None
    ) -> tuple[Digest, int]:
        """Send a stream; returns its digest and its size in bytes.

        Where a session is lost in its middle, `chunks` that are Repeatable, a list or a tuple are
        sent anew in another one. Raises IntegrityError if the bytes do not have the given `digest`
        or `size`. If anything goes wrong, also in `chunks`, the upload session is cancelled and the
        error is raised.
        """
        host = self.name.host
        upload = Upload(self._caller, chunks, Expected(digest, size))
        return upload.run(
            self._client._upload_mode(host),  # noqa: SLF001 client and repository are one unit
            lambda: self._client._prefer_stream(host),  # noqa: SLF001 see above
        )

    def iter_tags(self) -> Iterator[str]:
        """Every tag once, in the registry's order.

        Raises FormatError if a listed name is not a valid tag: such a list cannot be right.
        """
        return tags.iter_tags(self._caller)

    def iter_listed_names(self) -> Iterator[str]:
        """Every name listed as a tag, once, even an invalid one; to show, not to send requests."""
        return tags.iter_listed_names(self._caller)

    def list_tags(self) -> tags.TagList:
        """Every tag once, and the manifests that some registries list beside them.

        Raises FormatError where what is listed is not a tag: such a list cannot be right.
        """
        return tags.list_tags(self._caller)

    def lists_referrers(self) -> bool:
        """Whether the registry has the referrers API; each client asks a registry only once."""
        return referrers.lists_referrers(self._caller, self._client._referrers)  # noqa: SLF001 see above

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...] | None:
        """The manifests whose subject is `digest`, None where the registry has no referrers API.

        Raises ReferrersUnknown where it has the API and does not answer for this digest.
        """
        return referrers.list_referrers(self._caller, digest, self._client._referrers)  # noqa: SLF001 see above

    def list_referrers_by_tag(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests that the list of `digest` under a tag names (referrers tag schema)."""
        return referrers.list_by_tag(self._caller, digest)

    def find_companion(self, digest: Digest, suffix: str) -> Descriptor | None:
        """The manifest under a tag that belongs to `digest`: its name, then one of
        COMPANION_SUFFIXES.

        None as well where the registry takes such a tag for the digest, as GitLab does.
        """
        found = self.find_manifest(referrers.fallback_tag(digest) + suffix)
        return None if found is None or found.digest == digest else found

    def delete_manifest(self, selector: str) -> deletions.Deletion:
        """Delete only a tag, or by its digest a manifest with every tag that points to it."""
        return deletions.delete_manifest(self._caller, selector)

    def is_harbor(self) -> bool:
        """Whether the registry is a Harbor."""
        return harbor.is_harbor(self._caller)

    def delete_harbor_tag(self, tag: str) -> deletions.Deletion:
        """Delete a tag through Harbor's own API."""
        return harbor.delete_tag(self._caller, tag)

    def iter_harbor_artifacts(self) -> Iterator[harbor.Artifact]:
        """The manifests of the repository as Harbor lists them, with dates."""
        return harbor.iter_artifacts(self._caller)

    @property
    def _caller(self) -> Caller:
        return self._client._caller(self.name)  # noqa: SLF001 see above
