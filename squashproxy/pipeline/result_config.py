"""The config of a result: what changes in it when layers are squashed or pruned."""

from __future__ import annotations

from collections.abc import Mapping

from squashproxy.oci.descriptor import Json
from squashproxy.pipeline.bases.base import Base
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import LayerAction
from squashproxy.pipeline.rewrite.prune_layers import PrunedLayer, pruned_diff_ids
from squashproxy.pipeline.rewrite.squash_layers import Squashed
from squashproxy.pipeline.stamp import stamp_of


def squashed_config(
    image: Image, base: Base, squashed: Squashed, options: CopyOptions
) -> bytes | None:
    """The config of a squashed image; None where it stays the source's own."""
    count = len(image.manifest.layers)
    deed = "" if squashed.is_kept else f"layers {base.count + 1} to {count} squashed"
    note = _note(image, base, deed, options)
    if note is None:
        return None
    kept = len(base.layers) + (count - base.count if squashed.is_kept else 0)
    new = [layer.diff_id for layer in squashed.layers]
    return base.config_of(image).squashed(kept, new, note)


def pruned_config(
    image: Image, base: Base, above: Mapping[int, PrunedLayer], options: CopyOptions
) -> bytes | None:
    """The config of a pruned image; None where it stays the source's own."""
    is_kept = all(layer.action is LayerAction.KEPT for layer in above.values())
    deed = "" if is_kept else f"layers {base.count + 1} to {len(image.manifest.layers)} pruned"
    note = _note(image, base, deed, options)
    if note is None:
        return None
    config = base.config_of(image)
    kept = config.diff_ids[: len(base.layers)]
    pruned = pruned_diff_ids(image.config.diff_ids, above)
    return config.pruned([*kept, *pruned[base.count :]], note)


def _note(image: Image, base: Base, deed: str, options: CopyOptions) -> Json | None:
    """The history entry that says what was done; None where nothing was."""
    deeds = [deed] if deed else []
    if base.squashed is not None:
        deeds.append(f"layers 1 to {base.count} replaced by their squashed form")
    return stamp_of(image, options).history_entry(", ".join(deeds)) if deeds else None
