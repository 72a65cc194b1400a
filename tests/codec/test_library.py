"""The library that sees blocks: the fastest that is there, or none."""

from __future__ import annotations

import ctypes
from functools import partial

import pytest

from squashproxy.codec import library
from squashproxy.codec.encoder import Recompressor, encoder_for
from squashproxy.codec.library import find_library, try_zlib, try_zlib_ng
from squashproxy.codec.splicer import Splicer
from squashproxy.oci.mediatypes import Compression

look = find_library.__wrapped__
"""Looks for the library anew; what is remembered is compared by other tests."""


def test_the_wheels_own_comes_first() -> None:
    found = look()
    assert found is not None
    assert found.name == "zlib-ng"


def test_the_systems_zlib_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "try_zlib_ng", lambda: None)
    found = look()
    assert found is not None
    assert found.name == "zlib"


def test_without_either_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_try_load", lambda _: None)
    assert try_zlib_ng() is None
    assert try_zlib() is None
    assert look() is None


def test_what_cannot_be_loaded_is_not_there() -> None:
    assert library._try_load("/nowhere/libz.so.1") is None


def test_a_library_that_hides_its_symbols_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_try_load", lambda _: ctypes.CDLL(None))
    assert try_zlib_ng() is None


def test_a_zlib_whose_numbers_have_other_sizes_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows."""
    monkeypatch.setattr(ctypes, "c_ulong", ctypes.c_uint32)
    assert try_zlib() is None


def test_gzip_is_spliced_where_blocks_are_seen_and_all_else_compressed_anew() -> None:
    found = look()
    encode = partial(encoder_for, keeps_share=True, workers=1)
    assert isinstance(encode(Compression.GZIP, None, found), Splicer)
    for packing, seen in ((Compression.GZIP, None), (Compression.ZSTD, found)):
        assert isinstance(encode(packing, None, seen), Recompressor)
