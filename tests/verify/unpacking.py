"""Layers in memory, unpacked by the room under test, and the tree in the tests' own words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from squashproxy.span import Inflated
from squashproxy.testing import LayerBuilder
from squashproxy.verify.apply import LayerApplication
from squashproxy.verify.entries import TarStream, iter_entries
from squashproxy.verify.tree import Directory, Inode, Kind, Metadata, Tree
from tests.model.node import Kind as ModelKind
from tests.model.node import Node

CHUNK = 65_536
UNDESCRIBED = Metadata(0o755, (0, 0), 0, ())
"""What the model gives to a directory that no entry describes."""


def unpack(layers: Iterable[LayerBuilder | bytes], chunk: int = CHUNK) -> Tree:
    """Apply layers, base first, handed out in chunks of `chunk` bytes."""
    tree = Tree()
    for number, layer in enumerate(layers):
        tar = layer.tar() if isinstance(layer, LayerBuilder) else layer
        pieces = (Inflated(tar[at : at + chunk]) for at in range(0, len(tar), chunk))
        where = f"layer {number}"
        application = LayerApplication(tree, number, where)
        for entry in iter_entries(TarStream(pieces, None), where):
            application.apply(entry)
        application.finish()
    tree.require_whole()
    return tree


def paths(tree: Tree) -> set[str]:
    """All paths but the root."""
    return {path.decode() for path in nodes(tree) if path}


def nodes(tree: Tree) -> dict[bytes, Node]:
    """The tree as the model writes one."""
    groups: dict[Inode, list[bytes]] = defaultdict(list)
    found: dict[bytes, Node] = {}
    waiting: list[tuple[bytes, Directory]] = [(b"", tree.root)]
    while waiting:
        path, directory = waiting.pop()
        metadata = directory.metadata or UNDESCRIBED
        found[path] = _node(ModelKind.DIRECTORY, metadata)
        for name, child in directory.children.items():
            at = path + b"/" + name if path else name
            if isinstance(child, Directory):
                waiting.append((at, child))
            else:
                groups[child].append(at)
    for inode, names in groups.items():
        links = tuple(sorted(names)) if len(names) > 1 else ()
        found.update(dict.fromkeys(names, _file(inode, links)))
    return found


def _file(inode: Inode, links: Sequence[bytes]) -> Node:
    is_file = inode.kind is Kind.FILE
    is_device = inode.kind in (Kind.CHARACTER, Kind.BLOCK)
    major, minor = map(int, inode.payload.split(b":")) if is_device else (0, 0)
    plain = _node(ModelKind(inode.kind.value), inode.metadata)
    return Node(
        plain.kind,
        plain.mode,
        plain.uid,
        plain.gid,
        plain.mtime,
        inode.size,
        inode.payload.hex() if is_file else "",
        inode.payload if inode.kind is Kind.SYMLINK else b"",
        (major, minor),
        plain.xattrs,
        tuple(links),
    )


def _node(kind: ModelKind, metadata: Metadata) -> Node:
    xattrs = tuple((name.decode(), value) for name, value in metadata.xattrs)
    return Node(kind, metadata.mode, *metadata.owner, metadata.mtime, xattrs=tuple(sorted(xattrs)))
