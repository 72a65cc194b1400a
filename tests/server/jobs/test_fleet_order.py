"""What a job of the fleet says, and what it never says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import FormatError
from squashproxy.fleet.job import JobKind, QueueName
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import ANYONE, Caller
from squashproxy.server.jobs.fleet_order import (
    NOBODY,
    SquashResult,
    fits_fleet,
    read_order,
    read_result,
    request_of,
)
from squashproxy.server.jobs.job import SquashOrder
from squashproxy.server.store.base import SquashKey, SquashRecord

STORE = "store.example/squashed"
DIGEST = digest_of(b"source")
KEY = SquashKey(Repository("up.example:5000", "team/app"), DIGEST, "options")
ORDER = SquashOrder(KEY, "up.example:5000/team/app:1", ANYONE, CopyOptions())

CALLERS = {
    "everyone": (ANYONE, True),
    "a user of the file of users": (Caller("bob"), True),
    "a caller without credentials": (Caller("", ("", "")), True),
    "a caller with a login": (Caller("bob", ("bob", "secret")), False),
    "a user without a password": (Caller("bob", ("bob", "")), False),
    "a password without a user": (Caller("", ("", "secret")), False),
}


@pytest.mark.parametrize(("caller", "fits"), CALLERS.values(), ids=CALLERS)
def test_only_orders_without_a_login_leave_the_process(caller: Caller, *, fits: bool) -> None:
    assert fits_fleet(replace(ORDER, caller=caller)) is fits


@pytest.mark.parametrize("caller", [ANYONE, NOBODY, Caller("bob")])
def test_an_order_arrives_as_it_was_sent(caller: Caller) -> None:
    request = request_of(replace(ORDER, caller=caller), STORE)
    assert (request.kind, request.queue) == (JobKind.SQUASH, QueueName.INTERACTIVE)
    order = read_order(json.loads(json.dumps(dict(request.body))))
    assert (order.key, order.image, order.store) == (KEY, ORDER.image, STORE)
    assert order.caller.login == caller.login
    assert "bob" not in str(request), "who asked is nobody's business"


def test_all_servers_of_a_store_ask_for_the_same_job() -> None:
    first = request_of(ORDER, STORE)
    assert request_of(replace(ORDER, image="another tag"), STORE).id == first.id
    assert request_of(replace(ORDER, caller=Caller("bob")), STORE).id == first.id


OTHERS = {
    "another store": request_of(ORDER, "store.example/other"),
    "another repository": request_of(
        replace(ORDER, key=replace(KEY, repository=Repository("up.example:5000", "app"))), STORE
    ),
    "another source": request_of(replace(ORDER, key=replace(KEY, source=digest_of(b"x"))), STORE),
    "other options": request_of(replace(ORDER, key=replace(KEY, options="x")), STORE),
    "other terms": request_of(replace(ORDER, options=CopyOptions(provenance=True)), STORE),
    "other credentials": request_of(replace(ORDER, caller=NOBODY), STORE),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_may_end_otherwise_is_another_job(other: object) -> None:
    assert getattr(other, "id", None) != request_of(ORDER, STORE).id


BODY = dict(request_of(ORDER, STORE).body)
BROKEN: dict[str, dict[str, object]] = {
    "nothing": {},
    "no repository": {name: BODY[name] for name in BODY if name != "repository"},
    "a repository with a tag": {**BODY, "repository": "up.example/app:1"},
    "a repository that is a number": {**BODY, "repository": 1},
    "no digest": {**BODY, "source": "latest"},
    "a digest that is a list": {**BODY, "source": ["x"]},
    "options that are a list": {**BODY, "options": []},
    "credentials that nobody has": {**BODY, "access": "admin"},
    "no terms": {name: BODY[name] for name in BODY if name != "terms"},
    "access that is a list": {**BODY, "access": []},
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_body_that_is_no_order_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="body of a squash job"):
        read_order(body)


def test_a_result_arrives_as_it_was_sent() -> None:
    record = SquashRecord("i", DIGEST, digest_of(b"r"), 1.0, 2.0, ("linux/amd64",), 3, 1, 9, 8, 7)
    sent = SquashResult(record, 5)
    assert read_result(json.loads(json.dumps(sent.to_json()))) == sent


@pytest.mark.parametrize(
    "document", [{}, {"record": {}, "fetched": 1}, {"record": 1, "fetched": 1}, {"fetched": None}]
)
def test_a_result_that_is_none_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="result of a squash job"):
        read_result(document)
