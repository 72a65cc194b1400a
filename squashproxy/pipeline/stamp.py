"""The stamp on a result: the source and the options that made it.

OCI manifests and indexes carry it as annotations. Docker's schema 2 has no annotations, so there
the last history entry of the config holds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.config import ImageConfig
from squashproxy.oci.descriptor import Json
from squashproxy.oci.manifest import encode_json
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import BaseKind, CopyOptions

SOURCE = "dev.squashproxy.source.digest"
OPTIONS = "dev.squashproxy.options"
ENGINE = 3
"""Increased whenever the same source and options give other bytes than before."""

_HASH_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Stamp:
    """The source and the options of a result."""

    source: Digest
    options: str

    @property
    def annotations(self) -> dict[str, str]:
        """The stamp as annotations."""
        return {SOURCE: self.source, OPTIONS: self.options}

    def history_entry(self, squashed: str) -> Json:
        """The stamp as a history entry; `squashed` describes the squash, for people."""
        return {
            "created_by": f"squashproxy: {squashed}",
            "comment": f"{SOURCE}={self.source} {OPTIONS}={self.options}",
        }

    def is_on(self, annotations: Mapping[str, str]) -> bool:
        """Whether the annotations of a manifest or an index carry this stamp."""
        return (annotations.get(SOURCE), annotations.get(OPTIONS)) == (self.source, self.options)

    def is_in(self, config: ImageConfig) -> bool:
        """Whether the history of `config` ends with this stamp."""
        comment = self.history_entry("")["comment"]
        return bool(config.history) and config.history[-1].get("comment") == comment


def source_in(config: ImageConfig) -> str | None:
    """The source that the stamp in a config names; None where there is no stamp."""
    comment = str(config.history[-1].get("comment") or "") if config.history else ""
    name, _, rest = comment.partition("=")
    return rest.partition(" ")[0] if name == SOURCE else None


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
