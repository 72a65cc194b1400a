"""ImageSource and ImageSink: all that the pipeline knows of registries and archives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from squashproxy.digest import Chunk, Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
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
        """The bytes of a blob, in chunks of 64 to 256 KiB.

        Size and digest are checked when the stream is read to its end; raises IntegrityError.
        """
        ...


class ImageSource(ImageReader, Protocol):
    """Where an image is copied from. `close` lets go of it."""

    @property
    def repository(self) -> Repository | None:
        """Where the image lives, None outside of registries."""
        ...

    @property
    def chooses_compression(self) -> bool:
        """Whether the image decides how its layers are packed.

        `docker save` unpacks them all, so there plain layers say nothing of what anybody wants.
        """
        ...

    @property
    def spooled_bytes(self) -> int:
        """What went to a temporary file, since standard input can be read only once."""
        ...

    def find_digest(self) -> Digest:
        """What the reference points to now; costs a HEAD. Raises NotFound or NoSuchImage."""
        ...

    def close(self) -> None:
        """Let go of files; temporary ones are removed."""
        ...


class ImageSink(Protocol):
    """A place that an image can be written to. `close` abandons what was not published."""

    @property
    def name(self) -> str:
        """The reference, for people."""
        ...

    @property
    def repository(self) -> Repository | None:
        """Where the image goes, None outside of registries."""
        ...

    @property
    def tag(self) -> str | None:
        """The tag that the image gets in the end; None in an archive that needs none."""
        ...

    @property
    def traits(self) -> Traits:
        """What the place can hold."""
        ...

    @property
    def spooled_bytes(self) -> int:
        """What went to a temporary file, since standard output can be written only once."""
        ...

    def find_manifest(self, tag: str | None = None) -> Digest | None:
        """What the tag (by default the sink's own) points to now, None for nothing."""
        ...

    def read_manifest(self, digest: Digest) -> RawManifest:
        """A manifest that the sink holds already."""
        ...

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob that the sink holds already."""
        ...

    def has_blob(self, blob: Descriptor, repository: Repository | None = None) -> bool:
        """Whether the sink holds the blob, so that it need not be written.

        With `repository`, whether that repository of the same registry holds it.
        """
        ...

    def try_mount(self, blob: Descriptor, repository: Repository) -> bool:
        """Make a blob of another repository appear here without moving it.

        False where the sink cannot: another host, a registry that does not mount, no such blob.
        """
        ...

    def write_blob(
        self, chunks: Iterable[Chunk], digest: Digest | None = None, size: int | None = None
    ) -> WrittenBlob:
        """Store a stream; with `digest` given, fail where the bytes differ.

        `size`, where it is known, spares a detour where sizes come first. Where `chunks` raises,
        nothing stays behind (an upload session is cancelled) and the error passes through.
        """
        ...

    def write_manifest(self, manifest: RawManifest, tag: str | None = None) -> None:
        """Store a manifest, by its digest alone or under another tag; all that it names is in."""
        ...

    def publish(self, manifest: RawManifest) -> None:
        """Store the image's own manifest under the sink's tag: the last step."""
        ...

    def close(self) -> None:
        """Let go; what was begun and not published does not stay."""
        ...


@runtime_checkable
class ReferrerSink(Protocol):
    """A sink that can hold what refers to an image, beside it."""

    def write_referrer(self, manifest: RawManifest) -> None:
        """Store a manifest with a subject, so that who asks for its referrers finds it."""
        ...


@dataclass(frozen=True, slots=True)
class Traits:
    """What a kind of sink can hold.

    `indexes`: several platforms in one image. `docker`: manifests of Docker's family; OCI's are
    held everywhere. `compressed`: it wants them so. `readable`: what was written can be read
    before it is published. `keeps_others`: an image stays beside the new one, under another tag.
    `wants_name`: it takes an image without a tag, but those who read it have no name for it then.
    """

    indexes: bool = True
    docker: bool = True
    compressed: bool = True
    readable: bool = True
    keeps_others: bool = True
    wants_name: bool = False
