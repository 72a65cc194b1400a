"""What the kept base looks like, read only where the layers above it leave a doubt.

Two doubts need it. A whiteout of something that layers above the base made and removed again: kept
in a directory that the base lacks, it shows on overlay file systems as a name that cannot be
opened; dropped where the base has such a file, it brings that back. And a directory that comes
after entries below it: where the base has something else at its path, naive unpackers fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from squashproxy.archive.header import DIRECTORY, SYMLINK
from squashproxy.archive.path import parent_of
from squashproxy.archive.scanner import TarScanner
from squashproxy.squash.index import REDIRECTED, PathIndex
from squashproxy.squash.layer import Layer
from squashproxy.squash.walk import walk
from squashproxy.squash.whiteout import Mark, read_mark


def read_base(layers: Sequence[Layer]) -> PathIndex:
    """The paths that `layers`, base first, hold together. Raises what reading them raises."""
    index = PathIndex()
    for number in reversed(range(len(layers))):
        index.begin_layer(number)
        walk(layers[number], partial(_note, index))
    return index


def _note(index: PathIndex, scanner: TarScanner) -> None:
    mark, path = read_mark(index.resolve(scanner.path))
    if mark is Mark.WHITEOUT:
        index.remove(path)
    elif mark is Mark.OPAQUE:
        index.make_opaque(path)
    elif mark is Mark.ENTRY:
        is_directory = scanner.kind == DIRECTORY
        verdict = index.place(scanner.path, scanner.parent, is_directory=is_directory)
        if verdict == REDIRECTED:
            index.place(path, parent_of(path), is_directory=is_directory)
        if scanner.kind == SYMLINK:
            index.note_symlink(scanner.path, scanner.link)
    scanner.drop()
