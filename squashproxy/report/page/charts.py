"""The charts of a plan's page: bars of the layers, and the tree of folders for the treemap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from squashproxy.pipeline.results import HiddenFolder, LayerPlan, LayerRole, PlanResult
from squashproxy.printable import printable
from squashproxy.report.build_steps import step_text


@dataclass(frozen=True, slots=True)
class Bar:
    """One layer's bar; `shown` and `hidden` are its parts in per cent of the longest bar.

    `is_read` is false for a layer that could not be read; its bar is empty.
    """

    number: int
    role: LayerRole
    step: str
    is_read: bool
    unpacked: int
    hidden_bytes: int
    shown: str
    hidden: str


def layer_bars(layers: Sequence[LayerPlan]) -> list[Bar]:
    """The bars of all layers, base first."""
    longest = max((layer.unpacked or 0 for layer in layers), default=0)
    return [_bar(number, layer, longest or 1) for number, layer in enumerate(layers, 1)]


def _bar(number: int, layer: LayerPlan, longest: int) -> Bar:
    unpacked, hidden = layer.unpacked or 0, layer.hidden_bytes or 0
    return Bar(
        number=number,
        role=layer.role,
        step=step_text(layer.created_by),
        is_read=layer.unpacked is not None,
        unpacked=unpacked,
        hidden_bytes=hidden,
        shown=f"{100 * (unpacked - hidden) / longest:.2f}",
        hidden=f"{100 * hidden / longest:.2f}",
    )


def folder_trees(result: PlanResult) -> list[list[dict[str, Any]]]:
    """For each platform the tree of its hidden folders, ready for JSON; sizes in bytes."""
    return [_tree(plan.hidden_folders) for plan in result.platforms]


@dataclass(slots=True)
class _Folder:
    """A folder of the tree: its own hidden bytes and files, and the folders in it."""

    size: int = 0
    files: int = 0
    below: dict[str, _Folder] = field(default_factory=dict)


def _tree(folders: Iterable[HiddenFolder]) -> list[dict[str, Any]]:
    root = _Folder()
    for listed in folders:
        at = root
        for part in listed.path.split("/"):
            if part:
                at = at.below.setdefault(part, _Folder())
        at.size += listed.hidden_bytes
        at.files += listed.files
    return _children(root, is_root=True)


def _children(folder: _Folder, *, is_root: bool = False) -> list[dict[str, Any]]:
    """The nodes in a folder. Its own files are one more node, since only leaves have an area."""
    nodes = [_node(name, below) for name, below in folder.below.items()]
    if folder.files:
        name = "files" if nodes or is_root else ""
        nodes.append({"name": name, "value": folder.size, "files": folder.files})
    return nodes


def _node(name: str, folder: _Folder) -> dict[str, Any]:
    """The node of a folder. If it only holds another folder, both are one node: `usr/share`."""
    while not folder.files and len(folder.below) == 1:
        [(part, folder)] = folder.below.items()
        name = f"{name}/{part}"
    node = {"name": printable(name)}
    if not folder.below:
        return {**node, "value": folder.size, "files": folder.files}
    return {**node, "children": _children(folder)}
