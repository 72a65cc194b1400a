"""The images of the benchmark; all but the real one are made and pushed on the fly."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from squashproxy.digest import Hasher
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import ImageBuilder, Packing
from squashproxy.testing.packing import iter_packed
from tests.bench.content import MIB, Pool, iter_file, iter_tar, iter_whiteout
from tests.real.real_image import LARGE_TOOLCHAIN, TAG, cache_folder, cached

GIB = 1 << 30
_REAL = ("usr/bin", "usr/lib", "usr/share")
_STEPS = (0.13, 0.25, 0.22, 0.24, 0.13, 0.03)
_CACHES = (0.2, 0.0, 0.3, 0.0)
"""Of the files of each step, those that lie in its caches."""
_EVERY = 400
"""One of so many files of a step is written again later, such as a package database or a log."""
_VERSIONS = 4
_LONGEST = 95
"""Of a name that fits into a ustar header, as a whiteout."""
REPOSITORY = "bench"

Tar = Iterator[bytes]
Maker = Callable[["Pool", float], Sequence[Tar]]


@dataclass(frozen=True, slots=True)
class BenchImage:
    """An image; `make` gives its layers' tars, base first, at a scale of 1 or less.

    `make` is None for the real image, which is built of Debian packages. `level` is gzip's.
    `is_slow` says that tools of gigabytes an hour need not try,
    `most_runs` how often the others do. `compares_options`: tools that are squashproxy with other
    options run, too.
    """

    name: str
    about: str
    make: Maker | None
    level: int = 6
    is_slow: bool = False
    most_runs: int = 100
    has_base: bool = False
    compares_options: bool = False


def _files(pool: Pool, first: int, count: int, size: int) -> Tar:
    """A layer of `count` files of `size` bytes, numbered from `first`."""
    return iter_tar(_file(pool, number, size) for number in range(first, first + count))


def _file(pool: Pool, number: int, size: int, salt: int = 0) -> Iterator[bytes]:
    return iter_file(_name(number), pool.iter_content(number + salt, size), size)


def _name(number: int) -> str:
    return f"srv/{number // 1000:04}/{number % 1000:03}.bin"


def _base(pool: Pool, scale: float) -> Tar:
    size = max(1, round(100 * scale))
    return iter_tar(
        iter_file(f"usr/lib/{number}.so", pool.iter_content(number, MIB), MIB)
        for number in range(size)
    )


def _ten_gigabytes(pool: Pool, scale: float) -> Sequence[Tar]:
    """Five layers of 2 GB, of which each one above replaces a tenth of the one below it."""
    count = max(10, round(440 * scale))
    size = 4 * MIB if scale == 1 else MIB
    layers = [_base(pool, scale)]
    for layer in range(5):
        numbers = [*range((layer + 1) * count - count // 10, (layer + 1) * count)] * (layer > 0)
        numbers = [number - count for number in numbers]
        numbers += range(layer * count, (layer + 1) * count)
        layers.append(iter_tar(_file(pool, number, size, salt=layer) for number in sorted(numbers)))
    return layers


def _million(pool: Pool, scale: float) -> Sequence[Tar]:
    """A million files of 300 bytes in four layers; the top one has 2 % of the one below again."""
    count = round(250_000 * scale)
    layers = [_files(pool, layer * count, count, 300) for layer in range(3)]
    again = range(3 * count - count // 50, 4 * count - count // 50)
    layers.append(iter_tar(_file(pool, number, 300, salt=1) for number in again))
    return [_base(pool, scale / 10), *layers]


def _spread(layers: int) -> Maker:
    """The same files in so many layers, base included."""

    def make(pool: Pool, scale: float) -> Sequence[Tar]:
        count = max(2, round(992 * scale / (layers - 1)))
        tars = [_files(pool, layer * count, count, MIB) for layer in range(layers - 1)]
        return [_base(pool, scale), *tars]

    return make


def _half_deleted(pool: Pool, scale: float) -> Sequence[Tar]:
    """Five layers of 200 MB, and five of 100 MB that delete everything in those."""
    count = max(2, round(200 * scale))
    layers = [_base(pool, scale)]
    layers += [_files(pool, layer * count, count, MIB) for layer in range(5)]
    for layer in range(5):
        below = range(layer * count, (layer + 1) * count)
        gone = [iter_whiteout(_name(number)) for number in below]
        first = 10_000 + layer * count
        fresh = (_file(pool, number, MIB) for number in range(first, first + count // 2))
        layers.append(iter_tar([*gone, *fresh]))
    return layers


def _scattered(pool: Pool, scale: float) -> Sequence[Tar]:  # noqa: ARG001 - its files are real ones
    """A base, six layers, and one that replaces or deletes every tenth file of them.

    The worst image for splicing and pruning: every layer is cut in hundreds of places.
    """
    files = _real_files(scale)
    layers = _shared_out(files, (1 / 7,) * 7)
    again = [file for layer in layers[1:] for number, file in enumerate(layer) if number % 10 == 3]
    top = [
        iter_whiteout(name) if number % 2 else iter_file(name, (b"new",), 3)
        for number, (name, _) in enumerate(again)
    ]
    return [*(iter_tar(_real_file(*file) for file in layer) for layer in layers), iter_tar(top)]


def _typical(version: int) -> Maker:
    """An image as Dockerfiles make them: a base, four steps, one that cleans up, and two of code.

    Steps leave caches and objects behind that lie together; the fifth deletes those of two steps,
    and a few files of all of them are written again. Versions differ in the last two layers.
    """

    def make(pool: Pool, scale: float) -> Sequence[Tar]:  # noqa: ARG001 - its files are real ones
        files = _real_files(scale)
        base, *steps, code = _shared_out(files, _STEPS)
        caches = [
            file
            for step, part in zip(steps, _CACHES, strict=True)
            for file in step[len(step) - round(part * len(step)) :]
        ]
        again = [name for step in steps for name, _ in step[::_EVERY]]
        gone = {name for name, _ in caches}
        clean = [
            *(iter_whiteout(name) for name, _ in caches),
            *(iter_file(name, (b"new",), 3) for name in again if name not in gone),
        ]
        first = len(code) * version // _VERSIONS
        mine = code[first : len(code) * (version + 1) // _VERSIONS]
        return [
            *(iter_tar(_real_file(*file) for file in layer) for layer in (base, *steps)),
            iter_tar(clean),
            iter_tar(_real_file(*file) for file in mine[::2]),
            iter_tar(_real_file(*file) for file in mine[1::2]),
        ]

    return make


def _shared_out(
    files: Sequence[tuple[str, int]], parts: Sequence[float]
) -> list[list[tuple[str, int]]]:
    """The files in order, in layers that have these parts of all bytes."""
    total = sum(size for _, size in files)
    ends = [total * sum(parts[: number + 1]) for number in range(len(parts))]
    layers: list[list[tuple[str, int]]] = [[] for _ in parts]
    held = number = 0
    for name, size in files:
        if held >= ends[number] and number < len(parts) - 1:
            number += 1
        layers[number].append((name, size))
        held += size
    return layers


def _real_files(scale: float) -> list[tuple[str, int]]:
    """Names below / and sizes, in the order of their names: a fifth of what this machine has in
    /usr, programs, libraries, sources and texts; 400 MB packed.
    """
    most = round(1100 * scale) * MIB
    found: list[tuple[str, int]] = []
    total = 0
    for folder in _REAL:
        for path in sorted(Path("/", folder).rglob("*")):
            name = str(path)[1:]
            fits = len(name) <= _LONGEST and name.isascii()
            if not fits or zlib.crc32(name.encode()) % 5 or path.is_symlink() or not path.is_file():
                continue
            size = path.stat().st_size
            if total + size <= most:
                found.append((name, size))
                total += size
    return found


def _real_file(name: str, size: int) -> Iterator[bytes]:
    return iter_file(name, (Path("/", name).read_bytes(),), size)


IMAGES = (
    BenchImage(
        "typical", "8 layers, a tenth hidden", _typical(0), is_slow=True, compares_options=True
    ),
    BenchImage(
        "scattered", "every tenth file hidden", _scattered, is_slow=True, compares_options=True
    ),
    BenchImage("real", "Debian packages, 6 layers", None),
    BenchImage("real-base", "the same, its base there already", None, is_slow=True, has_base=True),
    BenchImage(
        "ten-gigabytes", "10 GB in 6 layers", _ten_gigabytes, level=1, is_slow=True, most_runs=1
    ),
    BenchImage("million", "1,000,000 small files", _million, is_slow=True),
    BenchImage("layers-125", "1 GB in 125 layers", _spread(125), is_slow=True),
    BenchImage("layers-5", "the same files in 5 layers", _spread(5), is_slow=True),
    BenchImage("half-deleted", "5 layers delete 5 others", _half_deleted, is_slow=True),
)


def put(image: BenchImage, host: str, scale: float) -> None:
    """Have the image in the registry at `host`, as `bench:<its name>`."""
    with RegistryClient() as client:
        repository = client.repository(Repository(host, REPOSITORY))
        if repository.find_manifest(image.name) is not None:
            return
        if image.make is None:
            _push_real(image.name, host)
        else:
            _push(image, image.make(Pool(), scale), repository)


def _push_real(tag: str, host: str) -> None:
    layout = cached(cache_folder(), LARGE_TOOLCHAIN)
    target = f"docker://{host}/{REPOSITORY}:{tag}"
    command = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false"]
    subprocess.run([*command, f"oci:{layout}:{TAG}", target], check=True)


def _push(image: BenchImage, tars: Sequence[Tar], repository: RemoteRepository) -> None:
    builder = ImageBuilder()
    for tar in tars:
        content = Hasher()
        digest, size = repository.upload_blob(
            iter_packed(_iter_hashed(tar, content), Packing.GZIP, image.level)
        )
        builder.stored_layer(Descriptor(OCI_LAYER_GZIP, digest, size), content.digest)
    built = builder.build()
    repository.upload_blob((built.blobs[built.config.digest],), built.config.digest)
    repository.put_manifest(RawManifest(built.manifest.data, built.manifest.media_type), image.name)


def _iter_hashed(tar: Tar, hasher: Hasher) -> Tar:
    for chunk in tar:
        hasher.update(chunk)
        yield chunk
