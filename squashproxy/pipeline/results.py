"""The results of a copy and of a plan; the field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from squashproxy.digest import Digest
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.signatures.results import (
    PlannedSigning,
    ResultSignature,
    SourceSignature,
)
from squashproxy.squash.secret_patterns import SuspectKind


class LayerAction(StrEnum):
    """What a copy did with a layer of the source."""

    BASE = "base"
    """It stays unchanged, as a part of the base."""
    KEPT = "kept"
    """It is above the base and stays unchanged."""
    PRUNED = "pruned"
    """It was written again without what upper layers hide."""
    SQUASHED = "squashed"
    """It became a part of the new layer."""
    DROPPED = "dropped"
    """It was left out, since nothing of it can be seen."""
    REUSED = "reused"
    """An earlier result of pruning it was taken."""


@dataclass(frozen=True, slots=True)
class LayerCopy:
    """One layer of the source, and what became of it; sizes in bytes.

    `digest` is the result's layer that holds its content; None where no layer does. `packed_*` are
    sizes of blobs. Several layers that were squashed into one name it all, and the lowest of them
    has its size, so that the sums are those of the image. So do those of a base that is there in
    squashed form. Where a squashed layer was cut into several, these name the lowest, and have the
    size of all. `hidden_bytes` is the size, with headers, of the entries that upper layers hide; 0
    for a layer that was not looked at.
    """

    source_digest: Digest
    digest: Digest | None
    action: LayerAction
    packed_before: int
    packed_after: int
    hidden_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NewLayerCopy:
    """A layer of the result that the source does not have; sizes of blob and tar in bytes."""

    digest: Digest
    packed: int
    unpacked: int


@dataclass(frozen=True, slots=True)
class PlatformCopy:
    """One platform's image before and after the copy; sizes in bytes.

    `compressed_*` are sums over the layers' blobs. `unpacked_*` are sums over the tars that were
    read or written; the base is not read and not included. `hidden_bytes` is the size (with
    headers) of the entries above the base that upper layers hide. `fetched_bytes` is what was read
    of the source's layers, twice where a layer was read twice; `layers` are in the source's order,
    `new_layers` in the result's. `base_layers` counts layers of the source; a base in squashed form
    may have fewer in the result.
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
    mode: Mode = Mode.SQUASH
    fetched_bytes: int = 0
    layers: tuple[LayerCopy, ...] = ()
    new_layers: tuple[NewLayerCopy, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferrerCopy:
    """A signature, attestation or other manifest that was copied because it refers to an image.

    `tag` is the tag by which it belongs to `subject`; None where its own subject says so.
    `uploaded_bytes` counts blobs.
    """

    digest: str
    subject: str
    tag: str | None
    artifact_type: str
    uploaded_bytes: int


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The result of a copy. `skipped` is true where there was nothing to do.

    `spooled_bytes` went through temporary files, since pipes can be read and written only once.
    `signed_by` are the required signatures of the source, `signatures` those of the result.
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
    referrers: tuple[ReferrerCopy, ...] = ()
    signed_by: tuple[SourceSignature, ...] = ()
    signatures: tuple[ResultSignature, ...] = ()


@dataclass(frozen=True, slots=True)
class HiddenFile:
    """A file that an upper layer hides but the image still contains; layers count from 0, base
    first.
    """

    path: str
    size: int
    layer: int
    hidden_by: int


@dataclass(frozen=True, slots=True)
class HiddenFolder:
    """The hidden files below a folder, except those in folders that are listed themselves.

    `path` is `/` for the image's root; `hidden_bytes` counts content only; `files` counts hidden
    files that are not empty.
    """

    path: str
    hidden_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """A deleted or replaced file that the image still contains, and whose path suggests its kind.

    `rule` is a name in squash/secret_patterns.py. Each secret is
    listed by itself; the files of a cache are counted together under its folder, for each layer.
    `size` counts content only; layers count from 0, base first; `hidden_by` is the uppermost layer
    that hides any of it.
    """

    rule: str
    kind: SuspectKind
    path: str
    size: int
    files: int
    layer: int
    hidden_by: int


class LayerRole(StrEnum):
    """What a copy does with a layer of the source."""

    BASE = "base"
    """It stays unchanged, as a part of the base."""
    SQUASHED = "squashed"
    """It becomes a part of the new layer."""
    KEPT = "kept"
    """It is above the base and stays unchanged: there is nothing to squash, or too little to prune.
    """
    PRUNED = "pruned"
    """It is written again without what upper layers hide."""
    DROPPED = "dropped"
    """It is left out, since nothing of it can be seen."""


@dataclass(frozen=True, slots=True)
class ModePlan:
    """One mode of a copy for an image, beside the others; sizes in bytes.

    `compressed_after` is the size of the result's layers, `upload_bytes` what would be uploaded of
    them (None without a target), and `next_upload_bytes` what the next version of the image would
    upload. `estimated`: the layers were not made, so each is taken to compress as it does now.
    """

    mode: Mode
    layers_after: int
    compressed_after: int
    upload_bytes: int | None
    next_upload_bytes: int
    estimated: bool
    recommended: bool


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer of the source.

    `unpacked` and `hidden_bytes` (what upper layers hide of it) are bytes of tar: headers, content
    and padding. These counts are None for a base layer that cannot be read. `compressed_after` is
    the size of its blob in the result, 0 where it is left out, None where it becomes a part of
    another layer.
    """

    digest: str
    media_type: str
    role: LayerRole
    created_by: str
    compressed: int
    unpacked: int | None
    entries: int | None
    hidden_bytes: int | None
    hidden_entries: int | None
    in_target: bool | None
    mountable_from: str | None
    compressed_after: int | None = None


@dataclass(frozen=True, slots=True)
class PlatformPlan:
    """What a copy of one platform would do; sizes in bytes, None where no target was given.

    `compressed_after` is the size of the result's layers; `upload_bytes` is what would be
    uploaded of them and of the config if this platform were copied alone. Both are exact, since the
    new layers are made and discarded, except for base layers that would be compressed, and unless
    they are `estimated`: then all layers of the source are known, so none was read and none made.
    For a target that is up to date, nothing is uploaded and all is reused. `estimated_after` is
    what to expect without making the layer: the base, plus each merged layer's compressed size
    times the share of its bytes that survive.

    `unpacked_before`, `unpacked_after` and `hidden_bytes` are about the layers above the base, as
    in PlatformCopy; `hidden_bytes` is what a copy would leave out. `total_unpacked` and
    `total_hidden` are sums over all layers that can be read, base included. All of these are bytes
    of tar: headers, content and padding. `efficiency` is the share of `total_unpacked` that is not
    hidden, from 0 to 1; 1 where nothing is unpacked.

    The lists of hidden files cover all layers too, but their sizes count content only:
    `largest_hidden`; `hidden_folders`, largest first, which add up to all hidden content;
    `suspects`, secrets first. `secrets` is exact even where more secrets are hidden than listed.

    `unmerged` says why the layers can never be merged, for people; None where they can. Then every
    layer stays, and nothing of them is read or counted: nobody can say what is hidden.
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
    mode: Mode = Mode.SQUASH
    modes: tuple[ModePlan, ...] = ()
    estimated: bool = False
    unmerged: str | None = None


@dataclass(frozen=True, slots=True)
class PlanResult:
    """The result of a plan. Nothing was copied.

    `signed_by` are the required signatures of the source, `to_sign` is how a copy would sign the
    result; None where it would not.
    """

    source: str
    source_digest: str
    target: str | None
    up_to_date: bool | None
    warnings: tuple[str, ...]
    platforms: tuple[PlatformPlan, ...]
    signed_by: tuple[SourceSignature, ...] = ()
    to_sign: PlannedSigning | None = None
