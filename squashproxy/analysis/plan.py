"""The plan of a copy: where an image's bytes are, and what a copy would do with them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from squashproxy.analysis.dry_run import DryRun
from squashproxy.analysis.figures import ImageFigures, Place, Placed
from squashproxy.analysis.first_change import find_first_change
from squashproxy.analysis.known_layers import find_known, is_estimable, known_layers
from squashproxy.analysis.known_run import KnownRun
from squashproxy.analysis.modes import Comparison
from squashproxy.analysis.outcome import (
    Outcome,
    pruned_outcome,
    squashed_outcome,
    unmerged_outcome,
)
from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest, digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, parse_manifest
from squashproxy.oci.mediatypes import Compression, compression_of
from squashproxy.pipeline.bases.base import Base, unmerged_base, whole_base
from squashproxy.pipeline.bases.base_image import SourceOpener
from squashproxy.pipeline.bases.find_base import BaseFinder
from squashproxy.pipeline.copy import compare_image
from squashproxy.pipeline.exact.choice import choose_exactly, iter_listed
from squashproxy.pipeline.freshness import Freshness
from squashproxy.pipeline.image import NOT_LISTED, Image, Listed, read_image, why_unmerged
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.platforms import choose_images, without_images
from squashproxy.pipeline.preflight import (
    check_fit,
    check_options,
    check_platform,
    unsquashable,
    warn_of_depth,
    warn_of_fit,
)
from squashproxy.pipeline.result_config import pruned_config, squashed_config
from squashproxy.pipeline.results import ModePlan, PlanResult, PlatformPlan
from squashproxy.pipeline.second_reading import SecondReading
from squashproxy.pipeline.signatures.required import planned_signing, required_signers
from squashproxy.pipeline.transfer.source_layer import layers_of
from squashproxy.progress import Observer, RecordingObserver
from squashproxy.transports.base import ImageSink, ImageSource, warn_of_absence
from squashproxy.transports.documents import parse_image, short


def plan_image(
    source: ImageSource,
    sink: ImageSink | None,
    options: CopyOptions,
    *,
    open_source: SourceOpener,
    observer: Observer,
    quick_source: SourceOpener | None = None,
) -> PlanResult:
    """Read `source` and work out what a copy to `sink` would do; nothing is written.

    Every layer is read, once unless the merge needs more, and remembered. None is read where the
    memory of the options knows them all; then sizes of new layers are estimates. Layers of the base
    are only counted, and one that cannot be counted is a warning. Raises SquashproxyError, as a
    copy would.
    """
    watcher = RecordingObserver(observer)
    check_options(options)
    if sink is not None:
        check_fit(sink, options)
        warn_of_fit(sink, watcher)
    warn_of_absence(source, watcher)
    bases = BaseFinder(open_source, quick_source, watcher, place=source.repository)
    job = _Job(source, sink, options, bases, watcher, SecondReading(watcher))
    digest = source.find_digest()
    signed_by = required_signers(source, digest, options)
    platforms = job.plan_all(source.read_manifest(digest), digest)
    is_up_to_date = None if sink is None else _is_up_to_date(source, sink, digest, options)
    if is_up_to_date:
        platforms = tuple(_unmoved(plan) for plan in platforms)
    return PlanResult(
        source=source.name,
        source_digest=digest,
        target=None if sink is None else sink.name,
        up_to_date=is_up_to_date,
        warnings=job.observer.warnings,
        platforms=platforms,
        signed_by=signed_by,
        to_sign=planned_signing(options),
    )


def _unmoved(plan: PlatformPlan) -> PlatformPlan:
    """The plan for a target that is up to date: the source's layers may well be absent there."""
    assert plan.reused_bytes is not None, "there is a target"
    assert plan.mountable_bytes is not None
    assert plan.upload_bytes is not None
    moved = plan.reused_bytes + plan.mountable_bytes + plan.upload_bytes
    return replace(plan, reused_bytes=moved, mountable_bytes=0, upload_bytes=0)


def _is_up_to_date(
    source: ImageSource, sink: ImageSink, digest: Digest, options: CopyOptions
) -> bool:
    if options.mode is Mode.COPY:
        return compare_image(source, sink, options).up_to_date
    existing = sink.find_manifest()
    freshness = Freshness(source, sink, digest, options)
    return existing is not None and freshness.is_up_to_date(existing)


