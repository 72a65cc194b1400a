"""`copy --mode copy` on the command line: registries, layouts and archives, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from squashproxy.digest import Digest
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Family
from squashproxy.testing import (
    BuiltIndex,
    FakeRegistry,
    Fault,
    FaultKind,
    RegistryOptions,
    artifact_manifest,
    index_of,
)
from tests.cli.command_line import InProcess
from tests.pipeline.images import ARM64, app, other
from tests.promotion.pair import sign
from tests.transports.tars import docker_20, tar_of

EXACT = ("copy", "--mode", "copy", "--json")


@pytest.fixture
def old() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def new() -> Iterator[FakeRegistry]:
    with FakeRegistry(RegistryOptions(referrers=False)) as registry:
        yield registry


def index() -> BuiltIndex:
    return index_of([app(), app(platform=ARM64)], attestations=True)


def copied(squashproxy: InProcess, *arguments: str) -> dict[str, Any]:
    outcome = squashproxy(*EXACT, *arguments)
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    document: dict[str, Any] = json.loads(outcome.out)
    return document


def signed_index(registry: FakeRegistry) -> tuple[Digest, set[str]]:
    """An index at a registry with a signature, one of that, and a tag; their digests."""
    built = index()
    digest = built.push(registry, "app", "1")
    signature = sign(registry, "app", built.manifest.descriptor)
    raw = registry.manifest("app", signature)
    subject = Descriptor(raw.media_type, raw.digest, len(raw.data))
    config = Descriptor("text/plain", registry.put_blob("app", b"{}"), 2)
    second = artifact_manifest("text/plain", [], config=config, subject=subject)
    return digest, {
        signature,
        registry.put_manifest("app", None, second.data, second.media_type),
    }


@pytest.mark.parametrize("between", ["oci:{}/layout:1", "oci:{}/layout", "oci-archive:{}/a.tar:1"])
def test_a_layout_or_an_archive_carries_everything_to_another_registry(
    squashproxy: InProcess, old: FakeRegistry, new: FakeRegistry, tmp_path: Path, between: str
) -> None:
    digest, referrers = signed_index(old)
    place = between.format(tmp_path)
    there = copied(squashproxy, "--referrers", f"{old.host}/app:1", place)
    assert there["digest"] == digest
    assert {each["digest"] for each in there["referrers"]} == referrers
    assert copied(squashproxy, "--referrers", f"{old.host}/app:1", place)["skipped"]
    back = copied(squashproxy, "--referrers", place, f"{new.host}/app:1")
    assert back["digest"] == digest
    tag = digest.replace(":", "-")
    assert {"1", tag, f"{tag}.sig"} < set(new.tags("app"))
    assert new.manifests("app") >= {digest, *referrers}
    for each in {digest, *referrers}:
        assert new.manifest("app", each).data == old.manifest("app", each).data
    assert copied(squashproxy, "--referrers", place, f"{new.host}/app:1")["skipped"]


@pytest.mark.parametrize("place", ["oci:{}/layout:1", "oci-archive:{}/a.tar:1"])
def test_a_signature_that_came_later_is_added_to_the_image_that_is_there(
    squashproxy: InProcess, old: FakeRegistry, tmp_path: Path, place: str
) -> None:
    built = app()
    built.push(old, "app", "1")
    target = place.format(tmp_path)
    copied(squashproxy, "--referrers", f"{old.host}/app:1", target)
    signature = sign(old, "app", built.manifest.descriptor)
    result = copied(squashproxy, "--referrers", f"{old.host}/app:1", target)
    assert {each["digest"] for each in result["referrers"]} == {signature}
    assert [each["tag"] for each in result["referrers"]] == [
        None,
        built.digest.replace(":", "-") + ".sig",
    ]
    assert copied(squashproxy, "--referrers", f"{old.host}/app:1", target)["skipped"]


def test_a_layout_with_referrers_holds_one_image_by_name(
    squashproxy: InProcess, old: FakeRegistry, tmp_path: Path
) -> None:
    """Lists of referrers are no images that one could have meant."""
    digest, _ = signed_index(old)
    copied(squashproxy, "--referrers", f"{old.host}/app:1", f"oci:{tmp_path}/layout:1")
    document = json.loads((tmp_path / "layout" / "index.json").read_bytes())
    assert len(document["manifests"]) == 4
    inspected = squashproxy("inspect", "--json", f"oci:{tmp_path}/layout")
    assert json.loads(inspected.out)["digest"] == digest


def test_a_failed_copy_leaves_no_layout(
    squashproxy: InProcess, old: FakeRegistry, tmp_path: Path
) -> None:
    _, referrers = signed_index(old)
    raw = old.manifest("app", min(referrers))
    blob = json.loads(raw.data)["config"]["digest"]
    old.arm(Fault("GET", f"/blobs/{blob}", FaultKind.ANSWER, status=404, times=99))
    outcome = squashproxy(*EXACT, "--referrers", f"{old.host}/app:1", f"oci:{tmp_path}/layout:1")
    assert outcome.code == 1
    assert not (tmp_path / "layout").exists()


def test_docker_types_stay_in_a_layout_with_a_warning(
    squashproxy: InProcess, old: FakeRegistry, new: FakeRegistry, tmp_path: Path
) -> None:
    digest = app(Family.DOCKER).push(old, "app", "1")
    outcome = squashproxy(*EXACT, f"{old.host}/app:1", f"oci:{tmp_path}/layout:1")
    assert json.loads(outcome.out)["digest"] == digest
    assert "has Docker's media types, and keeps them" in outcome.err
    assert copied(squashproxy, f"oci:{tmp_path}/layout:1", f"{new.host}/app:1")["digest"] == digest
    assert new.manifest("app", "1").data == old.manifest("app", "1").data


def test_an_archive_of_docker_save_is_copied_as_it_is(
    squashproxy: InProcess, new: FakeRegistry, tmp_path: Path
) -> None:
    archive = tmp_path / "app.tar"
    archive.write_bytes(tar_of(docker_20(app(), "app:1")))
    outcome = squashproxy(*EXACT, f"docker-archive:{archive}", f"{new.host}/app:1")
    document = json.loads(outcome.out)
    assert outcome.code == 0
    assert document["digest"] == document["source_digest"] == new.tags("app")["1"]
    assert "keeps no digest of a registry" in outcome.err


def test_the_report_names_digest_and_referrers(
    squashproxy: InProcess, old: FakeRegistry, new: FakeRegistry
) -> None:
    digest, _ = signed_index(old)
    outcome = squashproxy(
        *("copy", "--mode", "copy", "--referrers", f"{old.host}/app:1", f"{new.host}/app:1")
    )
    assert outcome.code == 0
    for words in ("linux/arm64", app(platform=ARM64).digest[:19], "referrer", digest, ".sig of"):
        assert words in outcome.out, outcome.out


REFUSED = {
    "a base": (["--base", "none"], "--base shapes a squashed or pruned image"),
    "the default base, written out": (["--base", "auto"], "--base shapes"),
    "a base repository": (["--base-repo", "r.example.com/b"], "--base-repo shapes"),
    "a compression": (["--compression", "zstd"], "--compression shapes"),
    "strict": (["--strict"], "--strict shapes"),
    "a threshold": (["--prune-over", "5%"], "--prune-over shapes"),
    "provenance": (["--provenance"], "--provenance shapes"),
    "limits": (
        ["--max-unpacked", "1G", "--max-entries", "9", "--max-ratio", "9"],
        "--max-unpacked and --max-entries and --max-ratio shape",
    ),
    "two platforms": (
        ["--platform", "linux/amd64", "--platform", "linux/arm64"],
        (
            "only linux/amd64, linux/arm64 would be another index with another digest; name one "
            "--platform, or none to copy all"
        ),
    ),
    "no such mode": (["--mode", "move"], "--mode: 'move' is no mode; choose squash or prune or"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_options_that_mean_nothing_where_no_byte_changes(
    squashproxy: InProcess, old: FakeRegistry, arguments: list[str], words: str
) -> None:
    index().push(old, "app", "1")
    outcome = squashproxy(
        *("copy", "--mode", "copy", *arguments, f"{old.host}/app:1", f"{old.host}/new:1")
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert "new" not in old._store.names()


@pytest.mark.parametrize("arguments", [["--base", "1"], ["--max-ratio", "2"], ["--strict"]])
def test_a_plan_refuses_what_a_copy_refuses(
    squashproxy: InProcess, old: FakeRegistry, arguments: list[str]
) -> None:
    app().push(old, "app", "1")
    outcome = squashproxy("plan", "--mode", "copy", *arguments, f"{old.host}/app:1")
    assert (outcome.code, outcome.out) == (2, "")
    assert f"--mode copy keeps every byte, and {arguments[0]} shapes" in outcome.err


MISFITS = {
    "a docker archive as target": (
        ("--mode", "copy", "OLD/app:1", "docker-archive:TMP/a.tar:app:1"),
        "an archive of docker save keeps neither digests nor referrers; copy to a registry",
    ),
    "referrers from a docker archive": (
        ("--mode", "copy", "--referrers", "docker-archive:TMP/saved.tar", "NEW/new:1"),
        "holds no signatures and nothing else that refers to its images; leave --referrers out",
    ),
    "referrers of a squashed image": (
        ("--referrers", "OLD/app:1", "NEW/new:1"),
        "a squash gives it another one; leave --referrers out, or keep the digest with --mode copy",
    ),
    "referrers of a pruned image": (
        ("--mode", "prune", "--referrers", "OLD/app:1", "NEW/new:1"),
        "a prune gives it another one",
    ),
    "a backup in an archive": (
        ("--mode", "copy", "--backup", "old", "OLD/app:1", "oci-archive:TMP/b.tar:1"),
        "a backup stands beside the new image",
    ),
}


@pytest.mark.parametrize(("arguments", "words"), MISFITS.values(), ids=MISFITS)
def test_places_and_options_that_do_not_fit(
    squashproxy: InProcess,
    old: FakeRegistry,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    index().push(old, "app", "1")
    (tmp_path / "saved.tar").write_bytes(tar_of(docker_20(other(), "app:1")))
    places = {"OLD": old.host, "NEW": old.host, "TMP": str(tmp_path)}
    for name, place in places.items():
        arguments = tuple(each.replace(name, place) for each in arguments)
    outcome = squashproxy("copy", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
    assert "new" not in old._store.names()
    assert {path.name for path in tmp_path.iterdir()} == {"saved.tar"}


def test_an_image_for_no_such_platform(
    squashproxy: InProcess, old: FakeRegistry, new: FakeRegistry
) -> None:
    index().push(old, "app", "1")
    outcome = squashproxy(
        *("copy", "--mode", "copy", "--platform", "linux/s390x"),
        *(f"{old.host}/app:1", f"{new.host}/app:1"),
    )
    assert outcome.code == 1
    assert "has no image for linux/s390x; it has linux/amd64, linux/arm64" in outcome.err
    assert new.tags("app") == {}


def named_by_sha512(
    squashproxy: InProcess, old: FakeRegistry, folder: Path, *, in_index: bool = False
) -> str:
    """A layout that holds the manifests of an image only under `blobs/sha512`."""
    app().push(old, "app", "1")
    copied(squashproxy, f"{old.host}/app:1", f"oci:{folder}/layout:1")
    layout = folder / "layout"
    layout.joinpath("blobs/sha512").mkdir()

    def store(data: bytes, media_type: str) -> dict[str, object]:
        name = hashlib.sha512(data).hexdigest()
        layout.joinpath("blobs/sha512", name).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha512:{name}", "size": len(data)}

    manifest = app().manifest
    layout.joinpath("blobs/sha256", manifest.digest[7:]).unlink()
    top = store(manifest.data, manifest.media_type)
    if in_index:
        kind = mediatypes.OCI_INDEX
        child = {**top, "platform": {"os": "linux", "architecture": "amd64"}}
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": [child]}
        top = store(json.dumps(index).encode(), kind)
    document = json.loads(layout.joinpath("index.json").read_bytes())
    document["manifests"] = [{**top, "annotations": {"org.opencontainers.image.ref.name": "2"}}]
    layout.joinpath("index.json").write_text(json.dumps(document))
    return f"oci:{layout}:2"


@pytest.mark.parametrize("in_index", [False, True], ids=["alone", "in an index"])
@pytest.mark.parametrize(
    "choice",
    [("--base", "none"), ("--mode", "prune"), ("--base", "all"), ("--platform", "linux/amd64")],
    ids=["squashed", "pruned", "unchanged", "one platform"],
)
def test_a_manifest_that_is_named_by_sha512_is_asked_for_by_that_name(
    squashproxy: InProcess,
    old: FakeRegistry,
    new: FakeRegistry,
    tmp_path: Path,
    *,
    choice: tuple[str, ...],
    in_index: bool,
) -> None:
    if "all" in choice:
        choice = ("--base", str(len(app().layers)))
    source = named_by_sha512(squashproxy, old, tmp_path, in_index=in_index)
    target = f"{new.host}/app:1"
    outcome = squashproxy("copy", "--verify", *choice, source, target)
    assert outcome.code == 0, outcome.err
    for verb in (("plan", *choice, source), ("inspect", source), ("verify", source, target)):
        outcome = squashproxy(*verb)
        assert outcome.code == 0, outcome.err
    again = squashproxy("copy", "--json", *choice, source, target)
    assert json.loads(again.out)["skipped"]


def test_a_manifest_that_is_named_by_sha512_is_refused(
    squashproxy: InProcess, old: FakeRegistry, new: FakeRegistry, tmp_path: Path
) -> None:
    """Written under its sha256, the index would name something that is not there."""
    source = named_by_sha512(squashproxy, old, tmp_path)
    outcome = squashproxy(*EXACT, source, f"{new.host}/app:1")
    assert outcome.code == 1
    assert "is named by sha512, and a copy can only keep names of sha256" in outcome.err
    assert new.tags("app") == {}
