"""Refusals become sentences: what, where, what to do."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from squashproxy.errors import (
    Denied,
    NotFound,
    RegistryError,
    ServerFault,
    TooManyRequests,
    Unauthorized,
)
from squashproxy.reference import Repository
from squashproxy.registry.http.error_responses import (
    Action,
    read_refusal,
    refusal_error,
    unauthorized_error,
)

WEB = Repository("registry.example.com", "apps/web")
PULL = Action(WEB, "the pull of v1 from apps/web", "tag v1")
PUSH = Action(WEB, "the push to apps/web", pushes=True)


def oci(code: str, message: str = "", detail: Any = None) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()


@pytest.mark.parametrize(
    ("action", "status", "body", "kind", "sentence"),
    [
        pytest.param(
            PUSH,
            403,
            oci("DENIED", "requested access to the resource is denied"),
            Denied,
            "registry.example.com refused the push to apps/web: denied: requested access to the "
            "resource is denied (HTTP 403); check that the account may push there",
            id="push denied",
        ),
        pytest.param(
            PULL,
            404,
            oci("MANIFEST_UNKNOWN", "manifest unknown"),
            NotFound,
            "registry.example.com has no tag v1 in apps/web (HTTP 404); check the name",
            id="no tag",
        ),
        pytest.param(
            PULL,
            404,
            oci("NAME_UNKNOWN", "repository name not known to registry"),
            NotFound,
            "registry.example.com has no repository apps/web: name unknown: repository name not "
            "known to registry (HTTP 404); check its name, and whether it has to be created first",
            id="no repository",
        ),
        pytest.param(
            PUSH,
            405,
            oci("UNSUPPORTED", "The operation is unsupported."),
            Denied,
            "registry.example.com takes no pushes: unsupported: The operation is unsupported "
            "(HTTP 405); push to another registry",
            id="read-only",
        ),
        pytest.param(
            PUSH,
            507,
            b"",
            RegistryError,
            "registry.example.com is out of space for the push to apps/web (HTTP 507); make room "
            "there, then try again",
            id="507",
        ),
        pytest.param(
            PUSH,
            500,
            oci("UNKNOWN", "unknown error", {"Err": "write: no space left on device"}),
            RegistryError,
            "registry.example.com is out of space for the push to apps/web: unknown: unknown "
            'error: {"Err": "write: no space left on device"} (HTTP 500); make room there, then '
            "try again",
            id="no space left, told in a detail",
        ),
        pytest.param(
            PULL,
            503,
            b"<html><head><title>503 Service\n Unavailable</title></head></html>",
            ServerFault,
            "registry.example.com failed at the pull of v1 from apps/web: 503 Service Unavailable "
            "(HTTP 503); try again, and if it stays so, the registry's log says why",
            id="a proxy's page",
        ),
        pytest.param(
            PULL,
            400,
            b"Client sent an HTTP request to an HTTPS server.\n",
            RegistryError,
            "registry.example.com refused the pull of v1 from apps/web: Client sent an HTTP "
            "request to an HTTPS server (HTTP 400); its log says why, or that of a proxy before it",
            id="plain text",
        ),
        pytest.param(
            PULL,
            409,
            b'{"message": "not now"}',
            RegistryError,
            "registry.example.com refused the pull of v1 from apps/web: not now (HTTP 409); its "
            "log says why, or that of a proxy before it",
            id="a JSON of its own",
        ),
        *(
            pytest.param(
                PULL,
                status,
                b"",
                RegistryError,
                f"registry.example.com refused the pull of v1 from apps/web (HTTP {status}); check "
                "that it is a registry, and that no proxy before it changes answers",
                id=f"status {status}",
            )
            for status in (203, 299, 304, 306)
        ),
        *(
            pytest.param(
                PULL,
                418,
                body,
                RegistryError,
                "registry.example.com refused the pull of v1 from apps/web (HTTP 418); its log "
                "says why, or that of a proxy before it",
                id=f"a body that is no text, as {body[:4]!r}",
            )
            for body in (
                gzip.compress(b"layer" * 99),
                b"\x28\xb5\x2f\xfd\x04",
                b"a\0b",
                b"\xff\xfe",
            )
        ),
        pytest.param(
            PULL,
            429,
            oci("TOOMANYREQUESTS", "pull rate limit"),
            TooManyRequests,
            "registry.example.com limits the rate of requests: toomanyrequests: pull rate "
            "limit (HTTP 429); try again later, or log in for a higher limit",
            id="too many requests",
        ),
    ],
)
def test_each_refusal_has_its_sentence(
    action: Action, status: int, body: bytes, kind: type[RegistryError], sentence: str
) -> None:
    fault = refusal_error(read_refusal(status, {}, body), action)
    assert type(fault) is kind
    assert str(fault) == sentence
    assert fault.status == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"7",
        b"[]",
        b'{"errors": null}',
        b'{"errors": [null, 3]}',
        b'{"errors": [{}]}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"errors": [{"code": {}, "message": [], "detail": {"a": [1]}}]}',
        b'{"errors": [{"code": "UNKNOWN", "detail": ' + b"[" * 400 + b"]" * 400 + b"}]}",
        b'{"errors": [{"code": ' + b"[" * 400 + b"]" * 400 + b"}]}",
        b'{"errors": [{"code": ' + b"1" * 4000 + b"}]}",
        b'{"errors": [{"code": ' + b"1" * 5000 + b"}]}",
        b'{"message": "\\ud800"}',
        b"<html>" + b"<title" * 10_000,
        b"<html>" + b"<title>" * 9_000,
        b"<html><title>a",
        b"<html></title><title>",
        b"<html>" + b"</title" * 9_000,
    ],
    ids=range(20),
)
def test_any_body_makes_a_sentence(body: bytes) -> None:
    sentence = str(refusal_error(read_refusal(400, {}, body), PULL))
    assert sentence.startswith("registry.example.com refused the pull of v1 from apps/web")
    assert len(sentence) < 500


def test_a_body_cannot_write_on_the_terminal() -> None:
    sentence = str(refusal_error(read_refusal(400, {}, b"a\x1b[2J\r\nb\x9b1m"), PULL))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", sentence)


@pytest.mark.parametrize(
    ("known", "advice"),
    [
        pytest.param(None, "docker login registry.example.com", id="no credentials"),
        pytest.param(None, "set $VARIABLE to user:password", id="no credentials, the variable"),
        pytest.param(
            "'ann' from auth.json", "credentials of 'ann' from auth.json", id="wrong ones"
        ),
    ],
)
def test_a_401_says_what_to_do(known: str | None, advice: str) -> None:
    fault = unauthorized_error(read_refusal(401, {}, b""), PULL, known, "$VARIABLE")
    assert isinstance(fault, Unauthorized)
    assert advice in str(fault)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("86400", 86400.0, id="a day"),
        pytest.param("Tue, 24 Nov 2026 12:00:30 GMT", 30.0, id="a date"),
        pytest.param("Tue, 24 Nov 2026 11:00:00 GMT", 0.0, id="a date that has passed"),
        pytest.param("Tue, 24 Nov 2026 23:00:00 GMT", 39600.0, id="a date far away"),
        pytest.param("soon", None, id="nonsense"),
        pytest.param("-1", None, id="a negative number"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(status: int, value: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    fault = refusal_error(read_refusal(status, {"RETRY-After": value}, b""), PULL, now)
    assert fault.retry_after == seconds
    assert fault.temporary
