"""WWW-Authenticate, as registries and the proxies before them write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.registry.auth.challenges import parse_challenges
from squashproxy.registry.http.scanner import MOST_HEADER


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("Basic", [("basic", {})], id="a scheme alone"),
        pytest.param('Basic realm="r"', [("basic", {"realm": "r"})], id="basic"),
        pytest.param(
            'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"},
                )
            ],
            id="a comma in quotes belongs to the value",
        ),
        pytest.param(
            'BEARER Realm="https://a/t" , SERVICE=s',
            [("bearer", {"realm": "https://a/t", "service": "s"})],
            id="any case, spaces around commas, unquoted values",
        ),
        pytest.param(
            'Bearer realm="a",service="b", Basic realm="c"',
            [("bearer", {"realm": "a", "service": "b"}), ("basic", {"realm": "c"})],
            id="two challenges in one header",
        ),
        pytest.param(
            'Basic, Bearer realm="a"',
            [("basic", {}), ("bearer", {"realm": "a"})],
            id="a challenge without parameters before another",
        ),
        pytest.param(
            r'Basic realm="say \"hi\" \\"',
            [("basic", {"realm": 'say "hi" \\'})],
            id="escaped quotes",
        ),
    ],
)
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(one.scheme, one.parameters) for one in parse_challenges(header)] == expected


@pytest.mark.parametrize("before", ["Negotiate abc==", 'Digest x="open, y', "=;,", "Custom a=b c"])
def test_what_cannot_be_read_does_not_hide_the_scheme_before_it(before: str) -> None:
    found = parse_challenges(f'Bearer realm="r", {before}')
    assert found[0].parameters["realm"] == "r"


def test_a_token68_does_not_hide_the_challenge_after_it() -> None:
    assert parse_challenges('Negotiate abc==, Basic realm="r"')[-1].parameters == {"realm": "r"}


LONG: dict[str, str] = {
    "letters": "a" * 60_000,
    "letters before a wrong one": "a" * 60_000 + "@",
    "letters before a scheme": "a" * 60_000 + ' Bearer realm="r"',
    "equal signs": "=" * 60_000,
    "parameters without a scheme": "a=" * 30_000,
    "quotes": 'B x="' * 12_000,
    "a quote that is not closed": 'B x="' + "a" * 60_000,
    "backslashes": 'B x="' + "\\" * 60_000,
    "blanks": " " * 60_000,
    "commas": "," * 60_000,
    "schemes": "a " * 30_000,
    "parameters": "B " + 'a="b",' * 10_000,
    "wrong letters": "@" * 60_000,
    "longer than is read": "a" * 10_000_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("header", LONG.values(), ids=LONG)
def test_a_long_header_has_an_end(header: str) -> None:
    """The time grew with the square of the length: 60,000 letters never ended."""
    assert len(parse_challenges(header)) <= MOST_HEADER


@given(st.text(max_size=80) | st.text(alphabet='Bearer="\\, \t\n@x', max_size=80))
def test_no_header_breaks_the_parser(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()
