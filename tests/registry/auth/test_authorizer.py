"""Tokens and passwords over real sockets: fetched, kept, renewed, widened, never sent elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import Denied, RegistryError, TooManyRequests, Unauthorized
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository, parse_repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.testing import Basic, Bearer, FakeRegistry, Fault, RegistryOptions
from tests.registry.conftest import Time

BLOB = b"layer" * 1000
DIGEST = digest_of(BLOB)
DESCRIPTOR = Descriptor(mediatypes.OCI_LAYER, DIGEST, len(BLOB))
INDEX = RawManifest(b'{"schemaVersion": 2, "manifests": []}', mediatypes.OCI_INDEX)
BEARER = Bearer("ann", "s3cret")
Open = Callable[..., RemoteRepository]


@pytest.fixture
def login(client: RegistryClient, environ: dict[str, str]) -> Open:
    """`app` of a registry, with these credentials."""

    def login(registry: FakeRegistry, credentials: str | None = "ann:s3cret") -> RemoteRepository:
        if credentials is not None:
            environ[variable_for(registry.host)] = credentials
        return client.repository(parse_repository(f"{registry.host}/app"))

    return login


def identity(environ: dict[str, str], registry: FakeRegistry) -> None:
    environ["DOCKER_AUTH_CONFIG"] = (
        f'{{"auths": {{"{registry.host}": {{"identitytoken": "idt"}}}}}}'
    )


def asked(registry: FakeRegistry) -> list[tuple[str, int | None]]:
    return [(one.method, one.status) for one in registry.requests]


@pytest.mark.parametrize(
    "auth", [Basic("ann", "s3cret"), BEARER, replace(BEARER, offers_basic=True)]
)
def test_everything_works_with_credentials(login: Open, auth: Basic | Bearer) -> None:
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        app = login(registry)
        assert app.upload_blob([BLOB]) == (DIGEST, len(BLOB))
        app.put_manifest(INDEX, "v1")
        assert app.get_manifest("v1") == INDEX
        assert b"".join(app.iter_blob(DESCRIPTOR)) == BLOB
        assert list(app.iter_tags()) == ["v1"]


def test_one_token_serves_all_that_it_covers(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = login(registry)
        app.upload_blob([BLOB])
        app.put_manifest(INDEX, "v1")
        app.get_manifest("v1")
        app.find_blob(DIGEST)
        assert registry.token_scopes == (("repository:app:pull,push",),)
        assert [status for _, status in asked(registry)].count(401) == 1


def test_reading_asks_for_no_more_than_reading(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=replace(BEARER, anonymous_pull=True))) as registry:
        registry.put_manifest("app", "v1", INDEX.data, INDEX.media_type)
        assert login(registry, None).get_manifest("v1") == INDEX
        assert registry.token_scopes == (("repository:app:pull",),)


def test_each_repository_has_a_token_of_its_own(login: Open, client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        login(registry).find_blob(DIGEST)
        client.repository(Repository(registry.host, "other")).find_blob(DIGEST)
        assert registry.token_scopes == (("repository:app:pull",), ("repository:other:pull",))
        assert [status for _, status in asked(registry)].count(401) == 1


def test_a_mount_asks_to_read_where_it_mounts_from(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        registry.put_blob("base", BLOB)
        app = login(registry)
        assert app.try_mount(DIGEST, Repository(registry.host, "base"))
        assert registry.token_scopes == (("repository:app:pull,push", "repository:base:pull"),)


def test_a_token_is_renewed_before_it_ends(login: Open, time: Time) -> None:
    with FakeRegistry(RegistryOptions(auth=replace(BEARER, lifetime=60.0))) as registry:
        app = login(registry)

        def slow() -> list[bytes]:
            time.now += 49.0
            return [BLOB]

        app.find_blob(DIGEST)
        app.upload_blob(chunk for _ in range(1) for chunk in slow())
        assert len(registry.token_scopes) == 3
        assert [status for _, status in asked(registry)].count(401) == 1


def test_a_token_that_ended_early_is_dropped(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = login(registry)
        app.upload_blob([BLOB])
        registry.expire_tokens()
        assert app.find_blob(DIGEST) == len(BLOB)
        registry.expire_tokens()
        app.put_manifest(INDEX, "v1")
        assert len(registry.token_scopes) == 3


def test_a_stale_token_answered_with_basic_is_renewed_all_the_same(login: Open) -> None:
    """Harbor does so."""
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = login(registry)
        app.upload_blob([BLOB])
        stale = (("WWW-Authenticate", 'Basic realm="harbor"'),)
        registry.arm(Fault("HEAD", "/blobs/", status=401, headers=stale))
        assert app.find_blob(DIGEST) == len(BLOB)


def test_an_upload_survives_the_end_of_its_token(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = login(registry)

        def chunks() -> list[bytes]:
            registry.expire_tokens()
            return [BLOB]

        assert app.upload_blob(chunk for _ in range(1) for chunk in chunks())[0] == DIGEST


def test_a_stream_that_is_refused_is_not_sent_twice(
    connect: Callable[..., RegistryClient], environ: dict[str, str]
) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        environ[variable_for(registry.host)] = "ann:s3cret"
        client = connect(ClientOptions(upload={registry.host: UploadMode.STREAM}))
        app = client.repository(parse_repository(f"{registry.host}/app"))
        registry.arm(Fault("PATCH", "", status=401))
        with pytest.raises(Unauthorized, match=r"refused the push to app"):
            app.upload_blob([BLOB])
        assert registry.open_uploads == 0


@pytest.mark.parametrize(("post", "requests"), [(True, ["POST"]), (False, ["POST", "GET"])])
def test_identity_tokens(
    login: Open, environ: dict[str, str], *, post: bool, requests: list[str]
) -> None:
    auth = Bearer("<token>", "idt", refresh_token="idt", post=post)
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        identity(environ, registry)
        app = login(registry, None)
        app.upload_blob([BLOB])
        assert [one.method for one in registry.requests if "/token" in one.path] == requests


def test_a_registry_token_is_used_as_it_is(
    client: RegistryClient, environ: dict[str, str], registry: FakeRegistry
) -> None:
    environ["DOCKER_AUTH_CONFIG"] = (
        f'{{"auths": {{"{registry.host}": {{"registrytoken": "ready"}}}}}}'
    )
    bearer = (("WWW-Authenticate", f'Bearer realm="{registry.url}/token"'),)
    registry.arm(Fault("HEAD", "", status=401, headers=bearer))
    client.repository(parse_repository(f"{registry.host}/app")).find_blob(DIGEST)
    assert [one.headers.get("authorization") for one in registry.requests] == [None, "Bearer ready"]


@pytest.mark.parametrize("auth", [Basic("ann", "s3cret"), BEARER])
@pytest.mark.parametrize(
    ("credentials", "sentence"),
    [
        pytest.param(None, r"asks for credentials: run `docker login 127\.0\.0\.1:\d+`", id="none"),
        pytest.param("ann:wrong", r"check the credentials of 'ann' from \$SQUASHPROXY", id="wrong"),
    ],
)
def test_a_refused_user_learns_why(
    login: Open, auth: Basic | Bearer, credentials: str | None, sentence: str
) -> None:
    with (
        FakeRegistry(RegistryOptions(auth=auth)) as registry,
        pytest.raises(Unauthorized, match=sentence) as raised,
    ):
        login(registry, credentials).get_manifest("v1")
    assert "wrong" not in str(raised.value)


def test_a_user_who_may_only_read_cannot_write(login: Open) -> None:
    auth = replace(BEARER, actions=frozenset({"pull"}))
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        with pytest.raises(Unauthorized, match=r"refused the push to app"):
            login(registry).upload_blob([BLOB])
        assert len(registry.token_scopes) == 1


def test_basic_users_may_be_denied(login: Open) -> None:
    auth = Basic("ann", "s3cret", frozenset({"pull"}))
    with (
        FakeRegistry(RegistryOptions(auth=auth)) as registry,
        pytest.raises(Denied, match=r"check that the account may push there"),
    ):
        login(registry).upload_blob([BLOB])


def test_a_token_service_may_be_busy(login: Open, time: Time) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        registry.arm(Fault("GET", "/token", status=503, times=2))
        app = login(registry)
        assert app.find_blob(DIGEST) is None
        assert time.waits == [0.25, 0.5]
        registry.expire_tokens()
        registry.arm(Fault("GET", "/token", status=429, times=100))
        with pytest.raises(TooManyRequests):
            app.find_blob(DIGEST)


def test_threads_share_one_token(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = login(registry)
        app.find_blob(DIGEST)
        registry.expire_tokens()
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(app.find_blob, [DIGEST] * 40)) == {None}


def test_a_cancelled_upload_asks_for_the_right_to_delete(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:

        def broken() -> list[bytes]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            login(registry).upload_blob(chunk for _ in range(1) for chunk in broken())
        assert registry.open_uploads == 0


def test_no_proof_follows_a_redirect_to_another_host(login: Open) -> None:
    with FakeRegistry() as storage:
        options = RegistryOptions(auth=BEARER, redirect_blobs_to=storage.host)
        with FakeRegistry(options, shares=storage) as registry:
            registry.put_blob("app", BLOB)
            assert b"".join(login(registry).iter_blob(DESCRIPTOR)) == BLOB
            (fetched,) = storage.requests
            assert "authorization" not in fetched.headers


@pytest.mark.parametrize("auth", [BEARER, Basic("ann", "s3cret")])
def test_no_proof_follows_a_location_to_another_host(login: Open, auth: Basic | Bearer) -> None:
    with FakeRegistry() as storage, FakeRegistry(RegistryOptions(auth=auth)) as registry:
        location = f"{storage.url}/v2/app/blobs/uploads/x"
        registry.arm(Fault("POST", "mount=", status=202, headers=(("Location", location),)))
        app = login(registry)
        app.upload_blob([BLOB])
        assert not app.try_mount(DIGEST, Repository(registry.host, "base"))
        (cancelled,) = storage.requests
        assert cancelled.method == "DELETE"
        assert "authorization" not in cancelled.headers


def test_a_netrc_file_is_not_read(
    login: Open, registry: FakeRegistry, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path  # noqa: PLC0415 - this test alone needs it

    netrc = Path(environ["HOME"], ".netrc")
    netrc.write_text("default login ann password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    login(registry, None).find_blob(DIGEST)
    assert [one.headers.get("authorization") for one in registry.requests] == [None]


WRONG_REALMS = ["http://[", "http://127.0.0.1:99999/", "ftp://a/", "http://127.0.0.1:1/t?x=\t"]


@pytest.mark.parametrize("realm", WRONG_REALMS)
def test_one_wrong_challenge_is_not_believed_for_ever(login: Open, realm: str) -> None:
    """The wrong challenge of a proxy or of one repository must not spoil later requests."""
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        registry.put_manifest("app", "v1", INDEX.data, INDEX.media_type)
        app = login(registry)
        headers = (("WWW-Authenticate", f'Bearer realm="{realm}"'),)
        registry.arm(Fault("GET", "/manifests/", status=401, headers=headers))
        with pytest.raises(RegistryError, match="in its WWW-Authenticate header"):
            app.get_manifest("v1")
        assert app.get_manifest("v1") == INDEX


def test_the_realm_of_one_repository_is_not_forced_upon_others(
    client: RegistryClient, login: Open
) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry, FakeRegistry() as other:
        registry.put_manifest("app", "v1", INDEX.data, INDEX.media_type)
        answer = Fault("GET", "/token", status=200, body=b'{"token": "of another"}')
        other.arm(answer)
        app = login(registry)
        bad = client.repository(Repository(registry.host, "bad"))
        headers = (("WWW-Authenticate", f'Bearer realm="{other.url}/token"'),)
        registry.arm(Fault("GET", "/v2/bad/", status=401, headers=headers, times=9))
        for _ in range(2):
            with pytest.raises(RegistryError):
                bad.get_manifest("v1")
            assert app.get_manifest("v1") == INDEX


def test_wrong_credentials_are_not_tried_twice_as_often(login: Open) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = login(registry, "ann:wrong")
        counts = []
        for _ in range(3):
            with pytest.raises(Unauthorized):
                app.get_manifest("v1")
            counts.append(sum(each.path.startswith("/token") for each in registry.requests))
        assert counts == [1, 2, 3]


NOWHERE = {
    "refused": "http://127.0.0.1:1/token",
    "no such name": "http://nowhere.invalid/token",
    "no token service": "/v2/nothing",
    "no web address": "ftp://127.0.0.1/token",
    "no URL": "http://[/",
}


@pytest.mark.parametrize("front", [False, True], ids=["at once", "on the front page"])
@pytest.mark.parametrize("realm", NOWHERE.values(), ids=NOWHERE)
def test_a_realm_that_leads_nowhere_is_forgotten_with_its_failure(
    environ: dict[str, str], realm: str, *, front: bool
) -> None:
    """One wrong challenge, once; then the registry is right again, for every repository."""
    options = RegistryOptions(auth=BEARER, hides=front)
    quick = ClientOptions(retries=0, timeout=1)
    with FakeRegistry(options) as registry, RegistryClient(quick, environ=environ) as client:
        for name in ("app", "other"):
            registry.put_manifest(name, "v1", INDEX.data, INDEX.media_type)
        environ[variable_for(registry.host)] = "ann:s3cret"
        challenge = f'Bearer realm="{realm}",service="s",scope="repository:app:pull"'
        path = "/v2/$" if front else "/manifests/"
        headers = (("WWW-Authenticate", challenge),)
        registry.arm(Fault("*", path, status=401, headers=headers))
        app, other = (
            client.repository(Repository(registry.host, name)) for name in ("app", "other")
        )
        with pytest.raises(RegistryError):
            app.get_manifest("v1")
        assert app.get_manifest("v1") == INDEX
        assert other.get_manifest("v1") == INDEX


def test_of_any_number_of_repositories_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is asked for whatever names its clients invent; a forgotten one still works."""
    monkeypatch.setattr("squashproxy.registry.auth.authorizer._MOST_REPOSITORIES", 4)
    monkeypatch.setattr("squashproxy.registry.auth.credentials._MOST_REPOSITORIES", 4)
    options = RegistryOptions(auth=replace(BEARER, anonymous_pull=True))
    with FakeRegistry(options) as registry, RegistryClient(environ={}) as client:
        for _ in range(2):
            for number in range(6):
                registry.put_manifest(f"r{number}", "v1", INDEX.data, INDEX.media_type)
                name = parse_repository(f"{registry.host}/r{number}")
                assert client.repository(name).get_manifest("v1") == INDEX
        assert len(registry.token_scopes) == 12
        assert len(client._authorizer._known) == 4
