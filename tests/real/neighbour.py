"""A process that works on the repository that a cleanup deletes from, until its input ends.

usage: python -m tests.real.neighbour HOST REPO SEED

It moves `keep` tags back to old images, pushes indexes of old images over them, pushes new images
under new tags, pushes old tags again, and signs. On standard output it writes, as JSON, where each
`keep` tag that it touched has to point in the end.
"""

from __future__ import annotations

import json
import random
import select
import sys
from dataclasses import dataclass, field

from squashproxy.errors import RegistryError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.oci.mediatypes import OCI_INDEX
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.referrers import fallback_tag
from squashproxy.testing import ImageBuilder, LayerBuilder, artifact_manifest

_PAUSE_SECONDS = 0.01
_MOST_NEW = 3
_EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(slots=True)
class Neighbour:
    """Moves on a real registry; `wants` is what the registry has accepted last for each tag."""

    remote: RemoteRepository
    dice: random.Random
    wants: dict[str, str] = field(default_factory=dict)
    moves: int = 0
    _new: int = 0

    def move(self) -> None:
        """One move; one that the registry refuses, since something is gone, is none."""
        moves = [self._roll_back, self._push_index, self._push_index, self._push_over, self._sign]
        if self._new < _MOST_NEW and self.dice.random() < 0.02:
            moves = [self._push_new]
        try:
            self.dice.choice(moves)()
            self.moves += 1
        except RegistryError:
            return

    def _some(self, prefix: str) -> list[str]:
        return [tag for tag in self.remote.iter_tags() if tag.startswith(prefix)]

    def _old_image(self) -> Descriptor | None:
        tags = self._some("old")
        return self.remote.find_manifest(self.dice.choice(tags)) if tags else None

    def _keep_tag(self) -> str:
        """One that was there from the start: a new one could go along before anybody saw it."""
        return f"keep{self.dice.randrange(10)}"

    def _put(self, raw: RawManifest, tag: str) -> None:
        self.remote.put_manifest(raw, tag)
        if tag.startswith("keep"):
            self.wants[tag] = raw.digest

    def _roll_back(self) -> None:
        found = self._old_image()
        if found is not None:
            self._put(self.remote.get_manifest(found.digest), self._keep_tag())

    def _push_index(self) -> None:
        children = [each for each in (self._old_image(), self._old_image()) if each is not None]
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [child.to_json() for child in children],
            "annotations": {"number": str(self.moves)},
        }
        self._put(RawManifest(encode_json(document), OCI_INDEX), self._keep_tag())

    def _push_over(self) -> None:
        tags = self._some("old")
        if tags:
            self._put(self._image(), self.dice.choice(tags))

    def _push_new(self) -> None:
        self._new += 1
        self._put(self._image(), f"keep-new{self._new}")

    def _image(self) -> RawManifest:
        content = f"pushed {self.moves}".encode()
        image = ImageBuilder().layer(LayerBuilder().file("f", content)).build()
        for digest, data in image.blobs.items():
            self.remote.upload_blob([data], digest)
        return image.manifest

    def _sign(self) -> None:
        found = self._old_image()
        if found is None:
            return
        empty, _ = self.remote.upload_blob([b"{}"])
        config = Descriptor(_EMPTY, empty, 2)
        if self.dice.random() < 0.5:
            raw = artifact_manifest("text/plain", [config], config=config, subject=found)
            self.remote.put_manifest(raw, raw.digest)
        else:
            raw = artifact_manifest("text/plain", [config], config=config)
            self.remote.put_manifest(raw, f"{fallback_tag(found.digest)}.sig")


def main() -> None:
    """The command line."""
    host, repo, seed = sys.argv[1:]
    with RegistryClient(environ={}) as client:
        neighbour = Neighbour(client.repository(Repository(host, repo)), random.Random(seed))
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        while not select.select([sys.stdin], [], [], _PAUSE_SECONDS)[0]:
            neighbour.move()
    json.dump({"wants": neighbour.wants, "moves": neighbour.moves}, sys.stdout)


if __name__ == "__main__":
    main()
