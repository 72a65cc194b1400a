"""Versions that `--version -v` prints: the interpreter, and libraries that shape the result."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from squashproxy.codec.library import find_library

_LIBRARIES = ("zlib-ng", "backports.zstd", "requests", "urllib3", "click", "rich")


def iter_versions() -> Iterator[str]:
    """Yield a line for each; a library that this Python does not need is left out."""
    yield f"{platform.python_implementation()} {platform.python_version()}"
    yield f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    library = find_library()
    if library is None:
        yield "gzip blocks: seen by no library, so that layers are compressed anew"
    else:
        yield f"gzip blocks: seen by {library.name}, and copied where nothing in them was dropped"
    for name in _LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
