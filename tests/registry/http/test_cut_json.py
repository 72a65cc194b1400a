"""JSON that ends in its middle is told apart from JSON that is whole, and from what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.registry.http.cut_json import is_cut_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(), VALUES, max_size=4) | st.lists(VALUES, max_size=4)


@given(document=DOCUMENTS, share=st.floats(0, 1), ascii_only=st.booleans())
def test_every_beginning_of_a_document_is_cut(
    document: object, share: float, ascii_only: bool
) -> None:
    whole = json.dumps(document, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    assert not is_cut_json(whole)
    assert is_cut_json(whole[: int(share * (len(whole) - 1))])


@pytest.mark.parametrize("body", [b"<html>", b"not JSON", b'"a text', b"12", b"{]", b"{}}", b"[x]"])
def test_what_is_no_json_is_not_cut(body: bytes) -> None:
    assert not is_cut_json(body)


def test_many_brackets_are_read_in_one_pass() -> None:
    assert is_cut_json(b"[" * 1_000_000)
    assert is_cut_json(b'{"a' + b'\\"' * 1_000_000)
