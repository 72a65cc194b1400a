"""Images: configs, manifests and indexes that agree with each other, and with squashproxy.oci."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from squashproxy.digest import digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.config import parse_config
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, ImageManifest, parse_manifest
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import Platform
from squashproxy.testing import (
    Basic,
    Bearer,
    FakeRegistry,
    ImageBuilder,
    LayerBuilder,
    Packing,
    RegistryOptions,
    index_of,
)

Make = Callable[..., FakeRegistry]

BASE = LayerBuilder().directory("etc").file("etc/motd", b"hello")
TOP = LayerBuilder().whiteout("etc/motd").file("etc/issue", b"bye")
ARM = Platform("linux", "arm64", "v8")


@pytest.fixture(params=Family, ids=lambda family: family.value)
def family(request: pytest.FixtureRequest) -> Family:
    assert isinstance(request.param, Family)
    return request.param


def app(family: Family = Family.OCI, platform: Platform | None = None) -> ImageBuilder:
    builder = ImageBuilder(family, config={"Cmd": ["sh"]}, fields={"author": "ann"})
    if platform is not None:
        builder = ImageBuilder(family, platform=platform)
    return builder.layer(BASE, history="ADD base").instruction("CMD sh").layer(TOP, Packing.NONE)


def test_the_documents_agree_with_each_other(family: Family, registry: FakeRegistry) -> None:
    digest = app(family).push(registry, "app", "1")
    manifest = parse_manifest(registry.manifest("app", "1"), "the manifest")
    assert isinstance(manifest, ImageManifest)
    assert manifest.raw.digest == digest
    assert manifest.is_image
    assert mediatypes.family_of(manifest.raw.media_type) is family
    config = parse_config(registry.blob("app", manifest.config.digest), 2, "the config")
    base, top = (registry.blob("app", layer.digest) for layer in manifest.layers)
    assert (gzip.decompress(base), top) == (BASE.tar(), TOP.tar())
    assert config.diff_ids == (digest_of(BASE.tar()), digest_of(TOP.tar()))
    assert [len(base), len(top)] == [layer.size for layer in manifest.layers]
    assert config.document["config"] == {"Cmd": ["sh"]}
    assert config.document["author"] == "ann"


def test_history_without_empty_layers_equals_the_layers() -> None:
    built = app().build()
    history = json.loads(built.blobs[built.config.digest])["history"]
    assert [entry["created_by"] for entry in history] == ["ADD base", "CMD sh", "layer 2"]
    assert [entry.get("empty_layer", False) for entry in history] == [False, True, False]
    bare = app().without_history().build()
    assert "history" not in json.loads(bare.blobs[bare.config.digest])


def test_the_same_calls_give_the_same_digest() -> None:
    assert app().build() == app().build()


def test_a_layer_may_be_stored_elsewhere() -> None:
    foreign = Descriptor(
        mediatypes.DOCKER_FOREIGN_LAYER, digest_of(b"x"), 1, {"urls": ["https://example.com/x"]}
    )
    built = ImageBuilder(Family.DOCKER).stored_layer(foreign, digest_of(b"y")).build()
    manifest = parse_manifest(built.manifest, "the manifest")
    assert isinstance(manifest, ImageManifest)
    assert manifest.layers == (foreign,)
    assert set(built.blobs) == {built.config.digest}


def test_an_index_of_two_platforms_with_attestations(
    family: Family, registry: FakeRegistry
) -> None:
    images = [app(family).build(), app(family, ARM).build()]
    index = index_of(images, family, attestations=True)
    index.push(registry, "app", "multi")
    parsed = parse_manifest(registry.manifest("app", "multi"), "the index")
    assert isinstance(parsed, ImageIndex)
    assert [str(child.platform) for child in parsed.children] == [
        "linux/amd64",
        "linux/arm64/v8",
        "unknown/unknown",
        "unknown/unknown",
    ]
    assert [child.is_attestation for child in parsed.children] == [False, False, True, True]
    named = [child.descriptor.annotations for child in parsed.children[2:]]
    assert [entry["vnd.docker.reference.digest"] for entry in named] == [
        image.digest for image in images
    ]
    for child in parsed.children:
        held = registry.manifest("app", child.descriptor.digest)
        assert len(held.data) == child.descriptor.size
    assert set(registry.tags("app")) == {"multi"}


@pytest.mark.real
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(RegistryOptions(), id="friendly"),
        pytest.param(RegistryOptions(relative_locations=True, mounts=False), id="relative"),
        pytest.param(RegistryOptions(auth=Basic("ann", "secret")), id="basic"),
        pytest.param(RegistryOptions(auth=Bearer("ann", "secret")), id="bearer"),
    ],
)
def test_skopeo_copies_from_one_registry_to_another(
    family: Family, registry: FakeRegistry, options: RegistryOptions
) -> None:
    skopeo = shutil.which("skopeo")
    assert skopeo is not None, "skopeo must be installed"
    index = index_of([app(family), app(family, ARM)], family)
    digest = index.push(registry, "team/app", "1.0")
    with FakeRegistry(options) as target:
        command = [skopeo, "--insecure-policy", "copy", "--all", "--preserve-digests"]
        command += ["--src-tls-verify=false", "--dest-tls-verify=false"]
        command += ["--dest-creds=ann:secret"] if options.auth else []
        command += [f"docker://{registry.host}/team/app:1.0", f"docker://{target.host}/copied:2.0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert target.tags("copied") == {"2.0": digest}
        assert target.blobs("copied") == registry.blobs("team/app")
        assert target.open_uploads == 0
