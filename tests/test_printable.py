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


MASKED: dict[str, tuple[str, str]] = {
    "a login": ("user:secret@host/app:1", "user:***@host/app:1"),
    "a login behind a scheme": ("docker://u:p@host/app", "docker://u:***@host/app"),
    "a password of any characters": ("u:s/e:c@r et@host/app", "u:***@host/app"),
    "a login and a digest": ("u:secret@host/a@sha256:ab", "u:***@host/a@sha256:ab"),
    "a digest": ("host:5000/app:1@sha256:ab", "host:5000/app:1@sha256:ab"),
    "a port": ("host:5000/app:1", "host:5000/app:1"),
    "no password": ("user@host/app", "user@host/app"),
}


@pytest.mark.parametrize(("text", "shown"), MASKED.values(), ids=MASKED)
def test_passwords_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
