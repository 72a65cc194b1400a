"""`require_signature`: what is not signed is refused, by tag and digest, before a layer is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from squashproxy.digest import Digest, digest_of
from squashproxy.oci.artifact import EMPTY, EMPTY_CONFIG, artifact_manifest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, encode_json, parse_manifest
from squashproxy.oci.mediatypes import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from squashproxy.pipeline.stamp import OPTIONS, SOURCE
from squashproxy.registry.referrers import fallback_tag
from squashproxy.server import assembly
from squashproxy.signing.signature_manifest import signature_layer, tag_for
from squashproxy.signing.simple_signing import SIMPLE_SIGNING, make_payload
from squashproxy.testing import Basic, FakeRegistry, Fault, FaultKind
from squashproxy.testing.options import RegistryOptions
from tests.pipeline.signatures.signed import (
    RIGHT,
    WRONG,
    attach,
    put_tagged,
    sign_by_bundle,
    sign_by_tag,
)
from tests.server.pull.signing import ENVIRON, SHORT, requiring, sign_tagged
from tests.server.serving import UP, Served, app, both_platforms, run_serve

Put = Callable[[FakeRegistry, str, Digest], None]
Run = Callable[..., Any]


@pytest.fixture
def run(upstream: FakeRegistry, tmp_path: Path) -> Run:
    """Runs a server that requires a signature."""

    def begin(rule: dict[str, Any] | None = None, **more: Any) -> Any:
        return run_serve(requiring(upstream, tmp_path, rule, **more), ENVIRON)

    return begin


def _is_refused(answer: requests.Response, why: str = "is not signed by a key") -> None:
    assert answer.status_code == 403, answer.text
    if answer.request.method == "HEAD":
        return
    [error] = answer.json()["errors"]
    assert error["code"] == "DENIED"
    assert why in error["message"]
    assert "env:RIGHT" not in error["message"], "where keys are is nobody's business"


def _layers_read(upstream: FakeRegistry) -> list[str]:
    return [each.path for each in upstream.requests if "/blobs/" in each.path]


SIGNED: dict[str, Put] = {"bundle": sign_by_bundle, "tag": sign_tagged}


@pytest.mark.parametrize("lists", [True, False], ids=["referrers API", "fallback tags"])
@pytest.mark.parametrize("sign", SIGNED.values(), ids=SIGNED)
def test_a_signed_source_is_squashed(sign: Put, tmp_path: Path, *, lists: bool) -> None:
    with FakeRegistry(RegistryOptions(referrers=lists)) as upstream:
        sign(upstream, "app", app().push(upstream, "app", "1"))
        with run_serve(requiring(upstream, tmp_path), ENVIRON) as served:
            answer = served.manifest("app", "1")
            assert answer.headers["X-Squashproxy-Source"] == "squashed"
            assert len(answer.json()["layers"]) == 2


def _nothing(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    """No signature at all."""


def _by_wrong_key(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    sign_by_bundle(registry, repo, digest, WRONG)


def _malformed(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    attach(registry, repo, digest, b'{"mediaType": ')


def _other_name(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    sign_by_tag(registry, repo, digest, payload=make_payload(digest, "example.com/other"))


def _a_thousand(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    payload = make_payload(digest, f"{UP}/{repo}")
    layers = [signature_layer(payload, WRONG.sign(payload))] * 999
    layers.append(signature_layer(payload, RIGHT.sign(payload)))
    put_tagged(registry, repo, digest, payload, layers)


def _huge(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    """A payload that claims to have 100 MB."""
    payload = make_payload(digest, f"{UP}/{repo}")
    sound = signature_layer(payload, RIGHT.sign(payload))
    layer = Descriptor(SIMPLE_SIGNING, sound.digest, 100_000_000, sound.extra)
    put_tagged(registry, repo, digest, payload, [layer])


def _huge_in_secret(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    """A payload that has more bytes than it claims."""
    payload = make_payload(digest, f"{UP}/{repo}") + b" " * 5_000_000
    layer = Descriptor(
        SIMPLE_SIGNING, digest_of(payload), 200, signature_layer(payload, b"x").extra
    )
    put_tagged(registry, repo, digest, payload, [layer])


UNSIGNED: dict[str, tuple[Put, str]] = {
    "no signature": (_nothing, "it has no signature"),
    "another key": (_by_wrong_key, "is of another key"),
    "a malformed bundle": (_malformed, "JSON"),
    "another name": (_other_name, "is for the name example.com/other"),
    "a thousand signatures, the last one right": (_a_thousand, "and 64 more like it"),
    "a payload of 100 MB": (_huge, "it has 100000000 bytes, and at most 65536 are read"),
    "a payload larger than it claims": (_huge_in_secret, "does not count"),
}


@pytest.mark.parametrize("lists", [True, False], ids=["referrers API", "fallback tags"])
@pytest.mark.parametrize(("put", "why"), UNSIGNED.values(), ids=UNSIGNED)
def test_every_doubt_refuses_before_a_layer_is_read(
    put: Put, why: str, tmp_path: Path, *, lists: bool
) -> None:
    with FakeRegistry(RegistryOptions(referrers=lists)) as upstream:
        source = app().push(upstream, "app", "1")
        put(upstream, "app", source)
        layers = {layer.digest for layer in app().build().layers}
        upstream.forget_requests()
        with run_serve(requiring(upstream, tmp_path), ENVIRON) as served:
            _is_refused(served.manifest("app", "1"), why)
            _is_refused(served.head(f"/v2/{UP}/app/manifests/1"))
            _is_refused(served.manifest("app", source), why)
            _is_refused(served.head(f"/v2/{UP}/app/manifests/{source}"))
            for layer in layers:
                _is_refused(served.blob("app", layer), "no image needs it")
            warmed = served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
            _is_refused(warmed, why)
            planned = served.post("/api/v1/warm", json={"image": f"{UP}/app:1", "dry_run": True})
            _is_refused(planned, why)
            hooked = served.post("/api/v1/hook", json=_push_of(upstream, source))
            assert why in hooked.json()["failed"][0]
            status = served.get("/api/v1/status").json()
            assert status["images"] == []
            assert any(why in each["message"] for each in status["errors"])
        assert not any(_methods(upstream, layer) for layer in layers)
        assert len(upstream.requests) < 400
        assert not list((tmp_path / "store" / "blobs" / "sha256").iterdir())


def test_of_a_thousand_bundles_few_are_looked_at(upstream: FakeRegistry, run: Run) -> None:
    source = app().push(upstream, "app", "1")
    for number in range(1000):
        attach(upstream, "app", source, b"{%d" % number)
    upstream.forget_requests()
    with run() as served:
        _is_refused(served.manifest("app", "1"), "and 64 more like it")
    assert len(upstream.requests) < 150


def _methods(upstream: FakeRegistry, digest: str) -> set[str]:
    return {each.method for each in upstream.requests if digest in each.path}


def _push_of(upstream: FakeRegistry, digest: Digest) -> dict[str, Any]:
    target = {"repository": "app", "tag": "1", "digest": digest, "mediaType": OCI_MANIFEST}
    return {"events": [{"action": "push", "target": target, "request": {"host": upstream.host}}]}


@pytest.mark.parametrize(
    "rule", [{}, {"squash": False}, {"mode": "copy"}, {"mode": "prune"}], ids=str
)
def test_it_holds_for_every_mode(upstream: FakeRegistry, run: Run, rule: dict[str, Any]) -> None:
    signed = app("a").push(upstream, "app", "signed")
    app("b").push(upstream, "app", "unsigned")
    sign_by_bundle(upstream, "app", signed)
    with run(rule) as served:
        assert served.manifest("app", "signed").status_code == 200
        assert served.manifest("app", signed).status_code == 200
        _is_refused(served.manifest("app", "unsigned"))


def test_other_repositories_have_their_own_rules(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "free", "1")
    source = app().push(upstream, "strict", "1")
    section = requiring(upstream, tmp_path, {"match": f"{UP}/strict"})
    section["serve"]["rules"].append({"match": "*"})
    with run_serve(section, ENVIRON) as served:
        answer = served.manifest("free", "1")
        assert answer.status_code == 200
        for part in answer.json()["layers"]:
            assert served.blob("free", part["digest"]).status_code == 200
            _is_refused(served.blob("strict", part["digest"]), "no image needs it")
        _is_refused(served.manifest("strict", "1"))
        _is_refused(served.manifest("strict", answer.headers["Docker-Content-Digest"]))
        _is_refused(served.manifest("strict", source))


@pytest.mark.parametrize("then", ["original", "error"])
def test_a_signed_original_is_handed_out_while_it_is_not_squashed_and_no_other(
    upstream: FakeRegistry, run: Run, then: str
) -> None:
    signed = app("a").push(upstream, "app", "signed")
    unsigned = app("b").push(upstream, "app", "unsigned")
    sign_by_bundle(upstream, "app", signed)
    layers = app("a").build().layers
    upstream.arm(Fault("GET", f"/blobs/{layers[-1].digest}", status=404, times=1))
    with run(first_pull={"then": then}) as served:
        answer = served.manifest("app", "signed")
        if then == "original":
            assert answer.headers["Docker-Content-Digest"] == signed
            for layer in layers:
                assert served.blob("app", layer.digest).status_code == 200
        else:
            assert answer.status_code == 503
        _is_refused(served.manifest("app", "unsigned"))
        _is_refused(served.manifest("app", unsigned))


def test_where_only_some_images_of_an_index_are_signed_only_their_squashed_form_is_handed_out(
    upstream: FakeRegistry, run: Run
) -> None:
    built = both_platforms()
    index = built.push(upstream, "app", "1")
    [amd64, arm64] = _children(upstream, index)
    sign_by_bundle(upstream, "app", amd64)
    with run({"platforms": ["linux/amd64"]}) as served:
        answer = served.manifest("app", "1")
        assert answer.headers["X-Squashproxy-Source"] == "squashed"
        for part in answer.json()["layers"]:
            assert served.blob("app", part["digest"]).status_code == 200
        assert served.manifest("app", amd64).status_code == 200
        _is_refused(served.manifest("app", arm64))
        _is_refused(served.manifest("app", index))


def test_until_it_is_squashed_such_an_index_has_to_wait(upstream: FakeRegistry, run: Run) -> None:
    index = both_platforms().push(upstream, "app", "1")
    amd64 = _children(upstream, index)[0]
    sign_by_bundle(upstream, "app", amd64)
    layer = _blobs(upstream, amd64)[-1].digest
    upstream.arm(Fault("GET", f"/blobs/{layer}", FaultKind.HANG, times=100))
    with run({"platforms": ["linux/amd64"]}, first_pull={"wait": "300ms"}) as served:
        answer = served.manifest("app", "1")
        assert answer.status_code == 503
        assert "its original may not be pulled" in answer.json()["errors"][0]["message"]
        upstream.disarm()


def _children(registry: FakeRegistry, index: Digest) -> list[Digest]:
    listed = json.loads(registry.manifest("app", index).data)["manifests"]
    return [Digest(each["digest"]) for each in listed]


@pytest.mark.parametrize("restarts", [False, True], ids=["at once", "after a restart"])
def test_a_signed_index_vouches_for_what_it_lists(
    upstream: FakeRegistry, run: Run, *, restarts: bool
) -> None:
    index = both_platforms().push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", index)
    children = _children(upstream, index)
    blobs = [blob.digest for image in children for blob in _blobs(upstream, image)]
    with run({"squash": False}) as served:
        if restarts:
            assert served.manifest("app", index).status_code == 200
            for child in children:
                assert served.manifest("app", child).status_code == 200
        else:
            assert served.head(f"/v2/{UP}/app/manifests/1").status_code == 200
            _pull(served, children, blobs)
    if restarts:
        with run({"squash": False}) as served:
            _pull(served, children, blobs)


def _blobs(registry: FakeRegistry, image: Digest) -> list[Descriptor]:
    parsed = parse_manifest(registry.manifest("app", image), "an image")
    assert isinstance(parsed, ImageManifest)
    return [parsed.config, *parsed.layers]


def _pull(served: Served, manifests: list[Digest], blobs: list[Digest]) -> None:
    for digest in manifests:
        assert served.manifest("app", digest).status_code == 200
    for digest in blobs:
        assert served.blob("app", digest).status_code == 200


def test_replicas_know_what_an_index_lists_that_another_one_saw(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    """A balancer sends each request of a pull elsewhere."""
    index = both_platforms().push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", index)
    other = app().push(upstream, "app", "other")
    children = _children(upstream, index)
    with FakeRegistry() as backing:
        store = {"registry": f"{backing.host}/cache"}
        section = requiring(upstream, tmp_path, {"squash": False}, store=store)
        with run_serve(section, ENVIRON) as one, run_serve(section, ENVIRON) as two:
            assert one.head(f"/v2/{UP}/app/manifests/1").status_code == 200
            for child in children:
                assert two.manifest("app", child).status_code == 200
                for blob in _blobs(upstream, child):
                    assert two.blob("app", blob.digest).status_code == 200
            _is_refused(two.manifest("app", other))


@pytest.mark.parametrize("kind", ["directory", "registry"])
def test_all_of_a_squashed_index_may_be_pulled_by_any_server_of_its_store(
    upstream: FakeRegistry, tmp_path: Path, kind: str
) -> None:
    index = both_platforms().push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", index)
    with FakeRegistry() as backing:
        store = {"registry": f"{backing.host}/cache"} if kind == "registry" else None
        more = {} if store is None else {"store": store}
        section = requiring(upstream, tmp_path, **more)
        with run_serve(section, ENVIRON) as one:
            answer = one.manifest("app", "1")
            assert answer.headers["X-Squashproxy-Source"] == "squashed"
            result = answer.headers["Docker-Content-Digest"]
        upstream.arm(Fault("GET", "/", status=503, times=99))
        upstream.arm(Fault("HEAD", "/", status=503, times=99))
        with run_serve(section, ENVIRON) as two:
            for child in answer.json()["manifests"]:
                image = two.manifest("app", child["digest"])
                assert image.status_code == 200
                for part in (image.json()["config"], *image.json()["layers"]):
                    assert two.blob("app", part["digest"]).status_code == 200
            assert two.manifest("app", result).status_code == 200
            again = two.manifest("app", "1")
            assert again.headers["Docker-Content-Digest"] == result


@pytest.mark.parametrize("kind", ["directory", "registry"])
def test_what_was_squashed_before_the_rule_counts_only_if_its_source_is_signed(
    upstream: FakeRegistry, tmp_path: Path, kind: str
) -> None:
    signed = app("a").push(upstream, "app", "signed")
    unsigned = app("b").push(upstream, "app", "unsigned")
    with FakeRegistry() as backing:
        store = {"registry": f"{backing.host}/cache"} if kind == "registry" else None
        more: dict[str, Any] = {} if store is None else {"store": store}
        with run_serve(requiring(upstream, tmp_path, {"require_signature": []}, **more)) as served:
            results = {tag: served.manifest("app", tag) for tag in ("signed", "unsigned")}
        sign_by_bundle(upstream, "app", signed)
        upstream.forget_requests()
        with run_serve(requiring(upstream, tmp_path, **more), ENVIRON) as served:
            digest = results["unsigned"].headers["Docker-Content-Digest"]
            _is_refused(served.manifest("app", digest))
            _is_refused(served.manifest("app", "unsigned"))
            _is_refused(served.manifest("app", unsigned))
            digest = results["signed"].headers["Docker-Content-Digest"]
            assert served.manifest("app", digest).status_code == 200
            answer = served.manifest("app", "signed")
            assert answer.headers["X-Squashproxy-Source"] == "cached"
            assert answer.content == results["signed"].content
        layers = {layer.digest for name in "ab" for layer in app(name).build().layers}
        assert not any(_methods(upstream, layer) for layer in layers)


@pytest.mark.parametrize("kind", ["directory", "registry", "a directory without its ledger"])
def test_what_an_image_says_of_its_source_counts_for_nothing(
    upstream: FakeRegistry, tmp_path: Path, kind: str
) -> None:
    """An image that squashing leaves as it is may claim to be made from a signed one."""
    signed = app().push(upstream, "app", "signed")
    sign_by_bundle(upstream, "app", signed)
    plain = requiring(upstream, tmp_path, {"require_signature": []})
    with FakeRegistry() as backing:
        store = {"registry": f"{backing.host}/cache"} if kind == "registry" else None
        more: dict[str, Any] = {} if store is None else {"store": store}
        plain["serve"] |= more
        with run_serve(plain) as served:
            stated = served.manifest("app", "signed").json()["annotations"]
            claims = {key: stated[key] for key in (SOURCE, OPTIONS)}
            evil = app("evil", layers=1, annotations=claims).push(upstream, "app", "zevil")
            assert served.manifest("app", "zevil").headers["Docker-Content-Digest"] == evil
        if "without" in kind:
            for path in (tmp_path / "store").glob("squashproxy.db*"):
                path.unlink()
        with run_serve(requiring(upstream, tmp_path, **more), ENVIRON) as served:
            _is_refused(served.manifest("app", evil))
            _is_refused(served.manifest("app", "zevil"))
            answer = served.manifest("app", "signed")
            assert answer.headers["X-Squashproxy-Source-Digest"] == signed
            assert answer.headers["Docker-Content-Digest"] != evil
            _is_refused(served.manifest("app", evil))


def test_a_refusal_is_remembered_until_negative_ttl_is_over(
    upstream: FakeRegistry, run: Run
) -> None:
    source = app().push(upstream, "app", "1")
    with run(negative_ttl=SHORT) as served:
        _is_refused(served.manifest("app", "1"))
        upstream.forget_requests()
        _is_refused(served.manifest("app", "1"))
        asked = [each.path for each in upstream.requests if "referrers" in each.path]
        assert asked == []
        sign_by_bundle(upstream, "app", source)
        deadline = time.monotonic() + 20
        while served.manifest("app", "1").status_code != 200:
            assert time.monotonic() < deadline, "the signature is never seen"
            time.sleep(0.05)


def test_the_digest_that_was_checked_is_the_digest_that_is_squashed(
    upstream: FakeRegistry, run: Run
) -> None:
    signed = app("a").push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", signed)

    def move(method: str, path: str) -> None:
        if method == "GET" and "/referrers/" in path:
            app("b").push(upstream, "app", "1")

    upstream.before_each(move)
    with run(tag_ttl="0s") as served:
        answer = served.manifest("app", "1")
        assert answer.headers["X-Squashproxy-Source-Digest"] == signed
        _is_refused(served.manifest("app", "1"))


def test_while_upstream_is_down_nothing_is_taken_for_signed(
    upstream: FakeRegistry, run: Run
) -> None:
    sign_by_bundle(upstream, "app", app().push(upstream, "app", "1"))
    upstream.arm(Fault("GET", "/referrers/", status=503, times=99))
    with run() as served:
        assert served.manifest("app", "1").status_code == 503


def test_a_check_that_takes_long_makes_no_pull_wait_for_longer(
    upstream: FakeRegistry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "PATIENCE", 0.3)
    sign_by_bundle(upstream, "app", app().push(upstream, "app", "1"))
    hang = upstream.arm(Fault("GET", "/referrers/", FaultKind.HANG, times=1))
    with run() as served:
        answer = served.manifest("app", "1")
        assert answer.status_code == 503
        assert "it was not found out in 0.3 s who signed" in answer.json()["errors"][0]["message"]
        hang.release()


def test_without_any_wait_a_source_is_checked_all_the_same(
    upstream: FakeRegistry, run: Run
) -> None:
    signed = app("a").push(upstream, "app", "signed")
    app("b").push(upstream, "app", "unsigned")
    sign_by_bundle(upstream, "app", signed)
    with run(first_pull={"wait": "0s"}) as served:
        assert served.manifest("app", "signed").status_code == 200
        _is_refused(served.manifest("app", "unsigned"))


def test_signatures_of_a_signed_original_may_be_pulled(upstream: FakeRegistry, run: Run) -> None:
    """So that a client checks once more, by cosign's tag and by the referrers."""
    source = app().push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", source)
    sign_tagged(upstream, "app", source)
    with run({"squash": False}) as served:
        tagged = served.manifest("app", tag_for(source))
        assert tagged.status_code == 200
        for part in (tagged.json()["config"], *tagged.json()["layers"]):
            assert served.blob("app", part["digest"]).status_code == 200
        [bundle] = served.get(f"/v2/{UP}/app/referrers/{source}").json()["manifests"]
        manifest = served.manifest("app", bundle["digest"])
        assert manifest.status_code == 200
        for part in (manifest.json()["config"], *manifest.json()["layers"]):
            assert served.blob("app", part["digest"]).status_code == 200


