"""Layouts whose index is the multi-arch index itself, and archives that lack what they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import OCI_INDEX
from squashproxy.testing import BuiltImage, FakeRegistry, artifact_manifest, attestation_of
from tests.cli.command_line import InProcess
from tests.pipeline.images import ARM64, S390X, app, without_layers
from tests.transports.tars import Content, docker_25, document, tar_of

Json = dict[str, Any]
AMD, ARM, Z = app(), app(platform=ARM64), app(platform=S390X)
NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"


def entry(
    image: BuiltImage, annotations: Mapping[str, str] | None = None, *, platform: bool = True
) -> Json:
    """An entry of an index."""
    found: Json = dict(image.manifest.descriptor.to_json())
    if platform:
        found["platform"] = {"os": "linux", "architecture": image.platform.architecture}
    if annotations:
        found["annotations"] = dict(annotations)
    return found


def blobs(*images: BuiltImage) -> dict[str, bytes]:
    """The files of images in a layout."""
    return {
        f"blobs/sha256/{digest[7:]}": data
        for image in images
        for digest, data in {**image.blobs, image.digest: image.manifest.data}.items()
    }


def index_of_entries(*entries: Json) -> bytes:
    return document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})


@dataclass(frozen=True, slots=True)
class Place:
    """Writes layouts, as folders and as tars."""

    folder: Path

    def layout(self, files: Mapping[str, Content], kind: str = "oci") -> str:
        whole = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', **files}
        if kind != "oci":
            (self.folder / "layout.tar").write_bytes(tar_of(whole))
            return f"{kind}:{self.folder}/layout.tar"
        for path, content in whole.items():
            file = self.folder / "layout" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            assert isinstance(content, bytes)
            file.write_bytes(content)
        return f"oci:{self.folder}/layout"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


INNER: dict[str, bytes] = {}
"""The indexes in an index, by digest."""
ARTIFACT = artifact_manifest(
    "application/vnd.amazon.soci.index.v2+json",
    [Descriptor("application/octet-stream", digest_of(b"soci"), 4)],
    config=Descriptor("application/vnd.oci.empty.v1+json", digest_of(b"{}"), 2),
)


def listed(raw: RawManifest) -> Json:
    return raw.descriptor.to_json()


def inner(child: Json, annotations: dict[str, str] | None = None) -> Json:
    """The entry of an index of one child, without a platform."""
    data = index_of_entries(child)
    INNER[digest_of(data)] = data
    told = {"annotations": annotations} if annotations else {}
    return {**listed(RawManifest(data, OCI_INDEX)), **told}


ATTESTED = entry(
    attestation_of(AMD),
    {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": AMD.digest,
    },
)
MULTI_ARCH: dict[str, bytes] = {
    "with platforms": index_of_entries(entry(AMD), entry(ARM)),
    "with an attestation": index_of_entries(entry(AMD), entry(ARM), ATTESTED),
    "without a media type": document({"schemaVersion": 2, "manifests": [entry(AMD), entry(ARM)]}),
    "with an index that states no platform": index_of_entries(entry(AMD), inner(entry(ARM))),
    "of indexes": index_of_entries(inner(entry(AMD)), inner(entry(ARM))),
    "with an index, and no platform at all": index_of_entries(
        entry(AMD, platform=False), inner(entry(ARM, platform=False))
    ),
    "with an artifact of the same platform": index_of_entries(
        entry(AMD), entry(ARM), {**entry(AMD), **listed(ARTIFACT)}
    ),
}
OF_ONE_NAME = index_of_entries(entry(AMD, {NAME: "1"}), entry(ARM, {NAME: "1"}))
FILES = {
    **blobs(AMD, ARM, attestation_of(AMD)),
    **{
        f"blobs/sha256/{digest_of(data)[7:]}": data
        for data in (*INNER.values(), ARTIFACT.data, b"{}", b"soci")
    },
}


def check_whole(squashproxy: InProcess, source: str, registry: FakeRegistry) -> None:
    """Every verb takes the image with both platforms."""
    for mode in ("squash", "prune"):
        done = squashproxy("copy", "--json", "--mode", mode, source, f"{registry.host}/{mode}:1")
        assert done.code == 0, done.err
        found = [each["platform"] for each in json.loads(done.out)["platforms"]]
        assert found == ["linux/amd64", "linux/arm64"]
        assert squashproxy("verify", source, f"{registry.host}/{mode}:1").code == 0
    assert squashproxy("copy", "--mode", "copy", source, f"{registry.host}/copy:1").code == 0
    for verb in ("plan", "inspect"):
        shown = squashproxy(verb, source)
        assert shown.code == 0
        assert "linux/arm64" in shown.out


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("index", MULTI_ARCH.values(), ids=MULTI_ARCH)
def test_an_index_json_that_is_the_multi_arch_index_is_one_image(
    squashproxy: InProcess, place: Place, registry: FakeRegistry, index: bytes, kind: str
) -> None:
    source = place.layout({"index.json": index, **FILES}, kind)
    check_whole(squashproxy, source, registry)
    assert registry.manifest("copy", "1").data == index


def test_entries_of_one_name_for_several_platforms_are_one_image(
    squashproxy: InProcess, place: Place, registry: FakeRegistry
) -> None:
    source = place.layout({"index.json": OF_ONE_NAME, **FILES}) + ":1"
    check_whole(squashproxy, source, registry)
    assert NAME not in registry.manifest("copy", "1").data.decode()


@pytest.mark.parametrize("index", MULTI_ARCH.values(), ids=MULTI_ARCH)
def test_platform_and_digest_choose_of_it(
    squashproxy: InProcess, place: Place, registry: FakeRegistry, index: bytes
) -> None:
    source = place.layout({"index.json": index, **FILES})
    exact = ("copy", "--mode", "copy")
    target = f"{registry.host}/app"
    assert squashproxy(*exact, "--platform", "linux/arm64", source, f"{target}:p").code == 0
    assert squashproxy(*exact, f"{source}@{ARM.digest}", f"{target}:d").code == 0
    assert squashproxy(*exact, f"{source}@{digest_of(index)}", f"{target}:i").code == 0
    assert registry.tags("app") == {"p": ARM.digest, "d": ARM.digest, "i": digest_of(index)}
    refused = squashproxy("plan", "--platform", "linux/s390x", source)
    assert refused.code == 1
    assert "has no image for linux/s390x; it has linux/amd64, linux/arm64" in refused.err


UNDECIDED: dict[str, tuple[list[Json], list[str]]] = {
    "two of one platform": (
        [entry(AMD), entry(without_layers("empty lists"))],
        [f"@{AMD.digest} (linux/amd64)"],
    ),
    "without platforms in the index": (
        [entry(AMD, platform=False), entry(without_layers("empty lists"), platform=False)],
        [f"@{AMD.digest} (linux/amd64)"],
    ),
    "two of one name, one of them an index": (
        [entry(AMD, {NAME: "v1"}), inner(entry(AMD), {NAME: "v1"})],
        [f"v1 @{AMD.digest} (linux/amd64)", "v1 @sha256:"],
    ),
    "named by containerd alone": (
        [entry(AMD, {FULL_NAME: "docker.io/library/a:1"}), entry(AMD, {NAME: "2"})],
        ["docker.io/library/a:1", "2"],
    ),
}


@pytest.mark.parametrize(
    ("entries", "words"), list(UNDECIDED.values())[:3], ids=list(UNDECIDED)[:3]
)
def test_messages_show_digests_and_platforms(
    squashproxy: InProcess, place: Place, entries: list[Json], words: list[str]
) -> None:
    files = {**FILES, **blobs(without_layers("empty lists"))}
    source = place.layout({"index.json": index_of_entries(*entries), **files})
    for asked in (source, f"{source}:absent"):
        refused = squashproxy("inspect", asked)
        assert refused.code == 1
        assert "without a name" not in refused.err
        for word in words:
            assert word in refused.err
    assert squashproxy("inspect", f"{source}@{AMD.digest}").code == 0


def test_images_for_platforms_that_only_their_configs_state_are_one_image(
    squashproxy: InProcess, place: Place
) -> None:
    entries = [entry(AMD, platform=False), entry(ARM, platform=False)]
    source = place.layout({"index.json": index_of_entries(*entries), **FILES})
    shown = squashproxy("inspect", source)
    assert shown.code == 0
    assert "linux/arm64" in shown.out


def test_a_name_of_containerd_alone_finds_its_image(squashproxy: InProcess, place: Place) -> None:
    entries, _ = UNDECIDED["named by containerd alone"]
    source = place.layout({"index.json": index_of_entries(*entries), **FILES})
    for name in ("a:1", "docker.io/library/a:1"):
        assert squashproxy("inspect", f"{source}:{name}").code == 0
    refused = squashproxy("inspect", f"{source}:absent")
    assert "there is 2, docker.io/library/a:1" in refused.err


@pytest.mark.parametrize("version", ['{"imageLayoutVersion":"1.1.0"}', "{}", ""])
def test_the_version_of_a_layout_does_not_matter(
    squashproxy: InProcess, place: Place, version: str
) -> None:
    files: dict[str, Content] = {"index.json": index_of_entries(entry(AMD)), **blobs(AMD)}
    assert squashproxy("inspect", place.layout({**files, "oci-layout": version.encode()})).code == 0


def saved(*present: BuiltImage, listed: BuiltImage = AMD) -> dict[str, Content]:
    """What docker with the containerd store saves of an image of three platforms."""
    index = index_of_entries(entry(AMD), entry(ARM), entry(Z))
    files: dict[str, Content] = {**docker_25(listed, "app:1"), **blobs(*present)}
    for image in {AMD.digest: AMD, ARM.digest: ARM, Z.digest: Z}.values():
        if image not in present:
            for path in blobs(image).keys() - blobs(*present).keys():
                files.pop(path, None)
    named = {
        "mediaType": OCI_INDEX,
        "digest": digest_of(index),
        "size": len(index),
        "annotations": {FULL_NAME: "docker.io/library/app:1", NAME: "1"},
    }
    files[f"blobs/sha256/{digest_of(index)[7:]}"] = index
    return {**files, "index.json": index_of_entries(named)}


SAVED: dict[str, Callable[[], dict[str, Content]]] = {
    "one platform of three": lambda: saved(AMD),
    "manifests of all, layers of one": lambda: {
        **saved(AMD),
        **{f"blobs/sha256/{each.digest[7:]}": each.manifest.data for each in (ARM, Z)},
    },
}


@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
@pytest.mark.parametrize("files", SAVED.values(), ids=SAVED)
def test_what_an_archive_holds_is_used_and_what_is_absent_is_named(
    squashproxy: InProcess,
    place: Place,
    registry: FakeRegistry,
    files: Callable[[], dict[str, Content]],
    mode: str,
) -> None:
    source, target = place.layout(files(), "oci-archive"), f"{registry.host}/app:1"
    done = squashproxy("copy", "--mode", mode, "--json", source, target)
    assert done.code == 0, done.err
    (warning,) = json.loads(done.out)["warnings"]
    assert "names images that it does not hold; they are left out: linux/arm64 (" in warning
    assert "linux/s390x (" in warning
    assert warning in done.err
    assert [each["platform"] for each in json.loads(done.out)["platforms"]] == ["linux/amd64"]
    verified = squashproxy("verify", source, target)
    assert verified.code == 0
    assert "linux/arm64" in verified.err
    again = squashproxy("copy", "--mode", mode, "--json", source, target)
    assert json.loads(again.out)["skipped"]
    for choice in (["--platform", "linux/amd64"], []):
        assert squashproxy("plan", *choice, source).code == 0
    refused = squashproxy("plan", "--platform", "linux/arm64", source)
    assert (refused.code, "it has linux/amd64" in refused.err) == (1, True)
    assert squashproxy("inspect", source).code == 0


def test_an_index_of_which_nothing_is_there_names_all(squashproxy: InProcess, place: Place) -> None:
    refused = squashproxy("plan", place.layout(saved(), "oci-archive"))
    assert refused.code == 1
    assert "holds none of the images that its index names: linux/amd64 (" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("mode", ["squash", "prune"])
@pytest.mark.parametrize("listed", [AMD, ARM], ids=["listed and there", "listed and absent"])
def test_a_docker_archive_gives_the_platform_that_it_holds(
    squashproxy: InProcess, place: Place, registry: FakeRegistry, listed: BuiltImage, mode: str
) -> None:
    source = place.layout(saved(AMD, listed=listed), "docker-archive")
    done = squashproxy("copy", "--mode", mode, "--json", source, f"{registry.host}/app:1")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [each["source_digest"] for each in found["platforms"]] == [AMD.digest]
    warned = [f"@{AMD.digest} (linux/amd64) is used" in each for each in found["warnings"]]
    assert warned == ([True] if listed is ARM else [])
    assert squashproxy("verify", source, f"{registry.host}/app:1").code == 0


def test_a_docker_archive_with_several_in_place_of_the_absent_one_lists_them(
    squashproxy: InProcess, place: Place
) -> None:
    source = place.layout(saved(AMD, Z, listed=ARM), "docker-archive")
    refused = squashproxy("plan", source)
    assert refused.code == 1
    assert f"@{AMD.digest} (linux/amd64), @{Z.digest} (linux/s390x)" in refused.err
    assert "--platform" in refused.err


def test_a_signature_beside_the_only_image_is_no_second_one(
    squashproxy: InProcess, place: Place
) -> None:
    config = b"{}"
    raw = document(
        {
            "schemaVersion": 2,
            "mediaType": AMD.manifest.media_type,
            "artifactType": "text/plain",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": digest_of(config),
                "size": 2,
            },
            "layers": [],
            "subject": AMD.manifest.descriptor.to_json(),
        }
    )
    signature = {"mediaType": AMD.manifest.media_type, "digest": digest_of(raw), "size": len(raw)}
    files: dict[str, Content] = {
        **blobs(AMD),
        f"blobs/sha256/{digest_of(config)[7:]}": config,
        f"blobs/sha256/{Digest(digest_of(raw))[7:]}": raw,
        "index.json": index_of_entries(entry(AMD), signature),
    }
    assert squashproxy("inspect", place.layout(files)).code == 0
