"""The stamp on a result: its source, the options that made it, and the chain ID of the source's
layers.

The chain ID lets images that were built on the source find its squashed form
(pipeline/bases/squashed_bases.py). OCI manifests and indexes carry the stamp as annotations.
Docker's schema 2 has no annotations, so the last history entry of the config holds it as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.chain import chain_id
from squashproxy.oci.config import ImageConfig
from squashproxy.oci.descriptor import Json
from squashproxy.oci.manifest import encode_json
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import BaseKind, CopyOptions

SOURCE = "dev.squashproxy.source.digest"
OPTIONS = "dev.squashproxy.options"
CHAIN = "dev.squashproxy.source.chain"
ENGINE = 5
"""Increased whenever the same source and options give other bytes than before."""

_HASH_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Stamp:
    """The source and the options of a result.

    `chain` is the chain ID of the source's layers; None for an index, and for an image without
    layers. A source always has the same one, so it takes no part in comparisons.
    """

    source: Digest
    options: str
    chain: Digest | None = None

    @property
    def annotations(self) -> dict[str, str]:
        """The stamp as annotations."""
        stated = {SOURCE: self.source, OPTIONS: self.options}
        return stated if self.chain is None else {**stated, CHAIN: self.chain}

    def history_entry(self, squashed: str) -> Json:
        """The stamp as a history entry; `squashed` describes the squash, for people."""
        return {
            "created_by": f"squashproxy: {squashed}",
            "comment": " ".join(f"{name}={value}" for name, value in self.annotations.items()),
        }

    def is_on(self, annotations: Mapping[str, str]) -> bool:
        """Whether the annotations of a manifest or an index carry this stamp."""
        return (annotations.get(SOURCE), annotations.get(OPTIONS)) == (self.source, self.options)

    def is_in(self, config: ImageConfig) -> bool:
        """Whether the history of `config` ends with this stamp."""
        return self.is_on(_noted(config))


def stamp_of(image: Image, options: CopyOptions) -> Stamp:
    """The stamp of what `options` make of one image."""
    return Stamp(image.digest, options_hash(options), chain_id(image.config.diff_ids))


def source_in(config: ImageConfig) -> str | None:
    """The source that the stamp in a config names; None where there is no stamp."""
    return _noted(config).get(SOURCE)


def chain_in(config: ImageConfig) -> str | None:
    """The chain ID that the stamp in a config records; None where it records none."""
    return _noted(config).get(CHAIN)


def _noted(config: ImageConfig) -> dict[str, str]:
    """The stamp in the last history entry, by the names of annotations; empty without one.

    Images that are built on a result inherit its history, so an earlier entry says nothing.
    """
    comment = str(config.history[-1].get("comment") or "") if config.history else ""
    if not comment.startswith(f"{SOURCE}="):
        return {}
    pairs = (word.partition("=") for word in comment.split(" "))
    return {name: value for name, equals, value in pairs if equals}


def options_hash(options: CopyOptions) -> str:
    """The engine's version and a short hash of the options that shape the result's bytes."""
    shaping: Json = {
        "base": str(options.base),
        "compression": str(options.compression),
        "platforms": sorted(map(str, options.platforms)),
    }
    if options.mode is not Mode.SQUASH:
        shaping["mode"] = options.mode.value
    if options.max_layer_size is not None and options.mode is Mode.SQUASH:
        shaping["max_layer_size"] = options.max_layer_size
    if options.mode is Mode.PRUNE:
        shaping["prune_over"] = str(options.prune_over)
    if options.library is None:
        shaping["splices"] = False
    if options.base.kind is BaseKind.AUTO:
        shaping["base_repos"] = [repository.path for repository in options.base_repos]
    digest = hashlib.sha256(encode_json(shaping)).hexdigest()
    return f"{ENGINE}-{digest[:_HASH_LENGTH]}"