def _runnable(registry: FakeRegistry, source: Digest) -> None:
    """An image that refers to a signed one."""
    document = registry.manifest("app", app("b").push(registry, "app", None)).data
    image = json.loads(document)
    image["subject"] = registry.manifest("app", source).descriptor.to_json()
    registry.put_manifest("app", tag_for(source), encode_json(image), OCI_MANIFEST)


def _disguised(registry: FakeRegistry, source: Digest) -> None:
    """An image whose layers claim to be signatures."""
    layer = b"\x1f\x8b a tar"
    registry.put_blob("app", layer)
    config = registry.put_blob("app", b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(OCI_CONFIG, config, 2).to_json(),
        "layers": [Descriptor(SIMPLE_SIGNING, digest_of(layer), len(layer)).to_json()],
    }
    registry.put_manifest("app", tag_for(source), encode_json(document), OCI_MANIFEST)


SMUGGLED: dict[str, Callable[[FakeRegistry, Digest], None]] = {
    "an image that refers to it": _runnable,
    "an image with layers called signatures": _disguised,
}


@pytest.mark.parametrize("put", SMUGGLED.values(), ids=SMUGGLED)
def test_nothing_that_runs_is_smuggled_in_as_a_signature(
    upstream: FakeRegistry, run: Run, put: Callable[[FakeRegistry, Digest], None]
) -> None:
    source = app().push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", source)
    put(upstream, source)
    digest = upstream.tags("app")[tag_for(source)]
    with run() as served:
        _is_refused(served.manifest("app", tag_for(source)))
        _is_refused(served.manifest("app", digest))


