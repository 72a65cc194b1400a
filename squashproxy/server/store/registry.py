"""A registry as the store: nothing is kept on this machine, and replicas share everything.

1. Images of the repository `HOST/PATH` are kept in `STORE/HOST/PATH`.
2. The map of squashed images is its tags: `squashed-OPTIONS-HEX` is the squashed image of the
   source with that sha256.
3. A tag of upstream's names its last squashed image, whose annotations name the source.
4. Signatures and statements refer to the images there, as in any registry.
5. Where a rule requires signatures, `checked-POLICY-sha256-HEX` says that a manifest was checked:
   a squashed image, one that such an index lists, or one that a signed index of upstream's lists.
   The policy is a hash of repository and keys.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Chunk, Digest, parse_digest
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.oci.artifact import EMPTY, EMPTY_CONFIG, artifact_manifest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.pipeline.stamp import OPTIONS, SOURCE
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.server.store.base import (
    KeptBlob,
    KnownTag,
    SquashKey,
    SquashRecord,
    UpstreamCheck,
    Usage,
)
from squashproxy.server.store.spools import append
from squashproxy.streams import CHUNK, Repeatable
from squashproxy.transports.base import Traits
from squashproxy.transports.registry import RegistrySink

_NOTE = artifact_manifest("application/vnd.squashproxy.checked", [EMPTY_CONFIG])
"""What a tag points to that only says something of another manifest."""
_MAP_TAG = re.compile(r"squashed-.+-([0-9a-f]{64})")


class RegistryStore:
    """The store below the repository `root`; `client` is for transfers, `quick` for questions.

    Manifests from upstream are not kept: registries refuse manifests whose blobs they lack.
    """

    generation = 0

    def __init__(self, client: RegistryClient, quick: RegistryClient, root: Repository) -> None:
        self._client = client
        self._quick = quick
        self._root = root

    def find_squashed(self, key: SquashKey) -> Digest | None:
        """The squashed image that the map's tag names."""
        found = self._remote(key.repository).find_manifest(_map_tag(key))
        return None if found is None else found.digest

    def find_key(self, repository: Repository, result: Digest) -> SquashKey | None:
        """What a squashed image was made from, by its annotations."""
        raw = self.find_manifest(repository, result)
        return None if raw is None else _key_of(repository, raw)

    def find_source(self, repository: Repository) -> Digest | None:
        """The source that any tag of the map names."""
        for tag in self._remote(repository).iter_tags():
            if (match := _MAP_TAG.fullmatch(tag)) is not None:
                return Digest(f"sha256:{match[1]}")
        return None

    def find_above(
        self,
        repository: Repository,
        digest: Digest,
    ) -> None:
        """None: registries do not lose a blob of an image that they hold."""

    def open_sink(
        self,
        key: SquashKey,
        image: str,  # noqa: ARG002 - the tag is its name
        is_upstream: UpstreamCheck,  # noqa: ARG002 - see adopt_blob
        cancellation: Cancellation,  # noqa: ARG002 - nothing is hashed here
    ) -> RegistryStoreSink:
        """The sink for the job of `key`."""
        place = Reference(self._place(key.repository), _map_tag(key))
        return RegistryStoreSink(self._client, place)

    def name_image(self, repository: Repository, tag: str, result: Digest) -> None:
        """Let the tag of the same name point to a squashed image."""
        remote = self._remote(repository)
        found = remote.find_manifest(tag)
        if found is None or found.digest != result:
            remote.put_manifest(remote.get_manifest(result), tag)

    @property
    def knows_blobs(self) -> bool:
        """False: registries do not tell which manifests name a blob."""
        return False

    def list_referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """The referrers of a squashed image, by the registry's list or the one under a tag."""
        remote = self._remote(repository)
        listed = remote.list_referrers(digest)
        return remote.list_referrers_by_tag(digest) if listed is None else listed

    def find_companion(self, repository: Repository, tag: str) -> RawManifest | None:
        """What the tag of the same name points to."""
        try:
            return self._remote(repository).get_manifest(tag)
        except NotFound:
            return None

    def note_checked(self, repository: Repository, policy: str, result: Digest) -> None:
        """Give the image, and each that it lists, a tag `checked-POLICY-HEX`."""
        remote = self._remote(repository)
        raw = remote.get_manifest(result)
        parsed = parse_manifest(raw, "a manifest in the store")
        listed = parsed.children if isinstance(parsed, ImageIndex) else ()
        for digest in dict.fromkeys((*(each.descriptor.digest for each in listed), result)):
            tag = _checked_tag(policy, digest)
            if remote.find_manifest(tag) is None:
                remote.put_manifest(remote.get_manifest(digest), tag)

    def note_listed(self, repository: Repository, policy: str, listed: Sequence[Digest]) -> None:
        """Give an empty artifact a tag `checked-POLICY-HEX` for each manifest."""
        remote = self._remote(repository)
        tags = [_checked_tag(policy, digest) for digest in dict.fromkeys(listed)]
        missing = [tag for tag in tags if remote.find_manifest(tag) is None]
        if missing:
            remote.upload_blob((EMPTY,), EMPTY_CONFIG.digest)
        for tag in missing:
            remote.put_manifest(_NOTE, tag)

    def is_checked(self, repository: Repository, policy: str, digest: Digest) -> bool:
        """Whether there is such a tag for a manifest."""
        return self._remote(repository).find_manifest(_checked_tag(policy, digest)) is not None

    def parents(self, repository: Repository, digest: Digest) -> list[Digest]:  # noqa: ARG002 - the protocol's names
        """None: registries do not tell them."""
        return []

    def find_tag(self, repository: Repository, tag: str) -> KnownTag | None:
        """What the image of that tag was squashed from; when it was checked is not kept."""
        try:
            raw = self._remote(repository).get_manifest(tag)
        except NotFound:
            return None
        key = _key_of(repository, raw)
        if key is None:
            return None
        return KnownTag(Descriptor(raw.media_type, key.source, len(raw.data)), 0.0)

    def keep_tag(self, repository: Repository, tag: str, known: KnownTag) -> None:
        """Nothing: `name_image` moves the tag."""

    def find_manifest(self, repository: Repository, digest: Digest) -> RawManifest | None:
        """A manifest of the repository."""
        try:
            return self._remote(repository).get_manifest(digest)
        except NotFound:
            return None

    def keep_manifest(self, repository: Repository, manifest: RawManifest) -> None:
        """Nothing, as the class says."""

    def find_blob(self, repository: Repository, digest: Digest) -> KeptBlob | None:
        """A blob of the repository."""
        try:
            size = self._remote(repository).find_blob(digest)
        except NotFound:
            return None
        return None if size is None else KeptBlob(digest, size)

    def iter_blob(self, repository: Repository, blob: KeptBlob) -> Iterator[bytes]:
        """The bytes of a blob, verified."""
        return self._patient(repository).iter_blob(Descriptor("", blob.digest, blob.size))

    def adopt_blob(
        self,
        repository: Repository,  # noqa: ARG002 - the protocol's names
        digest: Digest,  # noqa: ARG002 - see above
        is_upstream: UpstreamCheck,  # noqa: ARG002 - see above
    ) -> KeptBlob | None:
        """None: only the registry knows which of its repositories hold a blob."""
        return None

    def open_spool(self, size: int = 0) -> _TemporarySpool:  # noqa: ARG002 - it may grow as it likes
        """A temporary file without a name."""
        return _TemporarySpool(self)

    def is_sound(self, digest: Digest, cancellation: Cancellation) -> bool:  # noqa: ARG002 - the protocol's names
        """True: blobs are verified while they are read."""
        return True

    def look_after(self, cancellation: Cancellation) -> None:
        """Nothing: the registry looks after itself."""

    def push_blob(
        self, repository: Repository, blob: Descriptor, chunks: Repeatable[bytes]
    ) -> None:
        """Push the bytes of a spool."""
        self._patient(repository).upload_blob(chunks, blob.digest, blob.size)

    def touch(self, uses: Sequence[tuple[Digest, float]]) -> None:
        """Nothing: the registry's own rules say how long images are kept."""

    def hold(self, digest: Digest) -> None:
        """Nothing, as for `touch`."""

    def release(self, digest: Digest) -> None:
        """Nothing, as for `touch`."""

    def trim(self) -> int:
        """Nothing, as for `touch`."""
        return 0

    def usage(self) -> Usage:
        """Its place; only the registry knows how full it is."""
        return Usage("registry", str(self._root), None, None, 0)

    def records(self, limit: int) -> list[SquashRecord]:  # noqa: ARG002 - the protocol's names
        """None are kept; the server remembers those of this process."""
        return []

    def check(self) -> None:
        """Raise RegistryError if the registry does not answer."""
        self._quick.repository(self._root).find_manifest("squashproxy")

    def stop(self) -> None:
        """End what waits for the registry; uploads are cancelled."""
        self._client.stop()
        self._quick.stop()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._quick.close()

    def _place(self, repository: Repository) -> Repository:
        """Where a repository is kept; colons may stand in hosts, but not in paths."""
        host = repository.host.replace(":", "__").strip("[]")
        return Repository(self._root.host, f"{self._root.path}/{host}/{repository.path}".lower())

    def _remote(self, repository: Repository) -> RemoteRepository:
        """The repository for questions, with short time-outs."""
        return self._quick.repository(self._place(repository))

    def _patient(self, repository: Repository) -> RemoteRepository:
        return self._client.repository(self._place(repository))


