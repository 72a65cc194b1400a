"""ImageSource and ImageSink: all that the pipeline knows of registries and archives.

Whatever implements one of them MUST keep its rules; tests/transports/test_conformance.py checks
them for every kind of place. Errors are SquashproxyErrors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from squashproxy.digest import Chunk, Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.progress import Observer
from squashproxy.reference import Repository


@dataclass(frozen=True, slots=True)
class WrittenBlob:
    """A blob that the sink holds now; `size` in bytes."""

    digest: Digest
    size: int


class ImageReader(Protocol):
    """One image, or an index of images, that can be read."""

    @property
    def name(self) -> str:
        """The reference, for people."""
        ...

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        """The manifest of the reference, or the one of `digest` beside it; digest verified."""
        ...

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, in chunks of at most 256 KiB.

        Size and digest are checked at the end, so a reader MUST NOT rely on the bytes before it
        has read all of them. Raises IntegrityError.
        """
        ...


class ImageSource(ImageReader, Protocol):
    """An image that is copied; its owner closes it.

    1. Every manifest and blob MUST be checked against its digest, and a blob against its size:
       bytes of a source go into the result, and a digest is all that an image promises about them.
    2. Blobs MUST be readable in any order, several at once from several threads, and more than
       once: the merge reads layers from the top down while others are copied, and may start again.
    """

    @property
    def repository(self) -> Repository | None:
        """The repository of the image, so that blobs can be mounted; None outside of registries."""
        ...

    @property
    def chooses_compression(self) -> bool:
        """Whether uncompressed layers are the image's own choice.

        They are not in an archive of `docker save`, which decompresses every layer. A copy from
        there compresses layers wherever the sink's traits ask for it.
        """
        ...

    @property
    def keeps_digests(self) -> bool:
        """Whether the place holds the manifests that images had where they came from.

        An archive of `docker save` holds none, so one is made for it.
        """
        ...

    @property
    def spooled_bytes(self) -> int:
        """Bytes that went to a temporary file, since standard input can be read only once."""
        ...

    def find_digest(self) -> Digest:
        """What the reference points to now. Raises NotFound or NoSuchImage.

        It SHOULD read no manifest: most calls only ask whether there is anything to copy. In a
        registry this costs a HEAD.
        """
        ...

    def close(self) -> None:
        """Let go of files; temporary ones are removed."""
        ...


