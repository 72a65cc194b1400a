"""The work of a job: squash an image from upstream into the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from squashproxy.analysis.plan import plan_image
from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import Denied, SquashproxyError
from squashproxy.location import Location
from squashproxy.oci.descriptor import Descriptor
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.distinct_layers import distinct_layers
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import CopyResult, PlanResult
from squashproxy.progress import Observer, SilentObserver
from squashproxy.reference import Reference
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.server.auth.caller import Caller
from squashproxy.server.jobs.job import SquashOrder
from squashproxy.server.jobs.policy import policy_of
from squashproxy.server.store.base import SquashKey, SquashRecord, Store
from squashproxy.server.upstream.clients import UpstreamClients
from squashproxy.streams import closed_after
from squashproxy.transports.base import ImageSource
from squashproxy.transports.registry import RegistrySource

if TYPE_CHECKING:  # cryptography takes long to import, and few servers need it
    from squashproxy.signing.signing import Signing

_MOST_LAYERS = 256
"""A record notes the layers of an image only up to this number, before and after together."""


class Squasher:
    """Squashes images and estimates savings. Blocks; usable from several threads.

    `on_bytes` is called with the number of bytes that came from upstream.
    """

    def __init__(
        self, upstreams: UpstreamClients, store: Store, on_bytes: Callable[[int], None]
    ) -> None:
        self._upstreams = upstreams
        self._store = store
        self._on_bytes = on_bytes

    def squash(
        self, order: SquashOrder, observer: Observer, cancellation: Cancellation
    ) -> SquashRecord:
        """Squash what is ordered, with the credentials of its caller, into the store."""
        caller, key, image = order.caller, order.key, order.image
        source = self._source(caller, key, cancellation)
        remote = self._upstreams.remote(caller, key.repository)
        sink = self._store.open_sink(
            key, image, lambda digest: is_there(remote, digest), cancellation
        )
        with closing(sink):
            result = copy_image(
                source,
                sink,
                replace(self._allowing(order.options), known_as=key.repository),
                open_source=partial(self._open, self._upstreams.client(caller)),
                quick_source=partial(self._open, self._upstreams.quick_client(caller)),
                observer=observer,
                clock=time.monotonic,
                cancellation=cancellation,
            )
            record = _record_of(result, image)
            self._note_checked(key, order.options, record.digest)
            sink.record(record)
        return record

    def complete(self, key: SquashKey, options: CopyOptions, result: Digest) -> None:
        """Sign a result that was made before, and note that its source was checked, which the
        caller has done.
        """
        if options.signing is not None:
            self.sign(key, options.signing, result)
        self._note_checked(key, options, result)

    def sign(self, key: SquashKey, signing: Signing, result: Digest) -> None:
        """Sign a result of an earlier time, or of another repository, unless the key has signed
        it.
        """
        from squashproxy.pipeline.signatures.sign import (  # noqa: PLC0415 - loads cryptography
            sign_result,
        )

        image = f"{key.repository}@{key.source}"
        with closing(self._store.open_sink(key, image, lambda _: False, Cancellation())) as sink:
            sign_result(sink, sink.read_manifest(result), signing, key.repository)

    def _note_checked(self, key: SquashKey, options: CopyOptions, result: Digest) -> None:
        policy = policy_of(options)
        if policy is not None:
            self._store.note_checked(key.repository, policy.hash_for(key.repository), result)

    def estimate(
        self, caller: Caller, key: SquashKey, options: CopyOptions, cancellation: Cancellation
    ) -> PlanResult:
        """What squashing would save. Reads every layer and writes nothing."""
        return plan_image(
            self._source(caller, key, cancellation),
            None,
            self._allowing(options),
            open_source=partial(self._open, self._upstreams.client(caller)),
            quick_source=partial(self._open, self._upstreams.quick_client(caller)),
            observer=SilentObserver(),
        )

    def _source(self, caller: Caller, key: SquashKey, cancellation: Cancellation) -> PinnedSource:
        reference = Reference(key.repository, None, key.source)
        return PinnedSource(self._upstreams.client(caller), reference, self._on_bytes, cancellation)

    def _allowing(self, options: CopyOptions) -> CopyOptions:
        """The options, with every upstream to ask for a base that only an image names."""
        return replace(options, base_hosts=self._upstreams.hosts)

    def _open(self, client: RegistryClient, location: Location) -> ImageSource:
        """A base image that an image names. Raises Denied unless it is on an upstream."""
        if not isinstance(location, Reference):
            raise Denied(f"{location} is no image in a registry")
        host = location.repository.host
        if host not in self._upstreams.hosts:
            raise Denied(f"{host} is no upstream, so the base {location} is not looked at")
        return RegistrySource(client, location)


class PinnedSource(RegistrySource):
    """An image upstream, by its digest; `on_bytes` is called with each number of bytes fetched."""

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        on_bytes: Callable[[int], None],
        cancellation: Cancellation,
    ) -> None:
        super().__init__(client, reference)
        self._on_bytes = on_bytes
        self._cancellation = cancellation

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, verified. Raises Cancelled once the server stops."""
        self._cancellation.check()
        with closed_after(super().iter_blob(blob)) as chunks:
            for chunk in chunks:
                self._cancellation.check()
                self._on_bytes(len(chunk))
                yield chunk

    def find_digest(self) -> Digest:
        """The digest that the source is pinned to, without asking upstream."""
        digest = self._reference.digest
        assert digest is not None, "a job's source is pinned"
        return digest


def is_there(remote: RemoteRepository, digest: Digest) -> bool:
    """Whether upstream says that a repository holds a blob; an error counts as no."""
    try:
        return remote.find_blob(digest) is not None
    except SquashproxyError:
        return False


def _record_of(result: CopyResult, image: str) -> SquashRecord:
    platforms = result.platforms
    layers = distinct_layers(platforms)
    is_small = len(layers.plain) + len(layers.held) <= _MOST_LAYERS
    return SquashRecord(
        image=image,
        source_digest=Digest(result.source_digest),
        digest=Digest(result.digest),
        made_at=time.time(),
        seconds=result.seconds,
        platforms=tuple(copy.platform for copy in platforms),
        layers_before=max((copy.layers_before for copy in platforms), default=0),
        layers_after=max((copy.layers_after for copy in platforms), default=0),
        compressed_before=sum(copy.compressed_before for copy in platforms),
        compressed_after=sum(copy.compressed_after for copy in platforms),
        hidden_bytes=sum(copy.hidden_bytes for copy in platforms),
        source_keys=tuple(sorted({each.fingerprint for each in result.signed_by})),
        signed_with=next((each.fingerprint for each in result.signatures), None),
        layers=layers if is_small else None,
    )
