"""`squashproxy verify` against registries on loopback: every kind of difference, and no alarm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.platform import Platform
from squashproxy.testing import (
    FakeRegistry,
    Fault,
    FaultKind,
    ImageBuilder,
    LayerBuilder,
    Packing,
    artifact_manifest,
    index_of,
)
from tests.cli.command_line import InProcess

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
OTHER_CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
NOTE = b"=\n\xff"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BASE = LayerBuilder().directory("etc").file("etc/base", b"base")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


def layer() -> LayerBuilder:
    """The folder that all differences are in."""
    return LayerBuilder().directory("d", mode=0o755)


def image(*layers: LayerBuilder, platform: Platform = AMD64) -> ImageBuilder:
    builder = ImageBuilder(platform=platform)
    for tar in layers:
        builder.layer(tar)
    return builder


def told(name: str, value: bytes) -> str:
    """An extended attribute as a difference shows it."""
    return f"{name} ({len(value)} bytes, sha256 {sha256(value).hexdigest()[:12]})"


def verified(squashproxy: InProcess, registry: FakeRegistry, *options: str) -> dict[str, Any]:
    """The document of a comparison of a:1 with b:1, whose exit code must agree with it."""
    host = registry.host
    outcome = squashproxy("verify", "--json", *options, f"{host}/a:1", f"{host}/b:1")
    assert outcome.err == ""
    document = json.loads(outcome.out)
    assert isinstance(document, dict)
    assert outcome.code == (0 if document["identical"] else 4)
    return document


DIFFERENCES = {
    "a path that is missing": (
        layer().file("d/x").file("d/y"),
        layer().file("d/y"),
        [("d/x", "missing", "file", "absent")],
    ),
    "a path too many": (
        layer().file("d/y"),
        layer().symlink("d/x", "y").file("d/y"),
        [("d/x", "extra", "absent", "symlink")],
    ),
    "a folder that is missing with all in it": (
        layer().directory("d/e").file("d/e/x").directory("d/e/f"),
        layer(),
        [
            ("d/e", "missing", "directory", "absent"),
            ("d/e/f", "missing", "directory", "absent"),
            ("d/e/x", "missing", "file", "absent"),
        ],
    ),
    "a file that became a symlink": (
        layer().file("d/x"),
        layer().symlink("d/x", "y"),
        [("d/x", "type", "file", "symlink")],
    ),
    "a folder that became a file": (
        layer().directory("d/x").fifo("d/x/y"),
        layer().file("d/x"),
        [("d/x", "type", "directory", "file"), ("d/x/y", "missing", "fifo", "absent")],
    ),
    "a mode": (
        layer().file("d/x", mode=0o755),
        layer().file("d/x", mode=0o4755),
        [("d/x", "mode", "0755", "4755")],
    ),
    "a folder's mode": (
        layer(),
        LayerBuilder().directory("d", mode=0o1777),
        [("d", "mode", "0755", "1777")],
    ),
    "an owner": (
        layer().file("d/x", uid=1000, gid=7),
        layer().file("d/x", uid=1000, gid=3_000_000),
        [("d/x", "owner", "1000:7", "1000:3000000")],
    ),
    "a symlink's owner": (
        layer().symlink("d/x", "y", uid=1),
        layer().symlink("d/x", "y"),
        [("d/x", "owner", "1:0", "0:0")],
    ),
    "a nanosecond": (
        layer().file("d/x", records=(("mtime", b"1700000000.000000001"),)),
        layer().file("d/x", records=(("mtime", b"1700000000.000000002"),)),
        [
            (
                "d/x",
                "mtime",
                "2023-11-14T22:13:20.000000001Z",
                "2023-11-14T22:13:20.000000002Z",
            )
        ],
    ),
    "a time before 1970": (
        layer().file("d/x", mtime=-0.5),
        layer().file("d/x", mtime=0),
        [("d/x", "mtime", "1969-12-31T23:59:59.500000000Z", "1970-01-01T00:00:00.000000000Z")],
    ),
    "an extended attribute's bytes, which are not printed": (
        layer().file("d/x", xattrs={"security.capability": CAPABILITY}),
        layer().file("d/x", xattrs={"security.capability": OTHER_CAPABILITY}),
        [
            (
                "d/x",
                "xattrs",
                told("security.capability", CAPABILITY),
                told("security.capability", OTHER_CAPABILITY),
            )
        ],
    ),
    "an extended attribute that is missing": (
        layer().file("d/x", xattrs={"user.note": NOTE}),
        layer().file("d/x"),
        [("d/x", "xattrs", told("user.note", NOTE), "none")],
    ),
    "a byte of content": (
        layer().file("d/x", b"data"),
        layer().file("d/x", b"date"),
        [
            (
                "d/x",
                "content",
                "sha256 3a6eb0790f39, 4 bytes",
                "sha256 0e87632cd46b, 4 bytes",
            )
        ],
    ),
    "a symlink's target": (
        layer().symlink("d/x", "../y"),
        layer().symlink("d/x", "/y"),
        [("d/x", "target", "../y", "/y")],
    ),
    "a device's numbers": (
        layer().device("d/x", 1, 3).device("d/y", 7, 0, block=True),
        layer().device("d/x", 1, 5).device("d/y", 8, 0, block=True),
        [("d/x", "device", "1:3", "1:5"), ("d/y", "device", "7:0", "8:0")],
    ),
    "a character device that became a block device": (
        layer().device("d/x", 1, 3),
        layer().device("d/x", 1, 3, block=True),
        [("d/x", "type", "character device", "block device")],
    ),
    "a hard link that became a copy": (
        layer().file("d/x", b"x").hardlink("d/y", "d/x").hardlink("d/z", "d/x"),
        layer().file("d/x", b"x").hardlink("d/y", "d/x").file("d/z", b"x"),
        [
            ("d/x", "links", "d/x, d/y, d/z", "d/x, d/y"),
            ("d/y", "links", "d/x, d/y, d/z", "d/x, d/y"),
            ("d/z", "links", "d/x, d/y, d/z", "d/z"),
        ],
    ),
    "a name that is no text": (
        layer().file(b"d/\xff\x1b[31m"),
        layer(),
        [("d/\\xff\x1b[31m", "missing", "file", "absent")],
    ),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_difference_is_found_and_named(
    squashproxy: InProcess, registry: FakeRegistry, case: str
) -> None:
    a, b, expected = DIFFERENCES[case]
    image(BASE, a).push(registry, "a", "1")
    image(BASE, b).push(registry, "b", "1")
    (platform,) = verified(squashproxy, registry)["platforms"]
    assert [tuple(found.values()) for found in platform["differences"]] == expected
    assert platform["differences_count"] == len(expected)


def test_the_document_has_the_fields_of_the_contract(
    squashproxy: InProcess, registry: FakeRegistry
) -> None:
    a = image(BASE, layer().file("d/x")).push(registry, "a", "1")
    b = image(BASE, layer()).push(registry, "b", "1")
    document = verified(squashproxy, registry)
    seconds = document.pop("seconds")
    assert seconds >= 0
    assert document == {
        "a": f"{registry.host}/a:1",
        "a_digest": a,
        "b": f"{registry.host}/b:1",
        "b_digest": b,
        "identical": False,
        "warnings": [],
        "platforms": [
            {
                "platform": "linux/amd64",
                "a_digest": a,
                "b_digest": b,
                "paths": 4,
                "differences_count": 1,
                "differences": [{"path": "d/x", "kind": "missing", "a": "file", "b": "absent"}],
            }
        ],
        "chain": {
            "checked": False,
            "links": [{"digest": b, "source_digest": None, "matches": False}],
            "signed_by": [],
            "signatures": 0,
            "provenance": [],
            "broken": [],
            "doubts": [],
        },
    }


def test_layers_packed_and_divided_in_other_ways_are_the_same(
    squashproxy: InProcess, registry: FakeRegistry
) -> None:
    image(BASE, layer().file("d/x").file("gone"), layer().whiteout("gone")).push(registry, "a", "1")
    whole = LayerBuilder().file("d/x").directory("d").directory("./etc/").file("/etc/base", b"base")
    ImageBuilder().layer(whole, Packing.ZSTD).push(registry, "b", "1")
    document = verified(squashproxy, registry)
    assert document["identical"]
    assert document["platforms"][0]["paths"] == 4


def test_a_layer_that_both_begin_with_is_read_on_both_sides(
    squashproxy: InProcess, registry: FakeRegistry
) -> None:
    built = image(BASE, layer().file("d/x")).build()
    built.push(registry, "a", "1")
    image(BASE, layer().file("d/y")).push(registry, "b", "1")
    verified(squashproxy, registry)
    fetched = [
        exchange.path
        for exchange in registry.requests
        if exchange.method == "GET" and exchange.path.endswith(built.layers[0].digest)
    ]
    assert fetched == [f"/v2/{name}/blobs/{built.layers[0].digest}" for name in ("a", "b")]


@pytest.mark.parametrize("base", ["none", "1", "auto"])
def test_a_copy_verifies(squashproxy: InProcess, registry: FakeRegistry, base: str) -> None:
    app = layer().file("d/x", b"x" * 9000).hardlink("d/y", "d/x").opaque("etc")
    top = layer().whiteout("d/x").file("d/z", xattrs={"security.capability": CAPABILITY})
    index_of([image(BASE, app, top, platform=own) for own in (AMD64, ARM64)]).push(
        registry, "a", "1"
    )
    host = registry.host
    assert squashproxy("copy", "-q", "--base", base, f"{host}/a:1", f"{host}/b:1").code == 0
    document = verified(squashproxy, registry)
    assert document["identical"]
    assert [entry["platform"] for entry in document["platforms"]] == ["linux/amd64", "linux/arm64"]


INDEXES = {
    "both platforms, in another order": ([AMD64, ARM64], [ARM64, AMD64], [], {}),
    "A has one more": (
        [AMD64, ARM64],
        [AMD64],
        [],
        {"linux/arm64": ("linux/arm64", "absent")},
    ),
    "B has one more": (
        [AMD64],
        [ARM64, AMD64],
        [],
        {"linux/arm64": ("absent", "linux/arm64")},
    ),
    "B has one more, which was not asked for": ([AMD64], [AMD64, ARM64], ["linux/amd64"], {}),
    "the same words before what also matches": (
        [Platform("linux", "arm"), Platform("linux", "arm", "v6")],
        [Platform("linux", "arm", "v6"), Platform("linux", "arm")],
        [],
        {},
    ),
    "the default variant, said and not said": (
        [ARM64],
        [Platform("linux", "arm64", "v8")],
        [],
        {},
    ),
}


@pytest.mark.parametrize("case", INDEXES)
def test_indexes_are_paired_by_platform(
    squashproxy: InProcess, registry: FakeRegistry, case: str
) -> None:
    ours, theirs, wanted, expected = INDEXES[case]
    for repo, platforms in (("a", ours), ("b", theirs)):
        images = [image(LayerBuilder().file(str(own)[:11]), platform=own) for own in platforms]
        index_of(images, attestations=True).push(registry, repo, "1")
    options = [part for platform in wanted for part in ("--platform", platform)]
    document = verified(squashproxy, registry, *options)
    found = {
        entry["platform"]: (difference["a"], difference["b"])
        for entry in document["platforms"]
        for difference in entry["differences"]
        if difference["kind"] == "platform"
    }
    assert found == expected
    assert document["identical"] == (not expected)
    for entry in document["platforms"]:
        is_whole = entry["a_digest"] is not None and entry["b_digest"] is not None
        assert is_whole == (entry["platform"] not in expected)


@pytest.mark.parametrize("turned", [False, True], ids=["index-first", "image-first"])
def test_a_single_image_is_compared_with_the_one_of_its_platform(
    squashproxy: InProcess, registry: FakeRegistry, turned: bool
) -> None:
    names = ("b", "a") if turned else ("a", "b")
    index = index_of([image(BASE, platform=own) for own in (AMD64, ARM64)])
    index.push(registry, names[0], "1")
    image(BASE, platform=ARM64).push(registry, names[1], "1")
    (platform,) = verified(squashproxy, registry)["platforms"]
    assert (platform["platform"], platform["differences"]) == ("linux/arm64", [])


def test_two_single_images_of_two_platforms_differ_in_that(
    squashproxy: InProcess, registry: FakeRegistry
) -> None:
    image(BASE, platform=AMD64).push(registry, "a", "1")
    image(BASE, platform=ARM64).push(registry, "b", "1")
    (platform,) = verified(squashproxy, registry)["platforms"]
    assert platform["paths"] == 2
    assert platform["differences"] == [
        {"path": "", "kind": "platform", "a": "linux/amd64", "b": "linux/arm64"}
    ]


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        pytest.param(ARM64, "which {host}/a:1 has no image for; it has linux/amd64", id="single"),
        pytest.param(None, "neither image is for linux/s390x", id="asked-for"),
    ],
)
def test_a_platform_that_is_not_there_is_an_error(
    squashproxy: InProcess, registry: FakeRegistry, platform: Platform | None, words: str
) -> None:
    index_of([image(BASE)]).push(registry, "a", "1")
    image(BASE, platform=platform or AMD64).push(registry, "b", "1")
    options = [] if platform else ["--platform", "linux/s390x"]
    outcome = squashproxy("verify", *options, f"{registry.host}/a:1", f"{registry.host}/b:1")
    assert (outcome.code, outcome.out) == (1, "")
    assert words.format(host=registry.host) in outcome.err


def broken(registry: FakeRegistry, case: str) -> None:
    """Put at b:1 something that cannot be compared."""
    good = image(BASE, layer().file("d/x", b"x" * 3000))
    tar = layer().file("d/x", b"y" * 3000).tar()
    match case:
        case "diff-id":
            data = layer().tar()
            digest = registry.put_blob("b", data)
            descriptor = Descriptor("application/vnd.oci.image.layer.v1.tar", digest, len(data))
            good.stored_layer(descriptor, digest_of(b"something else")).push(registry, "b", "1")
        case "truncated":
            good.layer(tar[:1700]).push(registry, "b", "1")
        case "outside":
            good.layer(LayerBuilder().file("d/../../etc/passwd")).push(registry, "b", "1")
        case "link":
            good.layer(LayerBuilder().hardlink("d/y", "d/nothing")).push(registry, "b", "1")
        case "damaged":
            built = good.layer(tar).build()
            built.push(registry, "b", "1")
            fault = Fault("GET", built.layers[2].digest, FaultKind.CORRUPT, after_bytes=30)
            registry.arm(replace(fault, times=100))
        case "artifact":
            config = Descriptor("application/vnd.example", registry.put_blob("b", b"{}"), 2)
            manifest = artifact_manifest("application/vnd.example", [], config=config)
            registry.put_manifest("b", "1", manifest.data, manifest.media_type)
        case "wasm":
            data = b"\0asm"
            blob = Descriptor("application/wasm", registry.put_blob("b", data), len(data))
            good.stored_layer(blob, blob.digest).push(registry, "b", "1")
        case _:
            raise AssertionError(case)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("diff-id", ["layer 3 of 3 (sha256:", "b:1 unpacks to sha256:", "config says"]),
        ("truncated", ["layer 3 of 3", "is cut short or damaged"]),
        ("outside", ["layer 3 of 3", "/d/../../etc/passwd leads out of the image with '..'"]),
        ("link", ["layer 3 of 3", "the hard link /d/y points to /d/nothing"]),
        ("damaged", ["has the digest sha256:", "instead of sha256:"]),
        ("artifact", ["'application/vnd.example'", "no container image"]),
        ("wasm", ["'application/wasm'", "no layer that can be unpacked"]),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    squashproxy: InProcess, registry: FakeRegistry, case: str, words: list[str]
) -> None:
    image(BASE, layer().file("d/x", b"x" * 3000)).push(registry, "a", "1")
    broken(registry, case)
    outcome = squashproxy("verify", f"{registry.host}/a:1", f"{registry.host}/b:1")
    assert (outcome.code, outcome.out) == (1, "")
    *warnings, error = outcome.err.splitlines()
    assert len(warnings) == (case == "damaged"), "what came wrong is read once more"
    for word in words:
        assert word in error


def test_a_missing_image_and_a_bad_reference(
    squashproxy: InProcess, registry: FakeRegistry
) -> None:
    image(BASE).push(registry, "a", "1")
    assert squashproxy("verify", f"{registry.host}/a:1", f"{registry.host}/a:2").code == 1
    assert squashproxy("verify", f"{registry.host}/a:1", "A:B:C").code == 2
    assert squashproxy("verify", f"{registry.host}/a:1").code == 2


def test_the_report_tells_the_verdict(squashproxy: InProcess, registry: FakeRegistry) -> None:
    for repo in ("a", "b"):
        image(BASE).push(registry, repo, "1")
    outcome = squashproxy("verify", f"{registry.host}/a:1", f"{registry.host}/b:1")
    assert (outcome.code, outcome.err) == (0, "")
    assert "\nlinux/amd64: the same tree; 2 paths compared" in outcome.out


@pytest.mark.parametrize("code", [0, 4])
def test_quiet_says_nothing_but_its_exit_code(
    squashproxy: InProcess, registry: FakeRegistry, code: int
) -> None:
    image(BASE).push(registry, "a", "1")
    image(BASE, *([layer()] if code else [])).push(registry, "b", "1")
    outcome = squashproxy("verify", "-q", f"{registry.host}/a:1", f"{registry.host}/b:1")
    assert (outcome.code, outcome.out, outcome.err) == (code, "", "")
