"""Accept headers, as clients send them."""

from __future__ import annotations

import tracemalloc

import pytest

from squashproxy.oci.mediatypes import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from squashproxy.server.http.accept import accepts

HEADERS = {
    "no header": (None, True),
    "an empty one": ("", True),
    "anything": ("*/*", True),
    "any application": ("application/*", True),
    "the type itself": (OCI_MANIFEST, True),
    "in capitals": (OCI_MANIFEST.upper(), True),
    "among others": (f"{DOCKER_MANIFEST}, {OCI_MANIFEST};q=0.5", True),
    "with anything last": (f"{DOCKER_MANIFEST}, */*", True),
    "others alone": (f"{DOCKER_MANIFEST}, {OCI_INDEX}", False),
    "excluded": (f"{OCI_MANIFEST};q=0, {DOCKER_MANIFEST}", False),
    "excluded, with a decimal": (f"{OCI_MANIFEST}; q=0.0", False),
}


@pytest.mark.parametrize(("header", "expected"), HEADERS.values(), ids=HEADERS)
def test_headers(header: str | None, expected: bool) -> None:
    assert accepts(header, OCI_MANIFEST) is expected


def test_long_headers_are_not_kept() -> None:
    """A request may have a megabyte of them, each time another one."""
    tracemalloc.start()
    try:
        for number in range(64):
            assert accepts(f"a/{number}{'b' * 100_000}, */*", OCI_MANIFEST)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
