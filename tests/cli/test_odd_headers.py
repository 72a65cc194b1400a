"""Headers whose numbers, dates and addresses make no sense: ignored, or one sentence."""

from __future__ import annotations

import pytest

from squashproxy.testing import FakeRegistry, Fault, FaultKind, LayerBuilder
from tests.cli.command_line import InProcess
from tests.pipeline.images import image_of

IMAGE = image_of(LayerBuilder().file("a", b"a"), LayerBuilder().file("b", b"b"))
DIGITS = "9" * 5000


def odd(method: str, name: str, value: str) -> Fault:
    """The answers to a method carry this header."""
    return Fault(method, "", FaultKind.ALTER, headers=((name, value),), times=99)


def refused(status: int, name: str, value: str, times: int = 1) -> Fault:
    """The next request is answered with a status and this header."""
    return Fault("GET", "", status=status, headers=((name, value),), times=times)


IGNORED: dict[str, Fault] = {
    "a wait until an hour of twelve digits": refused(
        503, "Retry-After", "Wed, 21 Oct 2026 099999999999:28:00 GMT"
    ),
    "a wait that is no number": refused(429, "Retry-After", "nan"),
    "a wait of 5,000 digits": refused(429, "Retry-After", DIGITS),
    "a wait until the 99th": refused(503, "Retry-After", "Wed, 99 Oct 2026 28:28:00 GMT"),
    "pulls left, in 5,000 digits": odd("GET", "RateLimit-Remaining", DIGITS),
    "a size of 5,000 digits": odd("HEAD", "Content-Length", DIGITS),
    "a position of 5,000 digits": odd("PATCH", "Range", f"0-{DIGITS}"),
    "a position that is negative": odd("PATCH", "Range", "0--5"),
    "a least chunk of 5,000 digits": odd("POST", "OCI-Chunk-Min-Length", DIGITS),
    "a date that is none": odd("GET", "Date", "99 Foo 99999999 99:99:99"),
}


@pytest.mark.parametrize("fault", IGNORED.values(), ids=IGNORED)
def test_what_makes_no_sense_is_ignored(squashproxy: InProcess, fault: Fault) -> None:
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "1")
        old.arm(fault)
        new.arm(fault)
        outcome = squashproxy("copy", f"{old.host}/app:1", f"{new.host}/app:1")
        assert (outcome.code, outcome.err) == (0, "")


TOLD: dict[str, tuple[Fault, str]] = {
    "a realm in brackets": (
        refused(401, "WWW-Authenticate", 'Bearer realm="http://[/"', times=99),
        "in its WWW-Authenticate header, which is no web address",
    ),
    "a Location in brackets": (odd("POST", "Location", "http://[/"), "in its Location header"),
    "a Location at a port of words": (odd("POST", "Location", "http://a:b/"), "Location header"),
}


@pytest.mark.parametrize(("fault", "sentence"), TOLD.values(), ids=TOLD)
def test_an_address_that_makes_no_sense_is_one_sentence(
    squashproxy: InProcess, fault: Fault, sentence: str
) -> None:
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "1")
        old.arm(fault)
        new.arm(fault)
        outcome = squashproxy("copy", f"{old.host}/app:1", f"{new.host}/app:1")
        assert outcome.code == 1
        assert sentence in outcome.err
        assert outcome.err.count("\n") == 1