class ImageSink(Protocol):
    """A place that an image is written to; its owner closes it.

    1. Until `publish` the tag MUST keep its old image, and `publish` MUST replace it in one step:
       a copy may fail at any time, and others use the image while it is replaced.
    2. `write_blob` MUST be callable from several threads at once; layers are copied in parallel.
       All other methods are called by the thread of the copy.
    3. A blob MUST appear whole or not at all, since `has_blob` decides what is not copied again.
    4. `close` MUST remove what was begun and not published, as far as nothing else can refer to
       it. Manifests and blobs of a registry stay: other images may share them by now, and the
       registry collects what nothing refers to.
    """

    @property
    def name(self) -> str:
        """The reference, for people."""
        ...

    @property
    def repository(self) -> Repository | None:
        """The repository that the image goes to; None outside of registries."""
        ...

    @property
    def tag(self) -> str | None:
        """The tag that `publish` moves; None in an archive that needs none."""
        ...

    @property
    def traits(self) -> Traits:
        """What the place can hold. The pipeline converts or refuses everything else."""
        ...

    @property
    def spooled_bytes(self) -> int:
        """Bytes that went to a temporary file, since standard output can be written only once."""
        ...

    def find_manifest(self, tag: str | None = None) -> Digest | None:
        """What the tag (by default the sink's own) points to now.

        An absent image MUST give None and no error: it is the usual case of a first copy.
        """
        ...

    def read_manifest(self, digest: Digest) -> RawManifest:
        """A manifest that the sink holds, published or not; digest verified."""
        ...

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob that the sink holds; verified as that of a source.

        A sink need not support it if its traits say that it is not readable.
        """
        ...

    def has_blob(self, blob: Descriptor, repository: Repository | None = None) -> bool:
        """Whether the sink holds the blob; with `repository`, whether that repository does.

        True MUST mean that the image may refer to the blob without writing it. A repository that
        does not exist, or is on another host, holds nothing: that is no error.
        """
        ...

    def try_mount(self, blob: Descriptor, repository: Repository) -> bool:
        """Take a blob over from another repository of the same registry.

        False where that is not possible (another host, no such blob, a registry that does not
        mount): the blob is copied then, so nothing of the attempt MUST be left open.
        """
        ...

    def write_blob(
        self, chunks: Iterable[Chunk], digest: Digest | None = None, size: int | None = None
    ) -> WrittenBlob:
        """Store a stream. Raises IntegrityError where a given `digest` is not that of the bytes.

        Digest and size of a new layer are known only at the end, so a sink MUST do without them;
        it may use them to avoid a temporary file. An error of `chunks` MUST pass through, and
        nothing of the blob may stay (an upload session is cancelled): retries would pile it up.
        Chunks that are Repeatable may be iterated once more where what was stored got lost.
        """
        ...

    def write_manifest(self, manifest: RawManifest, tag: str | None = None) -> None:
        """Store a manifest, by its digest alone or under a tag other than the sink's.

        The caller MUST have written everything that it names: registries refuse it otherwise.
        """
        ...

    def publish(self, manifest: RawManifest) -> None:
        """Store the image's own manifest under the sink's tag, as the last step of a copy.

        The caller MUST have written everything that it names.
        """
        ...

    def close(self) -> None:
        """Remove what was not published, and let go of files."""
        ...


@runtime_checkable
class ReferrerSource(Protocol):
    """A source that tells what refers to its manifests: signatures, attestations and the like."""

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...] | None:
        """The manifests whose subject is `digest`; None where the place keeps no such lists, so
        that only tags can tell.

        Not knowing MUST be an error (ReferrersUnknown), never an empty list.
        """
        ...

    def companion_tags(self, digest: Digest) -> tuple[str, ...]:
        """The tags that belong to a manifest by their names: they begin with `sha256-HEX`.

        A list of referrers has just that name (referrers tag schema); cosign's signatures,
        attestations and bills of material have a suffix.
        """
        ...

    def find_tag(self, tag: str) -> Digest | None:
        """What another tag beside the image points to; None for nothing, as after a deletion."""
        ...


@runtime_checkable
class ReferrerSink(Protocol):
    """A sink that also holds manifests that refer to the image, such as its provenance.

    What its methods write may appear with `publish` only.
    """

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests whose subject is `digest`, as far as they were there before the copy."""
        ...

    def write_referrer(self, manifest: RawManifest) -> None:
        """Store a manifest with a subject; it MUST be found by the list of referrers then."""
        ...

    def write_companion(self, manifest: RawManifest, tag: str) -> None:
        """Store a manifest under a tag that belongs to the image, such as cosign's."""
        ...


@runtime_checkable
class TagLister(Protocol):
    """A sink in a registry that lists the tags of its repository and of others beside it."""

    @property
    def repository(self) -> Repository:
        """The repository that the image goes to."""
        ...

    def iter_tags(self, repository: Repository) -> Iterator[str]:
        """The names that a repository lists as tags, valid or not.

        A repository that does not exist, or is on another host, has none: that is no error.
        """
        ...


@runtime_checkable
class CautiousSource(Protocol):
    """A source that may hold less than its index names."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what is absent. Raises what finding the image raises."""
        ...


def warn_of_absence(source: ImageReader, observer: Observer) -> None:
    """Warn of what a source names and does not hold."""
    for sentence in source.warnings if isinstance(source, CautiousSource) else ():
        observer.warn(sentence)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a kind of sink can hold.

    - `indexes`: several platforms in one image.
    - `docker`: manifests of Docker's family; every sink holds those of OCI.
    - `compressed`: layers should be compressed.
    - `readable`: what was written can be read before it is published.
    - `keeps_others`: an image can stay beside the new one under another tag.
    - `keeps_digests`: manifests are kept byte for byte.
    - `publishes_all`: what refers to the image appears with `publish`, not before.
    - `wants_name`: an image without a tag is taken, but programs that load it show no name for it.
    """

    indexes: bool = True
    docker: bool = True
    compressed: bool = True
    readable: bool = True
    keeps_others: bool = True
    keeps_digests: bool = True
    publishes_all: bool = False
    wants_name: bool = False
