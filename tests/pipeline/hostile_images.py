"""Hostile images: small, and harmful to whoever unpacks them without a limit."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator

from squashproxy.digest import Hasher, digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder
from tests.squash.hostile_layers import DEEP, path
from tests.verify.odd_tars import END, HOLES, file, pax

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OS = LayerBuilder().directory("etc").file("etc/os-release", b"one\n")
_PIECE = 16 << 20

Put = Callable[[FakeRegistry], None]


def _put(*layers: LayerBuilder | bytes) -> Put:
    def put(registry: FakeRegistry) -> None:
        builder = ImageBuilder().layer(OS)
        for layer in layers:
            builder.layer(layer)
        builder.push(registry, "app", "1")

    return put


def _bomb(media_type: str, pack: Callable[[bytes], bytes], pieces: int) -> Put:
    """A layer of one file, `pieces` times 16 MiB of zeros, behind one layer of a base."""

    def put(registry: FakeRegistry) -> None:
        head = next(LayerBuilder().large_file("zeros", pieces * _PIECE).iter_tar())
        blob = pack(head) + pack(bytes(_PIECE)) * pieces + pack(END)
        layer = Descriptor(media_type, registry.put_blob("app", blob), len(blob))
        builder = ImageBuilder().layer(OS).stored_layer(layer, digest_of(b"never read to its end"))
        builder.push(registry, "app", "1")

    return put


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _layers(count: int) -> Put:
    return _put(*(LayerBuilder().file(f"{n}") for n in range(count)))


def _names(count: int) -> Put:
    layer = LayerBuilder()
    for number in range(count):
        layer.file(f"{number:06}{'n' * 4000}")
    return _put(layer)


def _attributes(count: int) -> Put:
    layer = LayerBuilder()
    for number in range(count):
        value = b"%06d" % number + b"v" * 100_000
        layer.file(f"{number}", xattrs={"user.a": value})
    return _put(layer)


def _many_entries(count: int) -> Put:
    """A layer of so many empty files, made in pieces so that it is never in memory as a whole."""

    def tar() -> Iterator[bytes]:
        head = next(LayerBuilder().file("0" * 8).iter_tar())[:512]
        plain = sum(head[:148]) + sum(head[156:]) + 8 * ord(" ") - 8 * ord("0")
        for start in range(0, count, 10_000):
            names = (b"%08d" % number for number in range(start, min(count, start + 10_000)))
            yield b"".join(
                name + head[8:148] + b"%06o\0 " % (plain + sum(name)) + head[156:] for name in names
            )
        yield END

    def put(registry: FakeRegistry) -> None:
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        packed, diff_id = [], Hasher()
        for piece in tar():
            diff_id.update(piece)
            packed.append(packer.compress(piece))
        blob = b"".join([*packed, packer.flush()])
        layer = Descriptor(OCI_LAYER_GZIP, registry.put_blob("app", blob), len(blob))
        ImageBuilder().layer(OS).stored_layer(layer, diff_id.digest).push(registry, "app", "1")

    return put


def deep(depth: int) -> Put:
    """One path of so many parts."""
    return _put(DEEP["one path"](depth)[0])


def _deep_paths(count: int) -> Put:
    return _put(
        b"".join(LayerBuilder().file(path(1990, f"{n}")).tar()[:-1024] for n in range(count)) + END
    )


REFUSED: dict[str, tuple[Put, str]] = {
    **{
        f"a path of {depth} parts": (_put(DEEP["one path"](depth)[0]), "Linux takes 4095")
        for depth in (4_000, 8_000, 50_000, 500_000)
    },
    "a symlink to a megabyte": (
        _put(LayerBuilder().symlink("l", "t" * 1_000_000)),
        "Linux takes 4095",
    ),
    "a hard link to a megabyte": (
        _put(LayerBuilder().hardlink("l", "t" * 1_000_000)),
        "Linux takes 4095",
    ),
    "a name of a megabyte": (_put(LayerBuilder().file("n" * 1_000_000)), "Linux takes 4095"),
    **{what: (_put(tar + END), "max_unpacked") for what, tar in HOLES.items()},
    "10 GiB in 10 MB of gzip": (_bomb(OCI_LAYER_GZIP, _gzip, 640), "max_ratio"),
    "40 GiB in 2 MB of zstd": (_bomb(OCI_LAYER_ZSTD, zstd.compress, 2560), "max_ratio"),
    "a type that nobody knows": (_put(file(kind=b"Z") + END), "unknown type 'Z'"),
    "an extension header of 2 MiB": (_put(pax(("a", b"b" * (2 << 20))) + file() + END), "damaged"),
}
"""By kind: how to put it into a registry as `app:1`, and a word of the refusal."""

LEGAL: dict[str, Put] = {
    "a path of 2,000 parts": _put(DEEP["one path"](2000)[0]),
    "20 paths of 2,000 parts": _deep_paths(20),
    "1,000 layers": _layers(1000),
    "attributes of 20 MB": _attributes(200),
}
"""By kind: how to put it into a registry. It is squashed, and in work linear in its bytes."""

LARGE: dict[str, Put] = {
    "names of 40 MB": _names(10_000),
    "attributes of 20 MB": _attributes(200),
}
"""What takes more memory to remember than 4 MB."""

MANY: dict[str, Put] = {
    "200 paths of 2,000 parts": _deep_paths(200),
    "a million entries": _many_entries(1_000_000),
    "10,000 layers": _layers(10_000),
}
"""What is legal, and takes long to make and to copy with every verb."""

DEPTHS: dict[str, Put] = {
    f"one path of {depth} parts": deep(depth) for depth in (1000, 2000, 4000, 8000, 50_000, 500_000)
}
"""Paths that are refused if they have more bytes than Linux takes."""
