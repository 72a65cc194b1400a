"""Looking before leaping: where an image's bytes are, and what a copy would do with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.oci.mediatypes import compression_of, is_foreign
from squashproxy.pipeline.base import Base, BaseFinder, Image, SourceOpener
from squashproxy.pipeline.base_census import count_base
from squashproxy.pipeline.crew import Crew
from squashproxy.pipeline.documents import parse_image, read_config, short
from squashproxy.pipeline.findings import Findings
from squashproxy.pipeline.freshness import Freshness
from squashproxy.pipeline.image_copy import check_platform, unsquashable
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.prefetch import Prefetch
from squashproxy.pipeline.progress import Observer, RecordingObserver
from squashproxy.pipeline.results import LayerPlan, PlanResult, PlatformPlan
from squashproxy.pipeline.selection import select
from squashproxy.pipeline.source_layer import layers_of
from squashproxy.pipeline.squashing import merge_options, packing_for
from squashproxy.squash.census import Census
from squashproxy.squash.layer import LayerCount, MergeReport
from squashproxy.squash.merge import Merge
from squashproxy.squash.restart import merge_with_restarts
from squashproxy.transports.base import ImageSink, ImageSource


def plan_image(
    source: ImageSource,
    sink: ImageSink | None,
    options: CopyOptions,
    *,
    open_source: SourceOpener,
    observer: Observer,
    peek_source: SourceOpener | None = None,
) -> PlanResult:
    """Read `source` and say what a copy to `sink` would do; nothing is written.

    Every layer is read, once unless the merge needs more; those of the base are only counted, and
    one that cannot be counted is a warning. Raises SquashproxyError, as a copy would.
    """
    watcher = RecordingObserver(observer)
    bases = BaseFinder(open_source, peek_source, watcher)
    job = _Job(source, sink, options, bases, watcher)
    digest = source.find_digest()
    platforms = job.plan_all(source.read_manifest(digest))
    return PlanResult(
        source=source.name,
        source_digest=digest,
        target=None if sink is None else sink.name,
        up_to_date=None if sink is None else _is_up_to_date(source, sink, digest, options),
        warnings=job.observer.warnings,
        platforms=platforms,
    )


def _is_up_to_date(
    source: ImageSource, sink: ImageSink, digest: Digest, options: CopyOptions
) -> bool:
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

    def plan_all(self, raw: RawManifest) -> tuple[PlatformPlan, ...]:
        parsed = parse_manifest(raw, f"the manifest of {self.source.name}")
        if not isinstance(parsed, ImageIndex):
            plan = self._try_plan(raw)
            return () if plan is None else (plan,)
        selection = select(parsed, self.options.platforms, self.source.name)
        if selection.warning is not None:
            self.observer.warn(selection.warning)
        plans = [
            self._try_plan(self.source.read_manifest(child.descriptor.digest))
            for child in selection.children
        ]
        return tuple(plan for plan in plans if plan is not None)

    def _try_plan(self, raw: RawManifest) -> PlatformPlan | None:
        """The plan of one image; None for what a copy would leave as it is."""
        manifest = parse_image(raw, self.source.name)
        why = unsquashable(manifest)
        if why is not None:
            self.observer.warn(
                f"{short(raw.digest)} of {self.source.name} {why}; a copy leaves it as it is"
            )
            return None
        image = Image(self.source.name, manifest, read_config(self.source, manifest))
        check_platform(image, self.options)
        base = self.bases.choose(image, self.options, self.sink)
        findings = Findings()
        merged = self._merge(image, base, findings)
        places = [self._place_of(layer, base) for layer in manifest.layers]
        return _Picture(image, base, merged, findings, places, self.options).plan

    def _merge(self, image: Image, base: Base, findings: Findings) -> _Merged:
        layers = layers_of(self.source, image.manifest.layers, self.observer, self.options)
        choices = merge_options(layers, base.count, self.options, findings)
        with Crew(self.options.jobs) as crew:
            prefetched = Prefetch(layers, 0 if choices.reads_base else base.count, crew).layers

            def run(merge: Merge) -> _Merged:
                findings.clear()
                after = sum(len(span.data) for span in merge.iter_spans())
                counted = count_base(
                    Census(merge.index, choices),
                    prefetched,
                    image.manifest.layers[: base.count],
                    self.observer,
                )
                return _Merged(merge.report, after, counted)

            merged = merge_with_restarts(prefetched, choices, run)
        for sentence in merged.report.warnings:
            self.observer.warn(sentence)
        return merged

    def _place_of(self, layer: Descriptor, base: Base) -> _Place:
        """Where the target has the layer already."""
        if self.sink is None:
            return _Place(None, None)
        if self.sink.has_blob(layer):
            return _Place(in_target=True, mountable_from=None)
        candidates = [base.repository, *self.options.base_repos, self.source.repository]
        for repository in dict.fromkeys(candidates):
            if repository is not None and self.sink.has_blob(layer, repository):
                return _Place(in_target=False, mountable_from=str(repository))
        return _Place(in_target=False, mountable_from=None)


@dataclass(frozen=True, slots=True)
class _Place:
    in_target: bool | None
    mountable_from: str | None


@dataclass(frozen=True, slots=True)
class _Merged:
    report: MergeReport
    unpacked_after: int
    base: Mapping[int, LayerCount]
    """By number, the layers of the base that could be counted."""

    def count(self, number: int, kept: int) -> LayerCount | None:
        """What a layer holds; a merge may have looked into the base for something else."""
        return (self.base if number < kept else self.report.layers).get(number)


@dataclass(frozen=True, slots=True)
class _Picture:
    """All that was found out about one image, and the plan that it makes."""

    image: Image
    base: Base
    merged: _Merged
    findings: Findings
    places: Sequence[_Place]
    options: CopyOptions

    @property
    def plan(self) -> PlatformPlan:
        report, layers = self.merged.report, self.image.manifest.layers
        kept = self._unchanged
        new = 0 if kept == len(layers) else self._estimate()
        has_target = all(place.in_target is not None for place in self.places)
        reused = self._sum(lambda place: bool(place.in_target))
        mountable = self._sum(lambda place: place.mountable_from is not None)
        pushed = self._sum(lambda _: True)
        base_size = sum(layer.size for layer in layers[:kept])
        counts = [count for number in range(len(layers)) if (count := self._count(number))]
        unpacked = sum(count.unpacked for count in counts)
        hidden = sum(count.hidden_bytes for count in counts)
        return PlatformPlan(
            platform=str(self.image.platform),
            source_digest=self.image.manifest.raw.digest,
            base_layers=self.base.count,
            base_reason=self.base.reason,
            layers_before=len(layers),
            layers_after=kept + (kept < len(layers) and not report.empty),
            compressed_before=sum(layer.size for layer in layers),
            estimated_after=base_size + new,
            unpacked_before=report.unpacked,
            unpacked_after=self.merged.unpacked_after,
            hidden_bytes=report.hidden_bytes,
            total_unpacked=unpacked,
            total_hidden=hidden,
            efficiency=1 - hidden / unpacked if unpacked else 1.0,
            reused_bytes=reused if has_target else None,
            mountable_bytes=mountable if has_target else None,
            upload_estimate=pushed - reused - mountable + new if has_target else None,
            layers=tuple(self._layer(number) for number in range(len(layers))),
            largest_hidden=self.findings.largest.files,
            hidden_folders=self.findings.folders.listed,
            suspects=self.findings.suspects.listed,
            secrets=self.findings.suspects.secrets,
            fallbacks=report.fallbacks,
        )

    @property
    def _unchanged(self) -> int:
        """How many layers stay as they are: the base, or all where nothing is to be squashed."""
        count = len(self.image.manifest.layers)
        above = self.image.manifest.layers[self.base.count :]
        if len(above) == 1 and not self.merged.report.touched and not self.merged.report.empty:
            packing = packing_for(above, self.options.compression)
            if compression_of(above[0].media_type) is packing:
                return count
        return self.base.count

    def _sum(self, counts: Callable[[_Place], bool]) -> int:
        """The size of the unchanged layers whose place counts; foreign ones are never pushed."""
        layers = self.image.manifest.layers[: self._unchanged]
        return sum(
            layer.size
            for layer, place in zip(layers, self.places, strict=False)
            if counts(place) and not is_foreign(layer.media_type)
        )

    def _estimate(self) -> int:
        """The new layer's size: of each merged blob, the share of its tar that survives."""
        size = 0
        for number, count in self.merged.report.layers.items():
            if number >= self.base.count and count.unpacked:
                share = 1 - count.hidden_bytes / count.unpacked
                size += round(self.image.manifest.layers[number].size * share)
        return size

    def _count(self, number: int) -> LayerCount | None:
        return self.merged.count(number, self.base.count)

    def _layer(self, number: int) -> LayerPlan:
        layer, place = self.image.manifest.layers[number], self.places[number]
        count = self._count(number)
        if number < self.base.count:
            role = "base"
        else:
            role = "kept" if number < self._unchanged else "squashed"
        return LayerPlan(
            digest=layer.digest,
            media_type=layer.media_type,
            role=role,
            created_by=self.image.config.created_by(number),
            compressed=layer.size,
            unpacked=count.unpacked if count else None,
            entries=count.entries if count else None,
            hidden_bytes=count.hidden_bytes if count else None,
            hidden_entries=count.hidden_entries if count else None,
            in_target=place.in_target,
            mountable_from=place.mountable_from,
        )