class RegistryStoreSink(RegistrySink):
    """Pushes to a tag of the map. Only OCI manifests: the source is in their annotations."""

    traits = Traits(docker=False)

    def record(self, record: SquashRecord) -> None:
        """Nothing: publishing moved the tag of the map already."""


class _TemporarySpool:
    def __init__(self, store: RegistryStore) -> None:
        self._store = store
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by close()

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def write(self, chunk: Chunk) -> None:
        """Append. Raises StoreFull or ArchiveError."""
        append(self._file, chunk, "the folder of temporary files")

    def keep(self, repository: Repository, blob: Descriptor, cancellation: Cancellation) -> None:
        """Push it; the upload is cancelled if the server stops."""
        chunks = Repeatable(lambda: self._iter(blob.size, cancellation))
        self._store.push_blob(repository, blob, chunks)

    def close(self) -> None:
        """Forget it."""
        self._file.close()

    def _iter(self, size: int, cancellation: Cancellation) -> Iterator[bytes]:
        position = 0
        while position < size:
            cancellation.check()
            chunk = os.pread(self._file.fileno(), CHUNK, position)
            if not chunk:
                return
            position += len(chunk)
            yield chunk


def _map_tag(key: SquashKey) -> str:
    algorithm, _, digits = key.source.partition(":")
    prefix = "" if algorithm == "sha256" else f"{algorithm}-"
    return f"squashed-{key.options}-{prefix}{digits}"[:128]


def _checked_tag(policy: str, digest: Digest) -> str:
    return f"checked-{policy}-{digest.replace(':', '-', 1)}"[:128]


def _key_of(repository: Repository, raw: RawManifest) -> SquashKey | None:
    try:
        annotations = parse_manifest(raw, "a manifest in the store").annotations
        source = parse_digest(annotations.get(SOURCE, ""))
    except SquashproxyError:
        return None
    return SquashKey(repository, source, annotations.get(OPTIONS, ""))
