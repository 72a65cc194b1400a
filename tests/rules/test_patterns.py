"""Globs and regular expressions over names: what they mean, and that none of them hangs."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from squashproxy.rules.patterns import (
    near_misses,
    parse_glob,
    parse_grouping,
    parse_pattern,
)

MATCHES = [
    ("v*", "v1", True),
    ("v*", "av1", False),
    ("*", "a/b", True),
    ("?", "/", True),
    ("v[12]", "v2", True),
    ("V1", "v1", False),
    ("v[!0-9]", "v1", False),
    ("v[!0-9]", "vx", True),
    ("[^a]", "^", True),
    ("[^a]", "b", False),
    ("v1.0", "v1x0", False),
    ("a**b", "a/b", True),
    ("[", "[", True),
    ("[]]", "]", True),
    ("[z-a]", "m", False),
    ("[!z-a]", "m", True),
    ("*", "a\nb", True),
    ("*", "", True),
    ("a\\*", "a\\x", True),
    ("ü?", "üß", True),
    ("/v[0-9]+/", "v12", True),
    ("/v[0-9]+/", "v12-rc", False),
    ("/v[0-9]{,2}/", "v1", True),
    ("/v[0-9]{,2}/", "v123", False),
    ("/[{,2}]+/", "{,2}", True),
    (r"/\{,2}/", "{,2}", True),
    ("/a|b/", "b", True),
    ("/(?i)v1/", "V1", True),
    ("/^v1$/", "v1", True),
    ("/./", "\n", False),
    ("//", "", True),
    ("*", "\ud800", True),
    ("?", "\ud800", True),
    ("/\\?/", "\ud800", False),
    ("a?c", "a\0c", True),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), MATCHES)
def test_patterns_match_whole_names(pattern: str, name: str, expected: bool) -> None:
    assert parse_pattern(pattern).matches(name) is expected


def test_a_glob_between_slashes_is_a_glob() -> None:
    assert parse_glob("/v./").matches("/v./")
    assert not parse_glob("/v./").matches("v1")


CHARACTERS = st.sampled_from("ab-*?[]!^\\&|~./\nü")


@given(st.text(CHARACTERS, min_size=1, max_size=9), st.text(CHARACTERS, max_size=7))
@example("[!]a-]x", "bx")
@example("[a-b-c]", "-")
@example("[--a]", "^")
@example("[]-a]", "^")
@example("[b-a-]", "-")
@example("[[a]", "[")
@example("[a&&b]", "&")
@example("*a*b*", "xaxb\n")
def test_globs_mean_what_fnmatch_says(glob: str, name: str) -> None:
    assert parse_glob(glob).matches(name) is fnmatchcase(name, glob)


def _grouped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("(?:{0[0]}|{0[1]})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{,2}", "{,}"])).map(
            "(?:{0[0]}){0[1]}".format
        ),
        inner.map("({})".format),
    )


ATOMS = st.sampled_from(["a", "b", r"\.", ".", "[ab]", "[^a]", "[a{,2}]", r"\w", "^", "$"])


@given(st.recursive(ATOMS, _grouped, max_leaves=6), st.text("ab.{,2}", max_size=8))
def test_expressions_mean_what_they_meant_to_python(source: str, name: str) -> None:
    expected = re.fullmatch(source, name) is not None
    assert parse_pattern(f"/{source}/").matches(name) is expected


NEVER_ENDED = {
    "nested repetitions": ("/(a+)+/", "a" * 40 + "!"),
    "alternatives that share": ("/(a|aa)+/", "a" * 100 + "!"),
    "optional, often": (f"/{'a?' * 60}{'a' * 60}/", "a" * 59),
    "stars": ("*a" * 60 + "*b", "a" * 100_000),
    "stars and classes": ("*[ab]" * 60 + "c", "ab" * 50_000),
    "words": (r"/(\w+\s?)*$/", "word " * 10_000 + "!"),
    "a name of megabytes": ("/(.*)*x/", "a" * 5_000_000),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("pattern", "name"), NEVER_ENDED.values(), ids=NEVER_ENDED)
def test_what_used_to_hang_does_not_match(pattern: str, name: str) -> None:
    assert not parse_pattern(pattern).matches(name)


REFUSED = {
    "nothing": ("", "an empty pattern matches nothing; write * for every name"),
    "an open group": ("/(/", "is no regular expression that can be used here: missing )"),
    "a lookahead": ("/(?!v)x/", "looks around with (?!, which is not read here"),
    "a lookbehind": ("/(?<=v)x/", "a pattern of its own under 'exclude'"),
    "a back reference": (r"/(a)\1/", "refers back to a group, which is not read here"),
    "a back reference by name": ("/(?P<n>a)(?P=n)/", "refers back to a group"),
    "the end as Python writes it": (r"/v1\Z/", r"holds \Z, which is not read here; leave it out"),
    "a repetition too often": ("/a{1001}/", "repeats something more than 1,000 times"),
    "a repetition of many digits": (f"/a{{{'9' * 500}}}/", "more than 1,000 times"),
    "repetitions in each other": ("/(x{1000}){1000}/", "repeats something more than 1,000 times"),
    "what grows large": (r"/\pL{1000}/", "is too large an expression; write a shorter one"),
    "a long glob": ("a" * 1025, "a pattern of 1,025 characters is too long; write one of at most"),
    "a long expression": (f"/{'a' * 1024}/", "a pattern of 1,026 characters is too long"),
    "half a character": ("/\ud800/", "holds half a character"),
    "a condition": ("/(a)?(?(1)b|c)/", "is no regular expression that can be used here"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_pattern_is_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_pattern(text)
    assert "\n" not in str(caught.value)


def test_a_pattern_of_the_greatest_length_is_read() -> None:
    assert parse_pattern("a" * 1024).matches("a" * 1024)
    assert parse_pattern("[!a]" * 256).matches("b" * 256)


GROUPS = [
    ("^(.*)-[0-9]+$", "web-12", "web"),
    ("^(.*)-[0-9]+$", "web", None),
    ("(v)?x", "x", None),
    ("([0-9]+)", "web-12-13", "12"),
    ("(ü+)", "aüü", "üü"),
    ("(a+)+$", "a" * 1000, "a" * 1000),
    ("(a)", "a" * 2000, None),
]


@pytest.mark.parametrize(("source", "name", "group"), GROUPS)
def test_a_group_sorts_names(source: str, name: str, group: str | None) -> None:
    found = parse_grouping(source).search(name)
    assert (found[1] if found else None) == group


def test_a_grouping_without_a_group_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="has no group; put what sorts the tags in parentheses"):
        parse_grouping("(?:a)")


def test_patterns_of_one_text_are_equal() -> None:
    assert parse_pattern("v*") == parse_pattern("v*")
    assert parse_pattern("v*") != parse_pattern("v?")
    assert len({parse_pattern("v*"), parse_pattern("v*")}) == 1


def test_near_misses_are_names_that_are_there() -> None:
    assert near_misses([parse_pattern("lates")], ["v1", "latest"]) == ["latest"]


def test_near_misses_of_very_many_names_are_looked_for_among_the_first() -> None:
    names = [*(f"{number:05}" for number in range(5000)), "latest"]
    assert near_misses([parse_pattern("lates")], names) == []


def test_the_engine_is_loaded_with_the_first_pattern_only() -> None:
    program = (
        "import sys\n"
        "from squashproxy.cli.main import run\n"
        "assert run(['--version']) == 0\n"
        "assert 're2' not in sys.modules\n"
        "import squashproxy.rules.patterns\n"
        "assert 're2' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
