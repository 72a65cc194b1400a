"""The paths of the kept base, read only when the layers above it leave a question open.

Two questions need it:

1. Is a whiteout still needed? The layers above the base made something and removed it again. If the
   base has a file at that path, leaving the whiteout out would bring the file back. If the base
   lacks even the directory, keeping it shows a name on overlay file systems that cannot be opened.
2. Must a directory's header go out early? Its entry comes after entries below it. If the base has
   something else at its path, unpackers that follow the order of the tar fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from squashproxy.archive.header import DIRECTORY, SYMLINK
from squashproxy.archive.path import parent_of
from squashproxy.squash.index import REDIRECTED, PathIndex
from squashproxy.squash.layer import MergeOptions, ScannedLayer
from squashproxy.squash.limits import check_limits
from squashproxy.squash.listing import Entry
from squashproxy.squash.walk import iter_noted
from squashproxy.squash.whiteout import Mark, read_mark


def read_base(layers: Sequence[ScannedLayer], options: MergeOptions, *, taken: int) -> PathIndex:
    """The paths of `layers`, base first, as one index.

    Raises LimitExceeded where that takes more memory than `options` allow beside the bytes `taken`,
    and what reading a layer raises.
    """
    index = PathIndex()
    for number in reversed(range(len(layers))):
        index.begin_layer(number)
        for _ in iter_noted(layers[number], partial(_note, index)):
            check_limits(layers[number].where, options, memory=taken + index.memory)
    return index


def _note(index: PathIndex, entry: Entry) -> None:
    mark, path = read_mark(index.resolve(entry.path))
    if mark is Mark.WHITEOUT:
        index.remove(path)
    elif mark is Mark.OPAQUE:
        index.make_opaque(path)
    elif mark is Mark.ENTRY:
        is_directory = entry.kind == DIRECTORY
        verdict = index.place(entry.path, parent_of(entry.path), is_directory=is_directory)
        if verdict == REDIRECTED:
            index.place(path, parent_of(path), is_directory=is_directory)
        if entry.kind == SYMLINK:
            index.note_symlink(entry.path, entry.link)
