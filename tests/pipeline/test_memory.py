"""Memory does not grow with the size of a layer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from squashproxy.digest import Hasher
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP
from squashproxy.testing import (
    FakeRegistry,
    ImageBuilder,
    LayerBuilder,
    Packing,
    RegistryOptions,
    iter_packed,
)
from tests.pipeline.images import OS

SIZE = 300 << 20
ALLOWED = 40 << 20
COPY = """
import json, resource, sys, time
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.options import CopyOptions, parse_base
from squashproxy.progress import SilentObserver
from squashproxy.reference import parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.transports.registry import RegistrySink, RegistrySource

def copy(source, target):
    with RegistryClient(environ={}) as client:
        open_source = lambda reference: RegistrySource(client, reference)
        result = copy_image(
            open_source(parse_reference(source)),
            RegistrySink(client, parse_reference(target)),
            CopyOptions(base=parse_base("1")),
            open_source=open_source,
            observer=SilentObserver(),
            clock=time.monotonic,
        )
    return result.platforms[0].unpacked_after, peak()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

host, new = sys.argv[1:]
small, before = copy(f"{host}/small:1", f"{new}/small:1")
large, after = copy(f"{host}/large:1", f"{new}/large:1")
print(json.dumps({"small": small, "large": large, "growth": after - before}))
"""


def put_large(registry: FakeRegistry, repo: str, size: int) -> None:
    """Put an image with a file of `size` bytes that never sits in memory as a whole."""
    hasher, packed = Hasher(), Hasher()
    layer = LayerBuilder().large_file("large", size)

    def tar() -> Iterator[bytes]:
        for piece in layer.iter_tar():
            hasher.update(piece)
            yield piece

    def blob() -> Iterator[bytes]:
        for piece in iter_packed(tar(), Packing.ZLIB_NG, 1):
            packed.update(piece)
            yield piece

    digest = registry.put_blob(repo, blob())
    descriptor = Descriptor(OCI_LAYER_GZIP, digest, packed.size)
    builder = ImageBuilder().layer(OS).stored_layer(descriptor, hasher.digest)
    builder.layer(LayerBuilder().file("new", b"new")).push(registry, repo, "1")


def test_a_file_of_300_megabytes_takes_no_more_than_one_of_30(tmp_path: Path) -> None:
    options = RegistryOptions(directory=tmp_path)
    with (
        FakeRegistry(options) as old,
        FakeRegistry(RegistryOptions(directory=tmp_path / "new")) as new,
    ):
        put_large(old, "small", SIZE // 10)
        put_large(old, "large", SIZE)
        done = subprocess.run(
            [sys.executable, "-c", COPY, old.host, new.host],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    found = json.loads(done.stdout)
    assert found["large"] > SIZE
    assert found["growth"] < ALLOWED, f"{found['growth'] >> 20} MiB more"
