"""The example in the package's docstring runs as it stands there."""

from __future__ import annotations

import re
from textwrap import dedent

import squashproxy.testing
from squashproxy.oci.manifest import ImageManifest, parse_manifest
from squashproxy.reference import parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions


def example() -> str:
    """The indented lines of the docstring."""
    assert squashproxy.testing.__doc__ is not None
    found = re.search(r"(?:^    .*\n|^\n)+", squashproxy.testing.__doc__, re.MULTILINE)
    assert found is not None
    return dedent(found[0])


def test_the_example_in_the_docstring_runs() -> None:
    waits: list[float] = []

    def pull(name: str) -> str:
        reference = parse_reference(name)
        with RegistryClient(ClientOptions(), environ={}, sleep=waits.append) as client:
            remote = client.repository(reference.repository)
            manifest = parse_manifest(remote.get_manifest(reference.selector), name)
            assert isinstance(manifest, ImageManifest)
            for blob in (manifest.config, *manifest.layers):
                assert sum(map(len, remote.iter_blob(blob))) == blob.size
        return manifest.raw.digest

    exec(compile(example(), "the example", "exec"), {"pull": pull})
    assert len(waits) == 1, "the client waited once, after the fault that the example arms"
