"""Images in archives of `docker save` and similar tools: a tar with a `manifest.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial

from squashproxy.decimals import parse_decimal
from squashproxy.digest import Digest, Verified
from squashproxy.errors import ArchiveError, BadReference, FormatError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import MAX_MANIFEST, RawManifest
from squashproxy.reference import DOCKER_HUB, Reference, parse_reference
from squashproxy.transports import legacy, saved
from squashproxy.transports.file_place import FiledSource
from squashproxy.transports.files import read_file
from squashproxy.transports.layout import INDEX, NO_NAME, no_such_image
from squashproxy.transports.saved import MANIFEST, SavedImage

_LIBRARY = "library/"


class DockerArchiveSource(FiledSource):
    """One image of a docker archive.

    Archives of docker 25 and later and of BuildKit also hold an OCI layout, whose manifest is used.
    For others a manifest is made, in Docker's schema 2.
    """

    chooses_compression = False
    keeps_digests = False

    def find_digest(self) -> Digest:
        """The digest of the image's manifest. Raises NoSuchImage, ArchiveError, FormatError."""
        return self._image.manifest.digest

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        """The manifest of the image. Raises NoSuchImage for the digest of another one."""
        manifest = self._image.manifest
        if digest is not None and digest != manifest.digest:
            raise no_such_image(self.name, digest, [manifest.digest])
        return manifest

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob; size and digest are checked at its end. Raises ArchiveError."""
        data = self._image.documents.get(blob.digest)
        what = f"blob {blob.digest[:19]} of {self._files.name}"
        if data is not None:
            return iter(Verified((data,), blob.digest, blob.size, what))
        path = self._image.paths.get(blob.digest)
        if path is None:
            raise ArchiveError(f"{self._files.name} holds no blob {blob.digest} of {self.name}")
        return iter(Verified(self._files.iter_file(path), blob.digest, blob.size, what))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the archive lists and does not hold. Raises NoSuchImage, ArchiveError."""
        return self._image.warnings

    @property
    def names(self) -> list[str]:
        """The full names of all images in the archive, NO_NAME for those without one."""
        return [name for names, _ in self._listed for name in names or (NO_NAME,)]

    @cached_property
    def _listed(self) -> list[tuple[tuple[str, ...], Callable[[], SavedImage]]]:
        """The images that the archive lists: their full names, each with a function to open it."""
        files = self._files
        if files.find(MANIFEST) is not None:
            images = saved.read_list(read_file(files, MANIFEST, MAX_MANIFEST), files)
            return [
                (tuple(map(normal_name, image.names)), partial(saved.open_image, files, image))
                for image in images
            ]
        if files.find(legacy.REPOSITORIES) is not None:
            return [
                ((normal_name(name),), partial(legacy.open_image, files, layer))
                for name, layer in legacy.read_names(files).items()
            ]
        raise self._no_docker_archive()

    @cached_property
    def _image(self) -> SavedImage:
        chosen = self._choose()
        if chosen is None:
            names = self.names
            if (self._reference.name or "").startswith("@"):
                names = [
                    f"@{number} {(*names, NO_NAME)[0]}"
                    for number, (names, _) in enumerate(self._listed)
                ]
            raise no_such_image(self.name, self._reference.name, names)
        _, open_image = self._listed[chosen]
        return open_image()

    def _choose(self) -> int | None:
        """The number of the image that the reference names; the only image where it names none."""
        name, count = self._reference.name, len(self._listed)
        if name is None:
            return 0 if count == 1 else None
        if name.startswith("@"):
            number = parse_decimal(name[1:])
            return number if number is not None and number < count else None
        wanted = normal_name(name)
        return next((at for at, (names, _) in enumerate(self._listed) if wanted in names), None)

    def _no_docker_archive(self) -> ArchiveError:
        if self._files.find(INDEX) is not None:
            return ArchiveError(
                f"{self._files.name} is no docker archive but an OCI layout",
                advice="name it as oci-archive:",
            )
        if self._files.is_cut_short:
            return ArchiveError(
                f"{self._files.name} is no docker archive: it is cut short",
                advice="save the image again",
            )
        return ArchiveError(
            f"{self._files.name} is no docker archive: it has no {MANIFEST}",
            advice="give what docker save or the like wrote",
        )


def normal_name(name: str) -> str:
    """A name with docker.io, library/ and latest filled in; unchanged where it is no reference."""
    try:
        return str(parse_reference(name))
    except (BadReference, FormatError):
        return name


def familiar_name(reference: Reference) -> str:
    """A reference as docker shows it and writes it into archives."""
    repository = reference.repository
    if repository.host != DOCKER_HUB:
        return f"{repository}:{reference.tag}"
    return f"{repository.path.removeprefix(_LIBRARY)}:{reference.tag}"
