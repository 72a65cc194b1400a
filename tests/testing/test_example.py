"""The example in the package's docstring runs as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

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


def puller(waits: list[float]) -> Callable[[str], str]:
    """A client that pulls a whole image and gives its digest; its waits are noted."""

    def pull(name: str) -> str:
        reference = parse_reference(name)
        with RegistryClient(ClientOptions(), environ={}, sleep=waits.append) as client:
            remote = client.repository(reference.repository)
            manifest = parse_manifest(remote.get_manifest(reference.selector), name)
            assert isinstance(manifest, ImageManifest)
            for blob in (manifest.config, *manifest.layers):
                assert sum(map(len, remote.iter_blob(blob))) == blob.size
        return manifest.raw.digest

    return pull


def test_the_example_in_the_docstring_runs() -> None:
    waits: list[float] = []
    exec(compile(example(), "the example", "exec"), {"pull": puller(waits)})
    assert len(waits) == 1, "the client waited once, after the fault that the example arms"


def test_the_table_of_faults_in_the_readme_is_made() -> None:
    assert squashproxy.testing.__file__ is not None
    readme = Path(squashproxy.testing.__file__).with_name("README.md").read_text()
    (script,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        if "table(" in block
    ]
    made: dict[str, Any] = {}
    exec(compile(script, "the README", "exec"), made)
    waits: list[float] = []
    found = dict(made["table"](puller(waits), 3, 1))
    assert list(found) == [kind.value for kind in made["KINDS"]]
    assert {ending for endings in found.values() for ending in endings} == {"right"}
    assert waits, "the faults were met"
