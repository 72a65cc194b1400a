"""The contract of a store: the place where squashed images and blobs are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Chunk, Digest
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.distinct_layers import DistinctLayers, parse_distinct
from squashproxy.reference import Repository
from squashproxy.transports.base import ImageSink, ReferrerSink


@dataclass(frozen=True, slots=True)
class SquashKey:
    """What determines a squashed image: the source's digest, and the options' hash.

    `repository` holds the source; only there may the result be pulled.
    """

    repository: Repository
    source: Digest
    options: str


@dataclass(frozen=True, slots=True)
class SquashRecord:
    """A squashed image and what it saved; sizes in bytes, `made_at` in unix seconds.

    `layers` are those before and after; None where there are too many to remember, and in records
    of versions that did not note them. `source_keys` are those that signed the source, where a rule
    asked for it, and `signed_with` is the key that signed the image; both as SHA-256 of their DER.
    """

    image: str
    source_digest: Digest
    digest: Digest
    made_at: float
    seconds: float
    platforms: tuple[str, ...]
    layers_before: int
    layers_after: int
    compressed_before: int
    compressed_after: int
    hidden_bytes: int
    layers: DistinctLayers | None = None
    source_keys: tuple[str, ...] = ()
    signed_with: str | None = None

    def to_json(self) -> Json:
        """The form for `parse_record`."""
        fields: Json = {name: getattr(self, name) for name in self.__slots__}
        if self.layers is not None:
            fields["layers"] = self.layers.to_json()
        return fields


def parse_record(document: Json) -> SquashRecord:
    """The inverse of `SquashRecord.to_json`. Raises ValueError for what is no record."""
    try:
        fields = {**document, "platforms": tuple(document["platforms"])}
        fields["source_keys"] = tuple(fields.get("source_keys", ()))
        if fields.get("layers") is not None:
            fields["layers"] = parse_distinct(fields["layers"])
        return SquashRecord(**fields)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no record of a squashed image: {error}") from error


@dataclass(frozen=True, slots=True)
class KnownTag:
    """What a tag pointed to upstream at `checked`, in unix seconds."""

    source: Descriptor
    checked: float


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """A blob in the store; `size` in bytes, `path` its file if that is on this machine.

    `is_hashed` says that its bytes need not be compared with its digest any more.
    """

    digest: Digest
    size: int
    path: Path | None = None
    is_hashed: bool = True


@dataclass(frozen=True, slots=True)
class Usage:
    """How full the store is, in bytes; None if only the registry behind it knows."""

    kind: str
    place: str
    used: int | None
    most: int | None
    evictions: int


UpstreamCheck = Callable[[Digest], bool]
"""Returns whether upstream says that the repository in question holds a blob."""


class Spool(Protocol):
    """A blob on its way into the store: a temporary file that can be read while it grows."""

    def fileno(self) -> int:
        """The descriptor of the file, for `os.pread`."""
        ...

    def write(self, chunk: Chunk) -> None:
        """Append. Raises StoreFull if the disk is full, ArchiveError if it cannot be written."""
        ...

    def keep(self, repository: Repository, blob: Descriptor, cancellation: Cancellation) -> None:
        """Turn it into a blob of `repository` in the store; its bytes have been verified.

        Raises Cancelled if that takes long and the server stops.
        """
        ...

    def close(self) -> None:
        """Delete the file, unless it was kept."""
        ...


class Store(Protocol):
    """Keeps squashed images, originals, and the map between them.

    1. Everything belongs to a repository, named as upstream. It MUST be found there and in no other
       repository, since another one may not be the caller's to read.
    2. A squashed image MUST be found only when all of it is kept.
    3. `generation` MUST go up whenever something that was found before may be gone, since answers
       are remembered by it.
    4. Methods block and are called from several threads, except `generation`, `hold` and `release`,
       which the event loop calls.

    Raises SquashproxyError.
    """

    @property
    def generation(self) -> int:
        """See rule 3."""
        ...

    def find_squashed(self, key: SquashKey) -> Digest | None:
        """The squashed image of a source that `key.repository` is known to hold."""
        ...

    def find_key(self, repository: Repository, result: Digest) -> SquashKey | None:
        """What a squashed image was made from, even if the image was evicted."""
        ...

    def find_source(self, repository: Repository) -> Digest | None:
        """A squashed source in the repository; a caller who may read one may read all."""
        ...

    def find_above(self, repository: Repository, digest: Digest) -> tuple[SquashKey, Digest] | None:
        """The squashed image of the repository that needs a blob which is gone, with its key."""
        ...

    def open_sink(
        self, key: SquashKey, image: str, is_upstream: UpstreamCheck, cancellation: Cancellation
    ) -> SquashSink:
        """The sink for the job of `key`; `image` is its name for people."""
        ...

    def name_image(self, repository: Repository, tag: str, result: Digest) -> None:
        """Let a tag of `repository` name a squashed image, for readers of the store itself."""
        ...

    @property
    def knows_blobs(self) -> bool:
        """Whether `is_checked` and `parents` can tell which image a blob belongs to."""
        ...

    def list_referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """What is kept about a squashed image: its signatures and statements."""
        ...

    def find_companion(self, repository: Repository, tag: str) -> RawManifest | None:
        """What is kept under a tag that belongs to a squashed image, such as `sha256-HEX.sig`."""
        ...

    def note_checked(self, repository: Repository, policy: str, result: Digest) -> None:
        """Note that the source of a squashed image was checked by a policy."""
        ...

    def note_listed(self, repository: Repository, policy: str, listed: Sequence[Digest]) -> None:
        """Note which manifests an index of upstream's lists that was checked by a policy; nothing
        where `parents` tells.
        """
        ...

    def is_checked(self, repository: Repository, policy: str, digest: Digest) -> bool:
        """Whether that was noted for a digest, or for a squashed image that needs it."""
        ...

    def parents(self, repository: Repository, digest: Digest) -> list[Digest]:
        """Some kept manifests of the repository that need a digest, the last used first."""
        ...

    def find_tag(self, repository: Repository, tag: str) -> KnownTag | None:
        """What a tag was last known to point to."""
        ...

    def keep_tag(self, repository: Repository, tag: str, known: KnownTag) -> None:
        """Remember what a tag points to."""
        ...

    def find_manifest(self, repository: Repository, digest: Digest) -> RawManifest | None:
        """A manifest of the repository, its digest verified."""
        ...

    def keep_manifest(self, repository: Repository, manifest: RawManifest) -> None:
        """Keep a manifest as it came from upstream, if the store can."""
        ...

    def find_blob(self, repository: Repository, digest: Digest) -> KeptBlob | None:
        """A blob of the repository."""
        ...

    def iter_blob(self, repository: Repository, blob: KeptBlob) -> Iterator[bytes]:
        """The bytes of a blob that has no path."""
        ...

    def adopt_blob(
        self, repository: Repository, digest: Digest, is_upstream: UpstreamCheck
    ) -> KeptBlob | None:
        """A blob of another repository of the same host, if upstream says this one has it, too."""
        ...

    def open_spool(self, size: int = 0) -> Spool:
        """A file to put a blob in, of about `size` bytes. Raises StoreFull."""
        ...

    def is_sound(self, digest: Digest, cancellation: Cancellation) -> bool:
        """Whether a blob that was not hashed yet has its digest; if not, it is not found any more.

        Raises Cancelled.
        """
        ...

    def look_after(self, cancellation: Cancellation) -> None:
        """Do what is due: write what changed, and hash some blobs. Called every few seconds."""
        ...

    def touch(self, uses: Sequence[tuple[Digest, float]]) -> None:
        """Note when manifests and blobs were last used, in unix seconds."""
        ...

    def hold(self, digest: Digest) -> None:
        """Protect a blob from eviction while it is sent."""
        ...

    def release(self, digest: Digest) -> None:
        """Undo one `hold`."""
        ...

    def trim(self) -> int:
        """Evict the least recently used entries until the bound holds; return their number."""
        ...

    def usage(self) -> Usage:
        """How full it is."""
        ...

    def records(self, limit: int) -> list[SquashRecord]:
        """At most `limit` records of squashed images, the newest first."""
        ...

    def check(self) -> None:
        """Raise an error if the store cannot be used now."""
        ...

    def stop(self) -> None:
        """End calls that wait for something outside of this machine; no new ones are made."""
        ...

    def close(self) -> None:
        """Close its files and connections, when no other method runs any more."""
        ...


class SquashSink(ImageSink, ReferrerSink, Protocol):
    """The sink of a job; it also takes the job's record."""

    def record(self, record: SquashRecord) -> None:
        """Enter the result in the map of squashed images: the last step, which makes it found."""
        ...
