"""The kinds of places that images are in, made alike for one suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from squashproxy.location import Location, Transport, parse_location
from squashproxy.reference import Reference
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import BuiltImage, BuiltIndex, FakeRegistry
from squashproxy.transports import archives
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.registry import RegistrySink, RegistrySource

KINDS = ("registry", *(transport.value for transport in Transport))
HOLDING_INDEXES = tuple(kind for kind in KINDS if kind != Transport.DOCKER_ARCHIVE.value)


@dataclass(slots=True)
class Place:
    """One place of a kind; `new` gives another of the same kind."""

    kind: str
    folder: Path
    registry: FakeRegistry
    client: RegistryClient
    opened: ExitStack

    def reference(self, name: str = "app:1") -> str:
        """Of the image of that name; of one without a name, in files, where it is empty."""
        if self.kind == "registry":
            return f"{self.registry.host}/{name}"
        if self.kind == Transport.DOCKER_ARCHIVE.value:
            return f"{self.kind}:{self.folder}/image.tar:{name}".rstrip(":")
        path = "layout" if self.kind == Transport.OCI.value else "layout.tar"
        return f"{self.kind}:{self.folder}/{path}:{name.partition(':')[2]}".rstrip(":")

    def source(self, name: str = "app:1") -> ImageSource:
        return self.open(parse_location(self.reference(name)))

    def sink(self, name: str = "app:1") -> ImageSink:
        location = parse_location(self.reference(name))
        sink: ImageSink
        if isinstance(location, Reference):
            sink = RegistrySink(self.client, location)
        else:
            sink = archives.open_sink(location)
        self.opened.callback(sink.close)
        return sink

    def open(self, location: Location) -> ImageSource:
        if isinstance(location, Reference):
            return RegistrySource(self.client, location)
        source = archives.open_source(location)
        self.opened.callback(source.close)
        return source

    def put(self, image: BuiltImage | BuiltIndex, name: str = "app:1") -> None:
        """Write a whole image through the sink."""
        sink = self.sink(name)
        write_blobs(sink, image)
        if isinstance(image, BuiltIndex):
            for child in image.images:
                sink.write_manifest(child.manifest)
        sink.publish(image.manifest)
        sink.close()

    def leftovers(self) -> list[str]:
        """What is on the disk, or in the registry under `app`."""
        if self.kind == "registry":
            return sorted(self.registry.blobs("app"))
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


def write_blobs(sink: ImageSink, image: BuiltImage | BuiltIndex) -> None:
    """Write all blobs of an image through a sink, as a copy would."""
    images = image.images if isinstance(image, BuiltIndex) else [image]
    for one in images:
        for digest, data in one.blobs.items():
            sink.write_blob((data,), digest, len(data))


@contextmanager
def open_places(folder: Path, *kinds: str) -> Iterator[list[Place]]:
    """Places of these kinds, each in a folder of its own; closed afterwards."""
    with (
        FakeRegistry() as registry,
        RegistryClient(environ={}, sleep=lambda _seconds: None) as client,
        ExitStack() as opened,
    ):
        places = [
            Place(kind, folder / str(number), registry, client, opened)
            for number, kind in enumerate(kinds)
        ]
        for place in places:
            place.folder.mkdir(parents=True)
        yield places
