"""Text from elsewhere, on a terminal and in a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.printable import masked, printable, quoted

TEXTS: dict[str, tuple[str, str]] = {
    "plain": ("v1.0", "v1.0"),
    "letters beyond ASCII": ("naïve-日本", "naïve-日本"),
    "ESC": ("\x1b[2Jv1", r"\x1b[2Jv1"),
    "a line feed": ("v1\nv2", r"v1\nv2"),
    "a carriage return": ("v1\rv2", r"v1\rv2"),
    "a tab": ("v1\tv2", r"v1\tv2"),
    "a bell": ("\a", r"\x07"),
    "NUL": ("\0", r"\x00"),
    "DEL": ("\x7f", r"\x7f"),
    "C1: CSI in one byte": ("\x9b2J", r"\x9b2J"),
    "right to left": ("v1\u202egnp", r"v1\u202egnp"),
    "an isolate": ("\u2066v1", r"\u2066v1"),
    "no width": ("v\u200b1", r"v\u200b1"),
    "a line separator": ("v1\u2028v2", r"v1\u2028v2"),
    "half a surrogate pair": ("\ud800", r"\ud800"),
    "a tag character": ("\U000e0041", r"\U000e0041"),
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS)
def test_what_could_move_a_cursor_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_whatever_it_was_it_can_be_printed(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text).encode().decode() == printable(text)


def test_a_long_text_is_cut_and_counted() -> None:
    assert quoted("a" * 100) == f"'{'a' * 100}'"
    assert quoted("a" * 200) == f"'{'a' * 100}'... (200 characters)"
    assert quoted("\x1b" * 5000).isprintable()


LOGINS: dict[str, tuple[str, str]] = {
    "a reference": ("user:secret@h.example/a:1", "***@h.example/a:1"),
    "a reference with a digest": (
        "user:secret@h.example/a@sha256:00",
        "***@h.example/a@sha256:00",
    ),
    "a URL": ("https://user:secret@h.example/a?b", "https://***@h.example/a?b"),
    "a host": ("user:secret@h.example:5000", "***@h.example:5000"),
    "a password with an at sign": ("user:se@cret@h.example/a", "***@h.example/a"),
    "a password with a slash": ("user:se/cret@h.example/a", "***@h.example/a"),
    "a password with a colon": ("user:se:cret@h.example/a", "***@h.example/a"),
    "a password alone": (":secret@h.example/a", "***@h.example/a"),
    "a tag and a digest": ("h.example:5000/a:1@sha256:00", "h.example:5000/a:1@sha256:00"),
    "a port and no digest": ("h.example:5000/a:1@sha2:00", "h.example:5000/a:1@sha2:00"),
    "a user alone": ("user@h.example/a", "user@h.example/a"),
    "none": ("h.example/a:1", "h.example/a:1"),
}


@pytest.mark.parametrize(("text", "shown"), LOGINS.values(), ids=LOGINS)
def test_a_password_in_a_name_is_not_shown(text: str, shown: str) -> None:
    assert masked(text) == shown
