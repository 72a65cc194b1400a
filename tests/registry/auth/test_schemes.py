"""Authentication without I/O: choice of scheme, token requests, lifetime of tokens."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from squashproxy.errors import FormatError
from squashproxy.registry.auth.challenges import parse_challenges
from squashproxy.registry.auth.login import Credentials
from squashproxy.registry.auth.schemes import (
    SchemeKind,
    Token,
    choose_scheme,
    read_token,
    token_requests,
)
from squashproxy.registry.auth.scopes import parse_scopes, pull, push, render_scopes

PASSWORD = Credentials("a file", "ann", "pa:ss")
IDENTITY = Credentials("a file", identity_token="refresh")


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        pytest.param('Basic realm="r", Bearer realm="https://a"', SchemeKind.BEARER, id="bearer"),
        pytest.param("Bearer, Basic", SchemeKind.BASIC, id="a bearer without realm is useless"),
        pytest.param("Negotiate", None, id="nothing that we know"),
        pytest.param("", None, id="no challenge"),
    ],
)
def test_the_best_scheme_is_chosen(header: str, kind: SchemeKind | None) -> None:
    scheme = choose_scheme(parse_challenges(header))
    assert (scheme and scheme.kind) == kind


def test_a_token_request_names_service_account_and_every_scope() -> None:
    (request,) = token_requests("https://a/t?x=1", "s", push("a/b") | pull("c"), PASSWORD)
    query = parse_qs(urlsplit(request.url).query)
    assert query == {
        "x": ["1"],
        "service": ["s"],
        "scope": ["repository:a/b:pull,push", "repository:c:pull"],
        "account": ["ann"],
    }
    assert request.headers["Authorization"] == "Basic YW5uOnBhOnNz"


def test_anonymous_token_requests_carry_no_authorization() -> None:
    (request,) = token_requests("https://a/t", "s", pull("c"), None)
    assert (request.headers, request.form) == ({}, None)


def test_an_identity_token_is_posted_and_only_then_sent_as_a_password() -> None:
    post, get = token_requests("https://a/t", "s", pull("c"), IDENTITY)
    assert post.form is not None
    assert post.form["grant_type"] == "refresh_token"
    assert post.form["refresh_token"] == "refresh"
    assert get.form is None
    assert get.headers["Authorization"] == "Basic PHRva2VuPjpyZWZyZXNo"


@pytest.mark.parametrize(
    ("body", "value", "lifetime"),
    [
        pytest.param(b'{"token": "t", "expires_in": 300}', "t", 300, id="token"),
        pytest.param(b'{"access_token": "a"}', "a", 60, id="access_token, 60 s by default"),
        pytest.param(b'{"token": "", "access_token": "a"}', "a", 60, id="an empty token"),
        pytest.param(b'{"token": "t", "expires_in": 0}', "t", 60, id="a senseless lifetime"),
        pytest.param(b'{"token": "t", "expires_in": "x"}', "t", 60, id="a lifetime in words"),
        pytest.param(b'{"token": "t", "expires_in": "300"}', "t", 300, id="a number as a text"),
        pytest.param(b'{"token": "t", "expires_in": 0.5}', "t", 0.5, id="a fraction"),
        pytest.param(b'{"token": "t", "expires_in": -1}', "t", 60, id="negative"),
        pytest.param(b'{"token": "t", "expires_in": true}', "t", 60, id="true"),
        pytest.param(b'{"token": "t", "expires_in": null}', "t", 60, id="null"),
        pytest.param(b'{"token": "t", "expires_in": [300]}', "t", 60, id="a list"),
        pytest.param(b'{"token": "t", "expires_in": NaN}', "t", 60, id="not a number"),
        pytest.param(b'{"token": "t", "expires_in": -Infinity}', "t", 60, id="less than all"),
        pytest.param(b'{"token": "t", "expires_in": Infinity}', "t", 86400, id="for ever"),
        pytest.param(b'{"token": "t", "expires_in": 1e999}', "t", 86400, id="a large exponent"),
        pytest.param(
            b'{"token": "t", "expires_in": 1' + b"0" * 4000 + b"}", "t", 86400, id="4001 digits"
        ),
        pytest.param(b'{"token": "t", "expires_in": 10000000000}', "t", 86400, id="centuries"),
        pytest.param(
            b'{"token": "t", "expires_in": "' + b"9" * 5000 + b'"}', "t", 60, id="a long text"
        ),
    ],
)
def test_tokens_are_read(body: bytes, value: str, lifetime: float) -> None:
    token = read_token(body, pull("a"), 5.0, "https://a/t")
    assert (token.value, token.lifetime, token.received) == (value, lifetime, 5.0)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\nb"}'])
def test_an_answer_without_token_is_an_error(body: bytes) -> None:
    with pytest.raises(FormatError, match=r"token service https://a/t answered without a token"):
        read_token(body, pull("a"), 0.0, "https://a/t")


def test_a_token_that_fits_into_no_header_is_an_error() -> None:
    body = b'{"token": "' + b"t" * 100_000 + b'"}'
    with pytest.raises(FormatError, match="a token of 100000 characters"):
        read_token(body, pull("a"), 0.0, "https://a/t")


@pytest.mark.parametrize(
    ("lifetime", "fresh_until"),
    [
        pytest.param(60.0, 48.0, id="20 % of a minute"),
        pytest.param(40.0, 30.0, id="10 s"),
        pytest.param(300.0, 240.0, id="20 % of five minutes"),
        pytest.param(8.0, 4.0, id="half of what hardly lasts"),
    ],
)
def test_tokens_are_renewed_before_they_end(lifetime: float, fresh_until: float) -> None:
    token = Token("t", pull("a"), 100.0, lifetime)
    assert token.is_fresh(100.0 + fresh_until - 0.01)
    assert not token.is_fresh(100.0 + fresh_until)


def test_scopes_survive_being_written_and_read() -> None:
    scopes = push("a/b") | pull("c") | {("host:5000/d", "delete")}
    assert parse_scopes(" ".join(render_scopes(scopes))) == scopes


def test_other_kinds_of_scopes_are_left_out() -> None:
    assert parse_scopes("registry:other:* repository:a:*") == {("a", "*")}


@pytest.mark.timeout(60)
def test_many_scopes_are_rendered_once_each() -> None:
    """A header holds many of them, and the time grew with the square of their number."""
    text = " ".join(f"repository:r{number}:pull" for number in range(20_000))
    assert len(render_scopes(parse_scopes(text))) == 20_000


def test_a_password_of_the_environment_is_sent_as_the_bytes_that_it_was() -> None:
    """Python keeps bytes that are no UTF-8 as halves of surrogate pairs."""
    strange = Credentials("$SQUASHPROXY_AUTH_X", "\udcff", "\udcfe")
    (request,) = token_requests("https://a/t", "s", pull("c"), strange)
    assert request.headers["Authorization"] == "Basic /zr+"
    assert "account=%FF" in request.url