def _as_layer(registry: FakeRegistry, source: Digest, evil: Digest) -> str:
    """A referrer of a signed image, with an image in place of a document."""
    image = registry.manifest("app", evil).descriptor
    registry.put_blob("app", EMPTY)
    registry.put_blob("app", registry.manifest("app", evil).data)
    subject = registry.manifest("app", source).descriptor
    raw = artifact_manifest("text/spdx", [image], subject=subject)
    return registry.put_manifest("app", None, raw.data, raw.media_type)


def _as_referrer(registry: FakeRegistry, source: Digest, evil: Digest) -> str:
    """A list of referrers that names an image."""
    image = registry.manifest("app", evil)
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [image.descriptor.to_json()],
    }
    registry.put_manifest("app", fallback_tag(source), encode_json(index), OCI_INDEX)
    return fallback_tag(source)


NAMING: dict[str, Callable[[FakeRegistry, Digest, Digest], str]] = {
    "a referrer": _as_layer,
    "a list of referrers": _as_referrer,
}


@pytest.mark.parametrize("put", NAMING.values(), ids=NAMING)
def test_what_anybody_may_attach_lets_no_image_through(
    upstream: FakeRegistry, run: Run, put: Callable[[FakeRegistry, Digest, Digest], str]
) -> None:
    source = app().push(upstream, "app", "1")
    evil = app("evil").push(upstream, "app", "evil")
    sign_by_bundle(upstream, "app", source)
    selector = put(upstream, source, evil)
    for _ in range(2):  # the second server has the first one's store
        with run({"squash": False}) as served:
            assert served.manifest("app", selector).status_code == 200
            _is_refused(served.manifest("app", evil))
            for blob in _blobs(upstream, evil):
                _is_refused(served.blob("app", blob.digest), "no image needs it")


