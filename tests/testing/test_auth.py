"""Who may do what: challenges, tokens, scopes, TLS."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import pytest
import trustme

from squashproxy.digest import digest_of
from squashproxy.testing import Basic, Bearer, FakeRegistry, Tls

Make = Callable[..., FakeRegistry]
Connect = Callable[[FakeRegistry], Any]

BLOB = b"blob"
PATH = f"/v2/app/blobs/{digest_of(BLOB)}"
UPLOADS = "/v2/app/blobs/uploads/"


def basic(user: str = "ann", password: str = "secret") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def get_token(client: Any, *scopes: str, headers: dict[str, str] | None = None) -> dict[str, str]:
    query = "&".join(f"scope={quote(scope)}" for scope in scopes)
    reply = client.ask("GET", f"/token?service=fake-registry&{query}", headers=headers or basic())
    assert reply.document["token"] == reply.document["access_token"]
    return {"Authorization": f"Bearer {reply.document['token']}"}


@pytest.mark.parametrize(
    ("actions", "method", "headers", "status"),
    [
        pytest.param({"pull"}, "GET", {}, 401, id="no credentials"),
        pytest.param({"pull"}, "GET", basic(password="wrong"), 401, id="wrong password"),
        pytest.param({"pull"}, "GET", {"Authorization": "Basic !"}, 401, id="no base64"),
        pytest.param({"pull"}, "GET", basic(), 200, id="right password"),
        pytest.param({"pull"}, "POST", basic(), 403, id="may not push"),
        pytest.param({"pull", "push"}, "POST", basic(), 202, id="may push"),
    ],
)
def test_basic(
    *,
    registries: Make,
    connect: Connect,
    actions: set[str],
    method: str,
    headers: dict[str, str],
    status: int,
) -> None:
    registry = registries(auth=Basic("ann", "secret", frozenset(actions)))
    registry.put_blob("app", BLOB)
    reply = connect(registry).ask(method, PATH if method == "GET" else UPLOADS, headers=headers)
    assert reply.status == status
    assert (reply.headers["WWW-Authenticate"] is not None) == (status == 401)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        pytest.param("GET", PATH, "repository:app:pull", id="read"),
        pytest.param("POST", UPLOADS, "repository:app:pull,push", id="write"),
        pytest.param("DELETE", PATH, "repository:app:delete", id="delete"),
        pytest.param(
            "POST",
            f"{UPLOADS}?mount={digest_of(BLOB)}&from=base",
            "repository:app:pull,push repository:base:pull",
            id="mount",
        ),
        pytest.param("GET", "/v2/", None, id="the API itself"),
    ],
)
def test_a_challenge_names_the_scope(
    registries: Make, connect: Connect, method: str, path: str, scope: str | None
) -> None:
    registry = registries(auth=Bearer("ann", "secret"))
    reply = connect(registry).ask(method, path)
    expected = f'Bearer realm="{registry.url}/token",service="fake-registry"'
    expected += f',scope="{scope}"' if scope else ""
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, expected)


def test_a_token_opens_what_it_was_asked_for(registries: Make, connect: Connect) -> None:
    registry = registries(auth=Bearer("ann", "secret"))
    registry.put_blob("app", BLOB)
    client = connect(registry)
    token = get_token(client, "repository:app:pull")
    assert client.ask("GET", PATH, headers=token).status == 200
    refused = client.ask("POST", UPLOADS, headers=token)
    assert refused.status == 401
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    both = get_token(client, "repository:app:pull,push", "repository:base:pull")
    assert client.ask("POST", UPLOADS, headers=both).status == 202
    assert registry.token_scopes == (
        ("repository:app:pull",),
        ("repository:app:pull,push", "repository:base:pull"),
    )


def test_tokens_end(registries: Make, connect: Connect) -> None:
    registry = registries(auth=Bearer("ann", "secret"))
    registry.put_blob("app", BLOB)
    client = connect(registry)
    token = get_token(client, "repository:app:pull")
    registry.expire_tokens()
    reply = client.ask("GET", PATH, headers=token)
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]
    short = connect(registries(auth=Bearer("ann", "secret", lifetime=0)))
    token = get_token(short, "repository:app:pull")
    assert short.ask("GET", PATH, headers=token).status == 401


def test_a_token_holds_no_more_than_the_user_may(registries: Make, connect: Connect) -> None:
    registry = registries(auth=Bearer("ann", "secret", frozenset({"pull"}), anonymous_pull=True))
    registry.put_blob("app", BLOB)
    client = connect(registry)
    for headers in (basic(), {"X-Nobody": "1"}):
        token = get_token(client, "repository:app:*", headers=headers)
        assert client.ask("GET", PATH, headers=token).status == 200
        assert client.ask("POST", UPLOADS, headers=token).status == 401
    wrong = client.ask("GET", "/token?scope=repository:app:pull", headers=basic("eve"))
    assert (wrong.status, wrong.code) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("post", "form", "status"),
    [
        pytest.param(
            True, {"grant_type": "refresh_token", "refresh_token": "r1"}, 200, id="refresh token"
        ),
        pytest.param(
            True, {"grant_type": "refresh_token", "refresh_token": "r2"}, 401, id="another one"
        ),
        pytest.param(
            True,
            {"grant_type": "password", "username": "ann", "password": "secret"},
            200,
            id="password",
        ),
        pytest.param(
            False, {"grant_type": "refresh_token", "refresh_token": "r1"}, 404, id="GET only"
        ),
    ],
)
def test_tokens_by_post(
    registries: Make, connect: Connect, post: bool, form: dict[str, str], status: int
) -> None:
    registry = registries(auth=Bearer("ann", "secret", refresh_token="r1", post=post))
    body = urlencode({**form, "scope": "repository:app:pull"}).encode()
    assert connect(registry).ask("POST", "/token", body).status == status


def test_several_challenges_and_another_realm(registries: Make, connect: Connect) -> None:
    auth = Bearer("ann", "secret", offers_basic=True, realm="http://10.0.0.1/token")
    registry = registries(auth=auth)
    registry.put_blob("app", BLOB)
    client = connect(registry)
    challenges = client.ask("GET", PATH).headers.get_all("WWW-Authenticate")
    assert [challenge.partition(" ")[0] for challenge in challenges] == ["Bearer", "Basic"]
    assert 'realm="http://10.0.0.1/token"' in challenges[0]
    assert client.ask("GET", PATH, headers=basic()).status == 200


def test_tls_with_a_certificate_of_ones_own(registries: Make, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    tls = Tls(tmp_path / "cert.pem", tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tls.certificate)
    issued.private_key_pem.write_to_path(tls.key)
    registry = registries(tls=tls)
    assert registry.url == f"https://{registry.host}"
    context = ssl.create_default_context()
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urlopen(f"{registry.url}/v2/", context=context)
    authority.configure_trust(context)
    with urlopen(Request(f"{registry.url}/v2/"), context=context) as reply:
        assert reply.status == 200
