"""The demo's image: this Python's own library, as a careless Dockerfile would ship it."""

from __future__ import annotations

import posixpath
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from squashproxy.errors import UsageError
from squashproxy.testing import LayerBuilder

_MTIME = 1_700_000_000
_SKIPPED = frozenset({"__pycache__", "site-packages", "dist-packages", "test", "tests"})
_PART = 8_000_000
"""The approximate size, in bytes, of each of the two layers that install files."""
_LARGEST = 1_000_000
"""The size, in bytes, of the largest file taken, so one library does not fill a layer."""
_OBJECTS = 12
_CACHE = "var/cache/build"
_LIBRARY = "usr/lib/app"
_TOOLS = "opt/tools"


@dataclass(frozen=True, slots=True)
class DemoLayer:
    """One layer's tar, and the build step that made it."""

    tar: bytes
    created_by: str


@dataclass(frozen=True, slots=True)
class MachineFile:
    """A file of this machine, and its path below the library's folder."""

    path: str
    data: bytes


def build_layers() -> tuple[DemoLayer, ...]:
    """Five layers, base first: two install, one builds, one upgrades, one cleans up.

    The same machine gives the same bytes. Raises UsageError where the Python library is not in
    files.
    """
    files = _iter_files()
    runtime, tools = _take(files, _PART), _take(files, _PART)
    if not runtime:
        raise UsageError(
            "the demo builds its image from the files of Python's library, and this Python has "
            "none; run it with another Python"
        )
    tools = tools or runtime
    return (
        DemoLayer(_installed(_LIBRARY, runtime).tar(), "RUN install runtime"),
        DemoLayer(_with_links(tools).tar(), "COPY tools /opt/tools"),
        DemoLayer(_built(runtime + tools).tar(), "RUN make"),
        DemoLayer(_upgraded(runtime, tools).tar(), "RUN upgrade && chmod"),
        DemoLayer(_cleaned().tar(), "RUN rm -rf /var/cache/build"),
    )


def _iter_files() -> Iterator[MachineFile]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if not _SKIPPED.isdisjoint(inside.parts) or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size <= _LARGEST:
            yield MachineFile(inside.as_posix(), path.read_bytes())


def _take(files: Iterator[MachineFile], size: int) -> list[MachineFile]:
    """The next files, which together have at least `size` bytes."""
    taken = []
    for file in files:
        taken.append(file)
        size -= len(file.data)
        if size <= 0:
            break
    return taken


def _folders(*paths: str) -> LayerBuilder:
    """A layer that begins with the folders of `paths`, parents first, as build tools write them."""
    folders = set()
    for path in paths:
        folder = posixpath.dirname(path)
        while folder:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    layer = LayerBuilder()
    for folder in sorted(folders):
        layer.directory(folder, mode=0o755, mtime=_MTIME)
    return layer


def _installed(root: str, files: list[MachineFile]) -> LayerBuilder:
    layer = _folders(*(f"{root}/{file.path}" for file in files))
    for file in files:
        layer.file(f"{root}/{file.path}", file.data, mode=0o644, mtime=_MTIME)
    return layer


def _with_links(files: list[MachineFile]) -> LayerBuilder:
    """The tools, one of them under two names, and a symbolic link to the newest."""
    layer = _installed(_TOOLS, files)
    layer.file(f"{_TOOLS}/report-1", files[0].data * 2, mode=0o755, mtime=_MTIME)
    layer.hardlink(f"{_TOOLS}/report", f"{_TOOLS}/report-1")
    layer.symlink(f"{_TOOLS}/newest", "report", mtime=_MTIME)
    return layer


def _built(files: list[MachineFile]) -> LayerBuilder:
    """A build's leftovers: everything again, in a few large objects."""
    layer = _folders(f"{_CACHE}/object")
    for number in range(_OBJECTS):
        data = b"".join(file.data for file in files[number::_OBJECTS])
        layer.file(f"{_CACHE}/object-{number:02}", data, mode=0o644, mtime=_MTIME)
    return layer


def _upgraded(runtime: list[MachineFile], tools: list[MachineFile]) -> LayerBuilder:
    """Every other library file in a new version, and every other tool made executable."""
    new = [MachineFile(file.path, file.data + b"\n# upgraded\n") for file in runtime[::2]]
    executable = tools[::2]
    layer = _folders(
        *(f"{_LIBRARY}/{file.path}" for file in new),
        *(f"{_TOOLS}/{file.path}" for file in executable),
    )
    for file in new:
        layer.file(f"{_LIBRARY}/{file.path}", file.data, mode=0o644, mtime=_MTIME + 60)
    for file in executable:
        layer.file(f"{_TOOLS}/{file.path}", file.data, mode=0o755, mtime=_MTIME)
    return layer


def _cleaned() -> LayerBuilder:
    """The cache goes, and the first name of the tool with two names."""
    layer = _folders(_CACHE, f"{_TOOLS}/report")
    layer.whiteout(_CACHE)
    layer.whiteout(f"{_TOOLS}/report-1")
    return layer
