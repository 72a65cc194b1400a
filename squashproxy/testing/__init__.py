"""Registries and images for tests, also for your own: real sockets, no network, no daemon.

    from squashproxy.testing import FakeRegistry, Fault, FaultKind, ImageBuilder, LayerBuilder

    base = LayerBuilder().directory("etc").file("etc/motd", b"hello")
    top = LayerBuilder().whiteout("etc/motd").file("etc/issue", b"bye")
    with FakeRegistry() as registry:
        digest = ImageBuilder().layer(base).layer(top).push(registry, "app", "1.0")
        registry.arm(Fault("GET", "/blobs/", FaultKind.DROP_RESPONSE, after_bytes=100))
        assert pull(f"{registry.host}/app:1.0") == digest  # with your own client
        assert registry.open_uploads == 0
        assert {exchange.method for exchange in registry.requests} <= {"GET", "HEAD"}

`RegistryOptions` holds the ways in which registries differ, and `PROFILES` those of known ones. A
`FaultProxy` lets any real registry fail in the same ways.
`LayerBuilder` writes tars byte for byte, `Packing` lists the ways to compress them, and `index_of`
makes multi-platform images.
"""

from squashproxy.testing.faults import ArmedFault, Fault, FaultKind
from squashproxy.testing.headers import Header, TarFormat
from squashproxy.testing.images import (
    AMD64,
    CREATED,
    BuiltImage,
    BuiltIndex,
    ImageBuilder,
    PushTarget,
    artifact_manifest,
    attestation_of,
    index_of,
)
from squashproxy.testing.journal import Exchange
from squashproxy.testing.layers import MTIME, LayerBuilder
from squashproxy.testing.options import (
    ALL_ACTIONS,
    Basic,
    Bearer,
    RegistryOptions,
    TagDeletion,
    Tls,
)
from squashproxy.testing.packing import Packing, iter_packed, pack
from squashproxy.testing.profiles import PROFILES, Habit, Profile
from squashproxy.testing.proxy import FaultProxy
from squashproxy.testing.registry import FakeRegistry
from squashproxy.testing.sparse import SparseForm

__all__ = [
    "ALL_ACTIONS",
    "AMD64",
    "CREATED",
    "MTIME",
    "PROFILES",
    "ArmedFault",
    "Basic",
    "Bearer",
    "BuiltImage",
    "BuiltIndex",
    "Exchange",
    "FakeRegistry",
    "Fault",
    "FaultKind",
    "FaultProxy",
    "Habit",
    "Header",
    "ImageBuilder",
    "LayerBuilder",
    "Packing",
    "Profile",
    "PushTarget",
    "RegistryOptions",
    "SparseForm",
    "TagDeletion",
    "TarFormat",
    "Tls",
    "artifact_manifest",
    "attestation_of",
    "index_of",
    "iter_packed",
    "pack",
]