def test_one_check_serves_all_who_ask_at_once(upstream: FakeRegistry, run: Run) -> None:
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/referrers/", FaultKind.HANG, times=1))
    with run() as served, ThreadPoolExecutor(8) as pool:
        url = f"{served.url}/v2/{UP}/app/manifests/1"
        pulls = [pool.submit(requests.get, url, timeout=60) for _ in range(8)]
        assert hang.reached.wait(10)
        hang.release()
        for each in pulls:
            _is_refused(each.result())
    assert len([each for each in upstream.requests if "/referrers/" in each.path]) == 1


def test_what_one_caller_may_not_see_is_refused_to_nobody_else(tmp_path: Path) -> None:
    alice = ("alice", "a made-up word")
    with FakeRegistry(RegistryOptions(auth=Basic(*alice))) as upstream:
        sign_by_bundle(upstream, "app", app().push(upstream, "app", "1"))
        with run_serve(requiring(upstream, tmp_path, auth="upstream"), ENVIRON) as served:
            path = f"/v2/{UP}/app/manifests/1"
            assert served.get(path, auth=("bob", "another one")).status_code == 401
            answer = served.get(path, auth=alice)
            assert answer.headers["X-Squashproxy-Source"] == "squashed"
            assert served.get(path, auth=("bob", "another one")).status_code == 401
            result = answer.headers["Docker-Content-Digest"]
            assert served.get(f"/v2/{UP}/app/manifests/{result}").status_code == 401


