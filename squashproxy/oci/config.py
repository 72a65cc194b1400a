"""Image configs. The parsed document is edited, never rebuilt, so unknown fields survive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Json
from squashproxy.oci.manifest import encode_json, parse_json_object
from squashproxy.oci.platform import Platform, platform_of


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """A config's exact bytes, and the fields that squashing needs."""

    data: bytes
    document: Json
    diff_ids: tuple[Digest, ...]

    @property
    def platform(self) -> Platform:
        """The platform that the config states."""
        return platform_of(self.document)

    @property
    def history(self) -> tuple[Json, ...]:
        """The build's history, oldest first; empty where the config has none."""
        return tuple(self.document.get("history") or ())

    def created_by(self, layer: int) -> str:
        """The build step that made a layer (counted from 0); empty where that is unknown."""
        with_layer = [entry for entry in self.history if not entry.get("empty_layer")]
        if len(with_layer) != len(self.diff_ids):
            return ""
        return str(with_layer[layer].get("created_by") or "")

    def squashed(self, kept: int, new_diff_ids: Sequence[Digest], note: Json) -> bytes:
        """The config of the squashed image.

        The first `kept` layers stay; `new_diff_ids` follow. The history keeps every entry, marks
        those of the squashed layers as `empty_layer`, and appends one made of `note`, so that the
        entries without the mark match the layers (OCI image specification, config.md). Where they
        did not match in the source, all its entries are marked, and an entry of unknown origin is
        added for each layer. `created` stays the source's: results contain no time of their own.
        """
        keeps = [number < kept for number in range(len(self.diff_ids))]
        return self._edited([*self.diff_ids[:kept], *new_diff_ids], keeps, len(new_diff_ids), note)

    def pruned(self, diff_ids: Sequence[Digest | None], note: Json) -> bytes:
        """The config of the pruned image: a diff ID for each layer, None where it is left out.

        The history keeps every entry, marks those of layers that are left out as `empty_layer`, and
        appends one made of `note`, which has no layer. The rest is as in `squashed`.
        """
        there = [diff_id for diff_id in diff_ids if diff_id is not None]
        return self._edited(there, [diff_id is not None for diff_id in diff_ids], 0, note)

    def _edited(
        self, diff_ids: Sequence[Digest], keeps: Sequence[bool], new_layers: int, note: Json
    ) -> bytes:
        document = dict(self.document)
        document["rootfs"] = self._rootfs(diff_ids)
        document["history"] = self._edited_history(keeps, new_layers, note)
        return encode_json(document)

    def rebased(self, base: ImageConfig, count: int) -> ImageConfig:
        """The config of the same image on another form of its base, whose config is `base`.

        Diff IDs and history of the first `count` layers become those of `base`. Entries that stand
        in the history of both, whether with a layer or without, are the base's own and stand once.
        """
        document = dict(self.document)
        diff_ids = (*base.diff_ids, *self.diff_ids[count:])
        document["rootfs"] = self._rootfs(diff_ids)
        above = self._history_above(count, base.history)
        document["history"] = [*base._matched_history(), *above]
        return ImageConfig(encode_json(document), document, diff_ids)

    def _rootfs(self, diff_ids: Sequence[Digest]) -> Json:
        """The document's `rootfs` with other diff IDs; an image without layers may have none."""
        known = self.document.get("rootfs") or {}
        return {"type": "layers", **known, "diff_ids": list(diff_ids)}

    def _history_above(self, count: int, below: Sequence[Json]) -> list[Json]:
        """The history without the first `count` layers, and without what `below` begins with."""
        entries = self._matched_history()
        pairs = enumerate(zip(entries, below, strict=False))
        shared = next(
            (number for number, (own, its) in pairs if _step(own) != _step(its)),
            min(len(entries), len(below)),
        )
        above: list[Json] = []
        layer = 0
        for number, entry in enumerate(entries):
            if entry.get("empty_layer"):
                is_above = number >= shared
            else:
                is_above = layer >= count
                layer += 1
            if is_above:
                above.append(entry)
        return above

    def _matched_history(self) -> list[Json]:
        """A history whose entries without `empty_layer` match the layers, as `squashed` says."""
        entries = list(self.history)
        with_layer = sum(1 for entry in entries if not entry.get("empty_layer"))
        if with_layer == len(self.diff_ids):
            return entries
        marked = [{**entry, "empty_layer": True} for entry in entries]
        return marked + [{"created_by": "unknown"} for _ in self.diff_ids]

    def _edited_history(self, keeps: Sequence[bool], new_layers: int, note: Json) -> list[Json]:
        entries = self._matched_history()
        result: list[Json] = []
        layers = iter(keeps)
        for entry in entries:
            is_unchanged = entry.get("empty_layer") or next(layers)
            result.append(entry if is_unchanged else {**entry, "empty_layer": True})
        dated: dict[str, Any] = {}
        if self.document.get("created"):
            dated["created"] = self.document["created"]
        last = {**dated, **note}
        if not new_layers:
            last["empty_layer"] = True
        extra = [{**dated, **note} for _ in range(new_layers - 1)]
        return [*result, *extra, last]


def _step(entry: Json) -> Json:
    """A history entry without the mark that squashing sets."""
    return {key: entry[key] for key in entry if key != "empty_layer"}


def parse_config(data: bytes, layers: int, where: str) -> ImageConfig:
    """Parse an image config. Raises FormatError where its diff IDs do not match `layers` layers.

    That of an image without layers may lack them, or have null in their place, as Go writes it.
    """
    document = parse_json_object(data, where)
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if diff_ids is None and (rootfs is None or isinstance(rootfs, dict)):
        diff_ids = []
    if not isinstance(diff_ids, list) or len(diff_ids) != layers:
        found = len(diff_ids) if isinstance(diff_ids, list) else 0
        raise FormatError(
            f"{where} lists {found} diff IDs for {layers} layers", advice="build the image again"
        )
    history = document.get("history") or []
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise FormatError(f"{where} has a history that is no list of entries")
    try:
        parsed = tuple(parse_digest(str(diff_id)) for diff_id in diff_ids)
    except FormatError as error:
        raise FormatError(f"{where} has a diff ID that is none: {error}") from error
    return ImageConfig(data, document, parsed)
