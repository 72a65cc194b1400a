"""Link headers: the next page is found, and what cannot be read is never the end of a list."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.registry.http.links import BadLink, next_target, parse_links

NEXT = "/v2/app/tags/list?n=2&last=b"

READ: dict[str, tuple[str, str | None]] = {
    "no header": ("", None),
    "blanks": ("  \t", None),
    "commas alone": (", ,", None),
    "as the specification has it": (f'<{NEXT}>; rel="next"', NEXT),
    "without quotes": (f"<{NEXT}>; rel=next", NEXT),
    "capitals": (f'<{NEXT}>; REL="Next"', NEXT),
    "capitals without quotes": (f"<{NEXT}>; Rel=NEXT", NEXT),
    "no blanks": (f'<{NEXT}>;rel="next"', NEXT),
    "blanks everywhere": (f' <{NEXT}> ; rel = "next" ; title = x ', NEXT),
    "tabs": (f'<{NEXT}>\t;\trel\t=\t"next"', NEXT),
    "a folded line": (f'<{NEXT}>;\r\n rel="next"', NEXT),
    "several relations": (f'<{NEXT}>; rel="prefetch next"', NEXT),
    "next before another relation": (f'<{NEXT}>; rel="next  last"', NEXT),
    "a relation by its URL": (f'<{NEXT}>; rel="http://example.com/rel next"', NEXT),
    "a parameter before": (f'<{NEXT}>; type="application/json"; rel="next"', NEXT),
    "a comma and a semicolon in quotes": (f'<{NEXT}>; title="a, b; c"; rel="next"', NEXT),
    "an angle bracket in quotes": (f'<{NEXT}>; title="<x>, rel=prev"; rel="next"', NEXT),
    "an escaped quote": (f'<{NEXT}>; title="a \\" b, c"; rel="next"', NEXT),
    "rel in a title": ('</p1>; title="rel=next"; rel="prev"', None),
    "a parameter without a value": (f'<{NEXT}>; crossorigin; rel="next"', NEXT),
    "an empty parameter": (f'<{NEXT}>;; rel="next";', NEXT),
    "another link before": (f'</p1>; rel="prev", <{NEXT}>; rel="next"', NEXT),
    "another link behind": (f'<{NEXT}>; rel="next", </p9>; rel="last"', NEXT),
    "commas around": (f', <{NEXT}>; rel="next", ,', NEXT),
    "the same link twice": (f'<{NEXT}>; rel="next", <{NEXT}>; rel=next', NEXT),
    "the first rel counts": (f'<{NEXT}>; rel="next"; rel="prev"', NEXT),
    "the second rel does not": (f'<{NEXT}>; rel="prev"; rel="next"', None),
    "another relation alone": ('</p9>; rel="last"', None),
    "rev is not rel": ('</p9>; rev="next"; rel="self"', None),
    "a comma in the target": ('</v2/app?x=a,b>; rel="next"', "/v2/app?x=a,b"),
    "a semicolon in the target": ('</v2/app?x=a;rel=prev>; rel="next"', "/v2/app?x=a;rel=prev"),
    "an empty target": ('<>; rel="next"', ""),
}


@pytest.mark.parametrize(("header", "target"), READ.values(), ids=READ)
def test_the_next_page_is_found(header: str, target: str | None) -> None:
    assert next_target(header) == target


UNREADABLE: dict[str, tuple[str, str]] = {
    "a URL without brackets": (f'{NEXT}; rel="next"', "does not begin with <"),
    "words": ("next page", "does not begin with <"),
    "no closing bracket": (f'<{NEXT}; rel="next"', "does not end with >"),
    "cut in the target": ("</v2/app/tags/list?n=2&la", "does not end with >"),
    "a bracket in brackets": (f'<<{NEXT}>; rel="next"', "does not end with >"),
    "no rel": (f"<{NEXT}>", "has no rel"),
    "cut before rel": (f"<{NEXT}>;", "has no rel"),
    "cut in the name of rel": (f"<{NEXT}>; re", "has no rel"),
    "cut before the value": (f"<{NEXT}>; rel=", "has no rel"),
    "an empty rel": (f'<{NEXT}>; rel=""', "has no rel"),
    "a quote that is not closed": (f'<{NEXT}>; rel="next', "a quote in it is not closed"),
    "a quote that is escaped away": (f'<{NEXT}>; rel="next\\"', "a quote in it is not closed"),
    "another quote that is not closed": (f'<{NEXT}>; title="a; rel=next', "is not closed"),
    "single quotes": (f"<{NEXT}>; rel='next'", "names no relation"),
    "a colon": (f"<{NEXT}>; rel: next", "has no rel"),
    "no semicolon": (f'<{NEXT}> rel="next"', "has no rel"),
    "words behind": (f'<{NEXT}>; rel="next" or so', "a link in it is followed by something"),
    "two next pages": (f'<{NEXT}>; rel="next", </other>; rel="next"', "several next pages"),
    "too long": (f'<{NEXT}>; title="{"x" * 70_000}"; rel="next"', "more than 65536 characters"),
}


@pytest.mark.parametrize(("header", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_not_the_end(header: str, reason: str) -> None:
    with pytest.raises(BadLink, match=reason):
        next_target(header)


ODD = st.text(alphabet='<>;,="\\ \t\nrelnextREL/a', max_size=60)


@given(ODD | st.text(max_size=60))
def test_every_header_is_read_or_told(header: str) -> None:
    with suppress(BadLink):
        assert all(link.relations for link in parse_links(header))


@given(ODD.map(lambda text: text.replace("\\", "").replace('"', "")))
def test_a_title_does_not_change_the_next_page(title: str) -> None:
    assert next_target(f'</p1>; title="{title}"; rel="prev", <{NEXT}>; rel="next"') == NEXT


PIECES = [
    "<",
    ">",
    "a",
    ";",
    ",",
    '"',
    "\\",
    "=",
    "<a>;",
    'rel="',
    "<a>;rel=b,",
    ' a="',
    "; ",
    "  ",
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", PIECES)
def test_a_long_header_has_an_end(piece: str) -> None:
    """64 KiB would take hours if the time grew with the square of the length."""
    header = piece * (60_000 // len(piece))
    for text in (header, f"<x>; rel=next; {header}", f'<x>; title="{header}'):
        with suppress(BadLink):
            assert len(parse_links(text)) <= len(text)
