"""Habits of registries, proxies and storage that are none of the specification (issue 26)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import (
    ContentMissing,
    Denied,
    IntegrityError,
    NotFound,
    RegistryError,
    ServerFault,
    Unauthorized,
    Unreachable,
)
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Reference, Repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.deletions import Deletion
from squashproxy.testing import (
    Basic,
    Bearer,
    FakeRegistry,
    Fault,
    FaultKind,
    ImageBuilder,
    LayerBuilder,
    RegistryOptions,
    artifact_manifest,
    index_of,
)
from squashproxy.transports.registry import RegistrySink
from tests.registry.conftest import Time

BLOB = os.urandom(400_000)
LAYER = Descriptor(mediatypes.OCI_LAYER_GZIP, digest_of(BLOB), len(BLOB))
MANIFEST = RawManifest(b'{"schemaVersion": 2, "layers": []}', mediatypes.OCI_MANIFEST)
PAGE = b"<!DOCTYPE html>\n<html><head><title>\n Sign in  to Example </title></head></html>"
BEARER = Bearer("ann", "s3cret")
Ask = Callable[[RemoteRepository], object]


def opened(client: RegistryClient, registry: FakeRegistry, path: str = "app") -> RemoteRepository:
    return client.repository(Repository(registry.host, path))


def paths(registry: FakeRegistry) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in registry.requests]


# Registries that hide


@pytest.mark.parametrize("auth", [BEARER, Basic("ann", "s3cret")], ids=["Bearer", "Basic"])
def test_a_challenge_that_only_the_front_page_has_is_found_by_one_ping(
    client: RegistryClient, environ: dict[str, str], auth: Basic | Bearer
) -> None:
    with FakeRegistry(RegistryOptions(auth=auth, hides=True)) as registry:
        registry.put_manifest("app", "v1", MANIFEST.data, MANIFEST.media_type)
        registry.put_manifest("other", "v1", MANIFEST.data, MANIFEST.media_type)
        environ[variable_for(registry.host)] = "ann:s3cret"
        assert opened(client, registry).find_manifest("v1") is not None
        assert opened(client, registry, "other").find_manifest("v1") is not None
        assert opened(client, registry).find_manifest("v2") is None
        assert paths(registry).count(("GET", "/v2/")) == 1


def test_without_credentials_anybodys_token_is_tried(client: RegistryClient) -> None:
    auth = replace(BEARER, anonymous_pull=True)
    with FakeRegistry(RegistryOptions(auth=auth, hides=True)) as registry:
        registry.put_manifest("app", "v1", MANIFEST.data, MANIFEST.media_type)
        assert opened(client, registry).get_manifest("v1") == MANIFEST


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_there_is_still_not_there(
    client: RegistryClient, environ: dict[str, str], status: int
) -> None:
    """An open registry is asked once whether it has a challenge."""
    with FakeRegistry() as registry:
        environ[variable_for(registry.host)] = "ann:s3cret"
        registry.arm(Fault("GET", "/manifests/", status=status, times=99))
        for _ in range(2):
            with pytest.raises((NotFound, Denied)):
                opened(client, registry).get_manifest("v1")
        assert paths(registry).count(("GET", "/v2/")) == 1
        assert all("authorization" not in one.headers for one in registry.requests)


def test_a_registry_that_hides_and_gives_no_token_keeps_its_own_answer(
    client: RegistryClient,
) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER, hides=True)) as registry:
        registry.put_manifest("app", "v1", MANIFEST.data, MANIFEST.media_type)
        with pytest.raises(NotFound, match="has no tag v1 in app"):
            opened(client, registry).get_manifest("v1")


# Blobs


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_head_that_storage_refuses_is_asked_by_a_get_of_one_byte(
    client: RegistryClient, status: int
) -> None:
    """Its URL is signed for GET, and the method is part of what is signed."""
    with FakeRegistry() as storage:
        storage.arm(Fault("HEAD", "/blobs/", status=status, times=9))
        options = RegistryOptions(redirect_blobs_to=storage.host, redirects_heads=True)
        with FakeRegistry(options, shares=storage) as registry:
            registry.put_blob("app", BLOB)
            app = opened(client, registry)
            assert app.find_blob(LAYER.digest) == len(BLOB)
            assert app.find_blob(digest_of(b"none")) is None
        assert [(one.method, one.headers.get("range")) for one in storage.requests] == [
            ("HEAD", None),
            ("GET", "bytes=0-0"),
        ]


def test_a_registry_that_itself_refuses_a_head_is_believed(
    client: RegistryClient, registry: FakeRegistry
) -> None:
    registry.arm(Fault("HEAD", "/blobs/", status=403, times=9))
    with pytest.raises(Denied, match="refused the pull of a blob from app"):
        opened(client, registry).find_blob(LAYER.digest)


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        pytest.param((200, ()), len(BLOB), id="the whole blob"),
        pytest.param((206, (("Content-Range", "bytes 0-0/77"),)), 77, id="a byte of it"),
        pytest.param((206, (("Content-Range", "bytes 0-0/*"),)), len(BLOB), id="a byte of some"),
        pytest.param((416, (("Content-Range", "bytes */0"),)), 0, id="no first byte"),
    ],
)
def test_the_answer_to_a_get_of_one_byte_tells_the_size(
    client: RegistryClient, registry: FakeRegistry, answer: tuple[int, tuple[()]], size: int
) -> None:
    registry.put_blob("app", BLOB)
    registry.arm(Fault("HEAD", "/blobs/", status=405))
    status, headers = answer
    body = BLOB if status == 200 else b"x"
    registry.arm(Fault("GET", "/blobs/", status=status, headers=headers, body=body))
    assert opened(client, registry).find_blob(LAYER.digest) == size


def unframed(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


@pytest.mark.parametrize("cut", [0, 1, 100_000, len(BLOB) - 1])
def test_a_blob_without_length_that_is_cut_short_is_resumed(
    client: RegistryClient, registry: FakeRegistry, time: Time, cut: int
) -> None:
    registry.put_blob("app", BLOB)
    registry.arm(Fault("GET", "/blobs/", FaultKind.RAW, body=unframed(BLOB[:cut])))
    assert b"".join(opened(client, registry).iter_blob(LAYER)) == BLOB
    assert registry.requests[-1].headers.get("range") == (f"bytes={cut}-" if cut else None)
    assert time.waits == [0.25]


def test_a_blob_without_length_may_be_cut_again_and_again(
    client: RegistryClient, registry: FakeRegistry
) -> None:
    registry.put_blob("app", BLOB)
    for _ in range(9):
        registry.arm(Fault("GET", "/blobs/", FaultKind.RAW, body=unframed(BLOB[:40_000])))
        registry.arm(Fault("GET", "/blobs/", FaultKind.DROP_RESPONSE, after_bytes=20_000))
    assert b"".join(opened(client, registry).iter_blob(LAYER)) == BLOB


def test_a_blob_without_length_that_never_goes_on_is_an_error(
    client: RegistryClient, registry: FakeRegistry, time: Time
) -> None:
    registry.arm(Fault("GET", "/blobs/", FaultKind.RAW, body=unframed(b"half"), times=99))
    with pytest.raises(Unreachable, match=r"broke while the blob sha256:.* was read"):
        b"".join(opened(client, registry).iter_blob(LAYER))
    assert len(time.waits) == 4


def test_a_blob_that_ends_early_for_good_has_the_wrong_size(
    client: RegistryClient, registry: FakeRegistry
) -> None:
    registry.arm(Fault("GET", "/blobs/", FaultKind.RAW, body=unframed(b"half")))
    registry.arm(Fault("GET", "/blobs/", status=416, times=9))
    with pytest.raises(IntegrityError, match="ended after 4 of 400000 bytes"):
        b"".join(opened(client, registry).iter_blob(LAYER))


# Temporary refusals


CALLS: dict[str, Ask] = {
    "a manifest": lambda app: app.get_manifest("v1"),
    "a HEAD": lambda app: app.find_manifest("v1"),
    "tags": lambda app: list(app.iter_tags()),
    "a blob": lambda app: b"".join(app.iter_blob(LAYER)),
    "a push": lambda app: app.upload_blob([BLOB]),
    "a manifest that is pushed": lambda app: app.put_manifest(MANIFEST, "v2"),
    "a deletion": lambda app: app.delete_manifest("v1"),
}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
@pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)
def test_what_is_temporary_is_tried_again(
    client: RegistryClient, registry: FakeRegistry, time: Time, ask: Ask, status: int
) -> None:
    registry.put_manifest("app", "v1", MANIFEST.data, MANIFEST.media_type)
    registry.put_blob("app", BLOB)
    registry.arm(Fault(status=status, times=2))
    ask(opened(client, registry))
    assert time.waits == [0.25, 0.5]


@pytest.mark.parametrize("status", [408, 425])
def test_in_the_end_it_is_told(client: RegistryClient, registry: FakeRegistry, status: int) -> None:
    registry.arm(Fault("GET", "", status=status, headers=(("Retry-After", "2"),), times=99))
    sentence = rf"failed at the pull of v1 .*\(HTTP {status}\) and asks to wait 2 seconds"
    with pytest.raises(ServerFault, match=sentence):
        opened(client, registry).get_manifest("v1")


def test_a_token_service_may_time_out(
    client: RegistryClient, environ: dict[str, str], time: Time
) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        environ[variable_for(registry.host)] = "ann:s3cret"
        registry.arm(Fault("GET", "/token", status=408, times=2))
        assert opened(client, registry).find_blob(LAYER.digest) is None
        assert time.waits == [0.25, 0.5]


# Web pages


ASKED: dict[str, Ask] = {
    **CALLS,
    "the size of a blob": lambda app: app.find_blob(LAYER.digest),
    "referrers": lambda app: app.list_referrers(LAYER.digest),
    "a manifest by digest": lambda app: app.find_manifest(MANIFEST.digest),
    "a push of a manifest by digest": lambda app: app.put_manifest(MANIFEST, MANIFEST.digest),
    "a deletion by digest": lambda app: app.delete_manifest(MANIFEST.digest),
}
TYPES = ["text/html", "text/html; charset=utf-8", "application/xhtml+xml"]


def wall(registry: FakeRegistry, *, redirect: bool, media_type: str = TYPES[0]) -> None:
    """Answer every request with a page, or a redirect to it."""
    page = Fault(
        path_pattern="^/login" if redirect else "",
        status=200,
        headers=(("Content-Type", media_type),),
        body=PAGE,
        times=99,
    )
    registry.arm(page)
    if redirect:
        location = (("Location", "/login?next=1"), ("Content-Type", "text/html"))
        registry.arm(Fault(status=302, headers=location, body=b"<a href='/login'>", times=99))


@pytest.mark.parametrize("redirect", [True, False], ids=["after a redirect", "at once"])
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_a_web_page_in_place_of_a_registry_is_told(
    client: RegistryClient, registry: FakeRegistry, ask: Ask, redirect: bool
) -> None:
    wall(registry, redirect=redirect)
    with pytest.raises(Exception, match="answered with a web page") as raised:
        ask(opened(client, registry))
    sentence = str(raised.value)
    assert "answered with a web page ('Sign in to Example'), not as a registry does" in sentence
    assert sentence.endswith("; a login or a proxy is before it")
    assert len(registry.requests) <= 4


@pytest.mark.parametrize("media_type", [*TYPES, "text/plain", "application/octet-stream", ""])
def test_a_page_is_known_by_what_it_holds(
    client: RegistryClient, registry: FakeRegistry, media_type: str
) -> None:
    wall(registry, redirect=False, media_type=media_type)
    with pytest.raises(RegistryError, match="with a web page"):
        opened(client, registry).get_manifest("v1")


def test_a_page_without_a_title_is_told_too(client: RegistryClient, registry: FakeRegistry) -> None:
    registry.arm(Fault("GET", "", status=200, body=b"<html>\x1b[31m", times=9))
    with pytest.raises(RegistryError, match="answered with a web page, not as a registry does"):
        opened(client, registry).get_manifest("v1")


def test_the_title_of_a_page_cannot_write_on_the_terminal(
    client: RegistryClient, registry: FakeRegistry
) -> None:
    body = b"<html><title>\x1b[31mred" + b"x" * 900 + b"</title>"
    registry.arm(Fault("GET", "", status=200, body=body, times=9))
    with pytest.raises(RegistryError, match="web page") as raised:
        opened(client, registry).get_manifest("v1")
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_an_empty_answer_may_be_labelled_as_a_page(
    client: RegistryClient, registry: FakeRegistry, method: str
) -> None:
    """As Quay labels its answers to uploads."""
    labelled = Fault(method, "", FaultKind.ALTER, headers=(("Content-Type", "text/html"),), times=9)
    registry.arm(labelled)
    app = opened(client, registry)
    assert app.upload_blob([BLOB]) == (LAYER.digest, len(BLOB))
    app.put_manifest(MANIFEST, "v1")
    app.delete_manifest("v1")


@pytest.mark.parametrize("length", [True, False])
def test_a_blob_may_be_a_web_page(
    client: RegistryClient, registry: FakeRegistry, length: bool
) -> None:
    blob = Descriptor("text/html", registry.put_blob("app", PAGE), len(PAGE))
    headers = [("Content-Type", "text/html")]
    if not length:
        headers.append(("Transfer-Encoding", "chunked"))
    body = PAGE if length else b"%x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE)
    registry.arm(Fault("GET", "/blobs/", FaultKind.ALTER, headers=tuple(headers), body=body))
    app = opened(client, registry)
    assert app.find_blob(blob.digest) == len(PAGE)
    assert b"".join(app.iter_blob(blob)) == PAGE


def test_a_push_may_be_led_to_a_page_in_several_steps(
    client: RegistryClient, registry: FakeRegistry
) -> None:
    registry.arm(Fault("GET", "^/last", status=200, body=PAGE, times=9))
    for start, end in (("POST", "/first"), ("GET", "/second"), ("GET", "/last")):
        registry.arm(Fault(start, "", status=302, headers=(("Location", end),)))
    with pytest.raises(RegistryError, match=r"answered with a web page \('Sign in to Example'\)"):
        opened(client, registry).upload_blob([BLOB])


def test_a_redirect_of_a_push_to_no_page_stays_a_refusal(
    client: RegistryClient, registry: FakeRegistry
) -> None:
    registry.arm(Fault("POST", "", status=302, headers=(("Location", "/elsewhere"),), times=9))
    with pytest.raises(RegistryError, match=r"refused the push to app.*\(HTTP 302\)"):
        opened(client, registry).upload_blob([BLOB])


def test_a_token_service_may_be_a_page(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        registry.arm(Fault("GET", "/token", status=200, body=PAGE, times=9))
        with pytest.raises(RegistryError, match="without a token: it answered with a web page"):
            opened(client, registry).get_manifest("v1")


# Manifests that name what is missing


IMAGE = (
    ImageBuilder()
    .layer(LayerBuilder().file("a", b"a"))
    .layer(LayerBuilder().file("b", b"b"))
    .build()
)


@pytest.mark.parametrize("names", [True, False], ids=["named", "not named"])
@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_is_missing_is_named(client: RegistryClient, status: int, names: bool) -> None:
    options = RegistryOptions(missing_status=status, names_missing=names)
    with FakeRegistry(options) as registry:
        for blob in (*IMAGE.blobs.values(),)[:-1]:
            registry.put_blob("app", blob)
        missing = [each for each in IMAGE.blobs if each not in registry.blobs("app")]
        with pytest.raises(ContentMissing, match="since it does not hold") as raised:
            opened(client, registry).put_manifest(IMAGE.manifest, "v1")
        assert raised.value.digests == set(missing)
        assert f"({missing[0]}) (HTTP {status})" in str(raised.value)
        assert registry.tags("app") == {}


def test_a_404_without_a_word_is_looked_into(client: RegistryClient) -> None:
    with FakeRegistry() as registry:
        app = opened(client, registry)
        for blob in IMAGE.blobs.values():
            registry.put_blob("app", blob)
        registry.arm(Fault("PUT", "/manifests/", status=404, body=b"", times=9))
        with pytest.raises(NotFound, match="has no repository app"):
            app.put_manifest(IMAGE.manifest, "v1")


@pytest.mark.parametrize("names", [True, False], ids=["named", "not named"])
@pytest.mark.parametrize("status", [400, 404])
def test_a_mount_that_lied_is_made_good(client: RegistryClient, status: int, names: bool) -> None:
    options = RegistryOptions(missing_status=status, names_missing=names, lying_mounts=True)
    with FakeRegistry(options) as registry:
        IMAGE.push(registry, "base", "v1")
        sink = RegistrySink(client, Reference(Repository(registry.host, "app"), "v1"))
        for blob in (IMAGE.config, *IMAGE.layers):
            assert sink.try_mount(blob, Repository(registry.host, "base"))
        sink.publish(IMAGE.manifest)
        sink.close()
        assert registry.tags("app") == {"v1": IMAGE.manifest.digest}
        assert registry.blobs("app") == IMAGE.blobs.keys()


def test_it_is_tried_once_more_and_no_oftener(client: RegistryClient) -> None:
    options = RegistryOptions(lying_mounts=True)
    with FakeRegistry(options) as registry:
        IMAGE.push(registry, "base", "v1")
        sink = RegistrySink(client, Reference(Repository(registry.host, "app"), "v1"))
        for blob in (IMAGE.config, *IMAGE.layers):
            sink.try_mount(blob, Repository(registry.host, "base"))
        registry.before_each(lambda method, path: forget(registry, method, path))
        with pytest.raises(ContentMissing):
            sink.publish(IMAGE.manifest)
        assert (
            sum(one.method == "PUT" and "/manifests/" in one.path for one in registry.requests) == 2
        )


def forget(registry: FakeRegistry, method: str, path: str) -> None:
    """Lose all blobs just before a manifest is pushed."""
    if method == "PUT" and "/manifests/" in path:
        for digest in registry.blobs("app"):
            registry.drop_blob("app", digest)


# Referrers and deletions


def test_a_see_other_means_no_list_of_referrers(client: RegistryClient) -> None:
    """GHCR sends clients to its web site."""
    options = RegistryOptions(referrers=False, referrers_status=303)
    with FakeRegistry(options) as registry:
        digest = IMAGE.push(registry, "app", "v1")
        app = opened(client, registry)
        assert app.list_referrers(digest) is None
        assert not app.lists_referrers()
        assert all("/login" not in one.path for one in registry.requests)


def test_a_tag_that_is_taken_for_a_digest_is_no_list_of_referrers(client: RegistryClient) -> None:
    """As GitLab does: the children of an index would count as what refers to it."""
    index = index_of([IMAGE])
    with FakeRegistry(RegistryOptions(referrers=False, dashed_digests=True)) as registry:
        digest = index.push(registry, "app", "v1")
        app = opened(client, registry)
        assert app.find_manifest(digest.replace(":", "-")) is not None
        assert app.list_referrers_by_tag(digest) == ()
        assert app.find_companion(digest, "") is None
        subject = app.find_manifest(digest)
        assert subject is not None
        config = Descriptor(mediatypes.OCI_CONFIG, registry.put_blob("app", b"{}"), 2)
        signature = artifact_manifest("a/signature", [config], config=config, subject=subject)
        app.put_referrer(signature)
        assert [each.digest for each in app.list_referrers_by_tag(digest)] == [signature.digest]
        assert app.find_companion(digest, "") is not None


@pytest.mark.parametrize("status", [404, 405])
def test_a_registry_that_deletes_nothing_is_not_believed(
    client: RegistryClient, status: int
) -> None:
    """ECR answers 404, as if the manifest were gone."""
    with FakeRegistry(RegistryOptions(deletes=False, deletion_refusal=status)) as registry:
        digest = IMAGE.push(registry, "app", "v1")
        app = opened(client, registry)
        with pytest.raises(Denied, match=rf"deletes nothing \(HTTP {status}\)"):
            app.delete_manifest(digest)
        if status == 404:
            assert app.delete_manifest(digest_of(b"none")) is Deletion.GONE


# Helpers


def test_a_public_image_needs_no_helper(environ: dict[str, str]) -> None:
    auth = replace(BEARER, anonymous_pull=True)
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        registry.put_manifest("app", "v1", MANIFEST.data, MANIFEST.media_type)
        environ["DOCKER_AUTH_CONFIG"] = '{"credsStore": "absent"}'
        warnings: list[str] = []
        with RegistryClient(environ=environ, on_warning=warnings.append) as anonymous:
            app = opened(anonymous, registry)
            assert app.get_manifest("v1") == MANIFEST
            (warning,) = warnings
            assert warning == (
                "the credential helper docker-credential-absent, named by $DOCKER_AUTH_CONFIG, is "
                f"not installed, so {registry.host} is asked without credentials; install it, or "
                "take it out of that file and log in again"
            )
            with pytest.raises(
                Unauthorized,
                match=r"asks for credentials, and the credential helper docker-credential-absent, "
                r"named by .* is not installed: install it, or take it out of that file",
            ):
                app.upload_blob([BLOB])