@dataclass(frozen=True, slots=True)
class _Job:
    source: ImageSource
    sink: ImageSink | None
    options: CopyOptions
    bases: BaseFinder
    observer: RecordingObserver
    second_reading: SecondReading
    read: set[Digest] = field(default_factory=set)
    """Layers of platforms that were not known: another platform that has them is exact, too."""

    def plan_all(self, raw: RawManifest, digest: Digest) -> tuple[PlatformPlan, ...]:
        if self.options.mode is Mode.COPY:
            return self._plan_exactly(digest)
        parsed = parse_manifest(raw, f"the manifest of {self.source.name}")
        if not isinstance(parsed, ImageIndex):
            plan = self._try_plan(raw, digest)
            return () if plan is None else (plan,)
        choice = choose_images(parsed, self.source, self.sink, self.options, self.observer)
        if choice.is_opaque:
            what = without_images(parsed, self.source.name)
            self.observer.warn(f"{what}; a copy leaves it as it is")
        plans = [
            self._try_plan(
                chosen.raw, chosen.child.descriptor.digest, Listed(chosen.child.platform)
            )
            for chosen in choice.images
        ]
        return tuple(plan for plan in plans if plan is not None)

    def _plan_exactly(self, digest: Digest) -> tuple[PlatformPlan, ...]:
        """The plans of all images that an exact copy brings."""
        wanted = choose_exactly(self.source, digest, self.options, self.observer)
        plans = [
            self._try_plan(parsed.raw, parsed.raw.digest, Listed(platform))
            for parsed, platform in iter_listed(self.source, wanted)
            if isinstance(parsed, ImageManifest)
        ]
        return tuple(plan for plan in plans if plan is not None)

    def _try_plan(
        self, raw: RawManifest, digest: Digest, listed: Listed = NOT_LISTED
    ) -> PlatformPlan | None:
        """The plan of one image, which the source calls `digest`; None for what a copy would leave
        as it is. `listed` is what its index says. Where a blob was wrong, the image is read once
        more.
        """
        return self.second_reading.run(partial(self._plan, raw, digest, listed))

    def _plan(self, raw: RawManifest, digest: Digest, listed: Listed) -> PlatformPlan | None:
        manifest = parse_image(raw, self.source.name)
        why = unsquashable(manifest)
        if why is not None:
            if self.options.mode is Mode.COPY:
                return None
            self.observer.warn(
                f"{short(digest)} of {self.source.name} {why}; a copy leaves it as it is"
            )
            return None
        image = read_image(self.source, manifest, digest, listed)
        check_platform(image, self.options)
        base = self._base_of(image)
        compresses_plain = self._compresses_plain(base)
        dry_run = self._dry_run(image, base, compresses_plain)
        why = self._why_unmerged(image)
        data: bytes | None = None
        if why is None:
            outcome, data = self._try_out(image, base, dry_run, compresses_plain)
        else:
            outcome = unmerged_outcome(len(manifest.layers))
        kept = [(layer, self._place_of(layer, base)) for layer in base.layers]
        above = [(layer, self._place_of(layer, base)) for layer in manifest.layers[base.count :]]
        config = self._config(image, base, data, is_estimated=bool(outcome.estimated))
        plan = ImageFigures(
            image,
            base,
            self.options.mode,
            outcome,
            kept,
            above,
            config,
            dry_run.findings,
            dry_run.counts,
        ).plan
        if self.options.mode is not Mode.COPY and base.count < len(manifest.layers):
            warn_of_depth(plan, self.observer)
        return replace(plan, modes=self._compare(image, base, outcome, plan), unmerged=why)

    def _why_unmerged(self, image: Image) -> str | None:
        """Why nothing of the layers is counted; None where they can be merged."""
        if image.other_system is None:
            return None
        why = why_unmerged(image.other_system)
        outcome = "" if self.options.mode is Mode.COPY else "; a copy leaves it as it is"
        self.observer.warn(f"{short(image.digest)} of {image.name} {why}{outcome}")
        return why

    def _compare(
        self, image: Image, base: Base, outcome: Outcome, plan: PlatformPlan
    ) -> tuple[ModePlan, ...]:
        """The modes side by side, on the base that an image has that is rewritten."""
        if self.options.mode is Mode.COPY:
            base = self._rewritten_base_of(image)
        return Comparison(
            plan.layers,
            base.count,
            base.layers,
            self.options.mode,
            outcome,
            self.options.prune_over,
            find_first_change(image, self.source, self.sink),
            plan.secrets,
        ).modes

    def _base_of(self, image: Image) -> Base:
        if self.options.mode is Mode.COPY:
            return whole_base(image, "no byte changes")
        return self._rewritten_base_of(image)

    def _rewritten_base_of(self, image: Image) -> Base:
        """The base where the image is squashed or pruned."""
        return unmerged_base(image) or self.bases.choose(image, self.options, self.sink)

    def _dry_run(self, image: Image, base: Base, compresses_plain: bool) -> DryRun:
        """Over listings where all layers are known and the rest can be estimated."""
        layers = layers_of(self.source, image, self.observer, Cancellation(), self.options)
        known = find_known(layers, self.options)
        digests = {layer.digest for layer in image.manifest.layers}
        is_enough = (
            self.read.isdisjoint(digests)
            and known_layers(layers, known) is not None
            and is_estimable(layers, base.count, self.options, compresses_plain=compresses_plain)
        )
        if not is_enough:
            self.read.update(digests)
        run = KnownRun if is_enough else DryRun
        return run(self.source, image, base, self.options, self.observer, known, self._has_blob)

    def _has_blob(self, blob: Descriptor) -> bool:
        return self.sink is not None and self.sink.has_blob(blob)

    def _try_out(
        self, image: Image, base: Base, dry_run: DryRun, compresses_plain: bool
    ) -> tuple[Outcome, bytes | None]:
        """What a copy would make of the image, and its new config; None where that stays."""
        if self.options.mode is Mode.PRUNE and base.count < len(image.manifest.layers):
            pruned = dry_run.prune(compresses_plain=compresses_plain)
            outcome = pruned_outcome(pruned, base.count)
            data = pruned_config(image, base, pruned.above, self.options)
        else:
            squashed = dry_run.squash(compresses_plain=compresses_plain)
            for sentence in squashed.report.warnings:
                self.observer.warn(sentence)
            outcome = squashed_outcome(squashed, base.count, image.manifest.layers)
            data = squashed_config(image, base, squashed, self.options)
        return replace(outcome, estimated=frozenset(dry_run.estimated)), data

    def _config(
        self, image: Image, base: Base, data: bytes | None, *, is_estimated: bool
    ) -> Placed:
        """The config of the result, and where the target has it; a new one is never mounted.

        Where layers are `estimated`, their diff IDs are not known, so only its size is right.
        """
        config = image.manifest.config
        if data is None:
            return config, self._place_of(config, base)
        config = Descriptor(config.media_type, digest_of(data), len(data))
        there = None if self.sink is None else not is_estimated and self.sink.has_blob(config)
        return config, Place(there, None)

    def _compresses_plain(self, base: Base) -> bool:
        """Whether a copy would compress plain layers of the source.

        A warning where it compresses some of the base: how large they become, only the copy tells.
        """
        is_asked = (
            self.options.mode is not Mode.COPY
            and self.sink is not None
            and self.sink.traits.compressed
        )
        holder = base.source or self.source
        plain = [
            layer for layer in base.layers if compression_of(layer.media_type) is Compression.NONE
        ]
        if is_asked and not holder.chooses_compression and plain:
            self.observer.warn(
                f"{holder.name} holds its layers uncompressed, and a copy compresses those of "
                "the base with gzip, so less is uploaded than the plan says"
            )
        return is_asked and not self.source.chooses_compression

    def _place_of(self, layer: Descriptor, base: Base) -> Place:
        """Where the target has the layer already."""
        if self.sink is None:
            return Place(None, None)
        if self.sink.has_blob(layer):
            return Place(in_target=True, mountable_from=None)
        candidates = [base.repository, *self.options.base_repos, self.source.repository]
        for repository in dict.fromkeys(candidates):
            if repository is not None and self.sink.has_blob(layer, repository):
                return Place(in_target=False, mountable_from=str(repository))
        return Place(in_target=False, mountable_from=None)
