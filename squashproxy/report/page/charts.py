"""What the page's script draws: plain data, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from squashproxy.pipeline.results import HiddenFolder, LayerPlan, PlanResult
from squashproxy.printable import printable
from squashproxy.report.build_steps import step_text


def chart_data(result: PlanResult) -> list[dict[str, Any]]:
    """For each platform the bars of its layers and the tree of its hidden folders; in bytes."""
    return [
        {"layers": _bars(plan.layers), "folders": _tree(plan.hidden_folders)}
        for plan in result.platforms
    ]


def _bars(layers: Sequence[LayerPlan]) -> list[dict[str, Any]]:
    """What shows and what is hidden of each layer, None for one that was not read; base first."""
    return [
        {
            "number": number,
            "role": layer.role,
            "shown": _shown(layer),
            "hidden": layer.hidden_bytes,
            "step": step_text(layer.created_by),
        }
        for number, layer in enumerate(layers, 1)
    ]


def _shown(layer: LayerPlan) -> int | None:
    if layer.unpacked is None or layer.hidden_bytes is None:
        return None
    return layer.unpacked - layer.hidden_bytes


@dataclass(slots=True)
class _Folder:
    """A folder of the tree: hidden bytes and files that are counted here, and folders below."""

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
    return _children(root, "")


def _children(folder: _Folder, path: str) -> list[dict[str, Any]]:
    """A folder's own files stand beside its folders, since a treemap's areas are its leaves."""
    nodes = [_node(name, below, path) for name, below in folder.below.items()]
    if folder.files:
        name = "files" if nodes or not path else ""
        nodes.append(
            {
                "name": name,
                "path": f"{printable(path)}/",
                "value": folder.size,
                "files": folder.files,
            }
        )
    return nodes


def _node(name: str, folder: _Folder, above: str) -> dict[str, Any]:
    """A folder whose only content is another folder is drawn as one, as in `usr/share/doc`."""
    path = f"{above}/{name}"
    while not folder.files and len(folder.below) == 1:
        [(part, folder)] = folder.below.items()
        name, path = f"{name}/{part}", f"{path}/{part}"
    node = {"name": printable(name), "path": f"{printable(path)}/"}
    if not folder.below:
        return {**node, "value": folder.size, "files": folder.files}
    return {**node, "children": _children(folder, path)}
