"""What a copy and a plan report; the field names are those of the JSON (INTERFACE.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlatformCopy:
    """One platform's image before and after; all sizes in bytes.

    `compressed_*` are sums over the layers' blobs; `unpacked_*` sums over the tars that were read
    or written, base excluded since it is not read; `hidden_bytes` is the payload (with headers) of
    entries above the base that upper layers hide.
    """

    platform: str
    source_digest: str
    digest: str
    layers_before: int
    layers_after: int
    base_layers: int
    compressed_before: int
    compressed_after: int
    unpacked_before: int
    unpacked_after: int
    hidden_bytes: int
    uploaded_bytes: int
    reused_bytes: int
    mounted_blobs: int
    spliced_bytes: int
    reencoded_bytes: int
    fallbacks: int


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What `squashproxy copy` did. `skipped` is true where nothing was left to do.

    `spooled_bytes` went through temporary files, since pipes can be read and written only once.
    """

    source: str
    source_digest: str
    target: str
    digest: str
    skipped: bool
    warnings: tuple[str, ...]
    seconds: float
    platforms: tuple[PlatformCopy, ...]
    spooled_bytes: int = 0


@dataclass(frozen=True, slots=True)
class HiddenFile:
    """A file that ships although an upper layer hides it; layers count from 0, base first."""

    path: str
    size: int
    layer: int
    hidden_by: int


@dataclass(frozen=True, slots=True)
class HiddenFolder:
    """Hidden files below a folder, those in folders that are listed themselves left out.

    `path` is `/` for the image's root; `hidden_bytes` is payload alone; `files` counts hidden files
    that are not empty.
    """

    path: str
    hidden_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """A file that ships although it was deleted or replaced, and whose path says what it is.

    `kind` is `secret` or `cache`, `rule` the name of the rule in pipeline/suspect_rules.py. Each
    secret stands for itself; a cache's files are counted together, under its folder, for each
    layer. `size` is payload; layers count from 0, base first; `hidden_by` is the uppermost layer
    that hides any of it.
    """

    rule: str
    kind: str
    path: str
    size: int
    files: int
    layer: int
    hidden_by: int


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer of the source.

    `role` is `base` (kept as it is), `squashed`, or `kept` (above the base, nothing to squash).
    `unpacked` and `hidden_bytes` (what upper layers hide of it) are bytes of tar: headers, payload
    and padding. These counts are None for a base layer that cannot be read.
    """

    digest: str
    media_type: str
    role: str
    created_by: str
    compressed: int
    unpacked: int | None
    entries: int | None
    hidden_bytes: int | None
    hidden_entries: int | None
    in_target: bool | None
    mountable_from: str | None


@dataclass(frozen=True, slots=True)
class PlatformPlan:
    """What a copy of one platform would do; sizes in bytes, None where no target was given.

    `compressed_after` is the size of the squashed image's layers, and `upload_bytes` what would be
    sent of them and of the config if the platform were copied alone: exact, since the new layer is
    made and thrown away, but for layers of the base that would be packed. For a target that is up
    to date that is nothing, and all is reused. `estimated_after` is what
    to expect without that: the base plus, of each merged layer, its compressed size times the share
    of its bytes that survive.

    `unpacked_before`, `unpacked_after` and `hidden_bytes` are about the layers above the base, as
    in PlatformCopy; `hidden_bytes` is what a copy would leave out. `total_unpacked` and
    `total_hidden` are sums over all layers that can be read, base included. All of these are bytes
    of tar: headers, payload and padding. `efficiency` is the share of `total_unpacked` that is not
    hidden, from 0 to 1; 1 where nothing is unpacked.

    The lists of what is hidden are about all layers too, but their sizes are payload alone:
    `largest_hidden`; `hidden_folders`, the largest first, which add up to all hidden payload;
    `suspects`, secrets first. `secrets` is exact where more of them are hidden than are listed.
    """

    platform: str
    source_digest: str
    base_layers: int
    base_reason: str
    layers_before: int
    layers_after: int
    compressed_before: int
    compressed_after: int
    estimated_after: int
    unpacked_before: int
    unpacked_after: int
    hidden_bytes: int
    total_unpacked: int
    total_hidden: int
    efficiency: float
    reused_bytes: int | None
    mountable_bytes: int | None
    upload_bytes: int | None
    layers: tuple[LayerPlan, ...]
    largest_hidden: tuple[HiddenFile, ...]
    hidden_folders: tuple[HiddenFolder, ...]
    suspects: tuple[Suspect, ...]
    secrets: int
    fallbacks: int


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What `squashproxy plan` found; nothing was moved."""

    source: str
    source_digest: str
    target: str | None
    up_to_date: bool | None
    warnings: tuple[str, ...]
    platforms: tuple[PlatformPlan, ...]