def test_signatures_of_an_unsigned_image_are_refused_as_it_is(
    upstream: FakeRegistry, run: Run
) -> None:
    source = app().push(upstream, "app", "1")
    sign_tagged(upstream, "app", source, WRONG)
    subject = upstream.manifest("app", source).descriptor
    upstream.put_blob("app", b"{}")
    sbom = artifact_manifest("text/spdx", [EMPTY_CONFIG], subject=subject)
    referrer = upstream.put_manifest("app", None, sbom.data, sbom.media_type)
    with run() as served:
        _is_refused(served.manifest("app", tag_for(source)))
        _is_refused(served.manifest("app", referrer))


def test_signed_as_names_where_an_image_was_signed(upstream: FakeRegistry, run: Run) -> None:
    source = app().push(upstream, "app", "1")
    _other_name(upstream, "app", source)
    with run({"signed_as": ["example.com/other"]}) as served:
        assert served.manifest("app", "1").status_code == 200


def test_of_two_repositories_each_needs_its_own_signature(upstream: FakeRegistry, run: Run) -> None:
    """Squashed images are shared within a registry, and verdicts are not."""
    source = app().push(upstream, "one", "1")
    app().push(upstream, "two", "1")
    sign_tagged(upstream, "one", source)
    with run() as served:
        answer = served.manifest("one", "1")
        assert answer.status_code == 200
        result = answer.headers["Docker-Content-Digest"]
        _is_refused(served.manifest("two", "1"))
        _is_refused(served.manifest("two", result))
        _is_refused(served.manifest("two", source))


def test_the_list_that_is_warmed_says_what_is_not_signed(upstream: FakeRegistry, run: Run) -> None:
    app().push(upstream, "app", "1")
    with run(warm={"images": [f"{UP}/app:1"]}) as served:
        deadline = time.monotonic() + 20
        while not served.get("/api/v1/status").json()["errors"]:
            assert time.monotonic() < deadline, "nothing is said"
            time.sleep(0.02)
        messages = [each["message"] for each in served.get("/api/v1/status").json()["errors"]]
        assert any("it has no signature" in each for each in messages)
        assert _layers_read(upstream) == []
