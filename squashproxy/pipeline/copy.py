"""The copy of an image: squash one image, or every image of an index, on its way to the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import ContentMissing
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.pipeline.backup import backup_tag, check_backup, write_backup
from squashproxy.pipeline.bases.base_image import SourceOpener
from squashproxy.pipeline.bases.find_base import BaseFinder
from squashproxy.pipeline.bases.squashed_bases import SquashedBases
from squashproxy.pipeline.exact.copier import ExactCopier
from squashproxy.pipeline.exact.job import ExactJob
from squashproxy.pipeline.freshness import Freshness
from squashproxy.pipeline.image import Listed
from squashproxy.pipeline.image_copy import ImageCopier
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.platforms import choose_images, without_images
from squashproxy.pipeline.preflight import (
    check_fit,
    check_holds,
    check_options,
    check_source,
    warn_of_fit,
)
from squashproxy.pipeline.provenance import Making, write_provenance
from squashproxy.pipeline.result_index import is_unchanged, result_index
from squashproxy.pipeline.results import CopyResult, PlatformCopy, ReferrerCopy
from squashproxy.pipeline.second_reading import SecondReading
from squashproxy.pipeline.signatures.required import required_signers
from squashproxy.pipeline.signatures.results import ResultSignature, SourceSignature
from squashproxy.pipeline.stamp import Stamp, options_hash
from squashproxy.progress import Observer, RecordingObserver, SilentObserver
from squashproxy.transports.base import ImageSink, ImageSource, warn_of_absence


def copy_image(
    source: ImageSource,
    sink: ImageSink,
    options: CopyOptions,
    *,
    open_source: SourceOpener,
    observer: Observer,
    clock: Callable[[], float],
    quick_source: SourceOpener | None = None,
    cancellation: Cancellation | None = None,
    squashed_bases: SquashedBases | None = None,
    signed_by: tuple[SourceSignature, ...] = (),
) -> CopyResult:
    """Squash `source` into `sink`. The sink's tag moves last, when everything else is there.

    `open_source` and `quick_source` open base images (see BaseFinder); the copies of a run share
    `squashed_bases`. `clock` gives seconds, for the report only. `cancellation` is asked between
    chunks. `signed_by` is what a check of the source's digest found out just now, by the same
    options; without it the check is made here. Raises SquashproxyError (Cancelled is one); the tag
    is unchanged then, and no upload is left open.
    """
    started = clock()
    check_options(options)
    check_fit(sink, options)
    check_source(source, options)
    watcher = RecordingObserver(observer)
    warn_of_fit(sink, watcher)
    warn_of_absence(source, watcher)
    squashed_bases = squashed_bases or SquashedBases()
    bases = BaseFinder(open_source, quick_source, watcher, squashed_bases, source.repository)
    job = _Job(
        source, sink, options, bases, watcher, cancellation or Cancellation(), clock, signed_by
    )
    done = job.run()
    if not done.skipped and sink.repository is not None and sink.tag is not None:
        squashed_bases.forget_tag(sink.repository, sink.tag)
    return CopyResult(
        source=source.name,
        source_digest=done.source_digest,
        target=sink.name,
        digest=done.digest,
        skipped=done.skipped,
        warnings=job.observer.warnings,
        seconds=round(clock() - started, 3),
        spooled_bytes=source.spooled_bytes + sink.spooled_bytes,
        platforms=done.platforms,
        referrers=done.referrers,
        signed_by=done.signed_by,
        signatures=done.signatures,
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How source and target compare before anything is copied.

    `lacks_referrers`: the image itself is there, but not all that refers to it and is to go along.
    """

    source_digest: Digest
    existing: Digest | None
    up_to_date: bool
    lacks_referrers: bool = False


@dataclass(frozen=True, slots=True)
class Pointed:
    """The digests that a source and a target point to now; None for a target that is not there."""

    source_digest: Digest
    existing: Digest | None


def compare_image(source: ImageSource, sink: ImageSink, options: CopyOptions) -> Standing:
    """Whether a copy would have anything to do: a HEAD on each side, rarely more.

    With referrers, also lists of them (see find_referrers). Raises SquashproxyError.
    """
    return compare_pointed(source, sink, options, find_pointed(source, sink))


def find_pointed(source: ImageSource, sink: ImageSink) -> Pointed:
    """What both point to, by a HEAD on each side. Raises SquashproxyError."""
    return Pointed(source.find_digest(), sink.find_manifest())


def compare_pointed(
    source: ImageSource, sink: ImageSink, options: CopyOptions, pointed: Pointed
) -> Standing:
    """As `compare_image`, for digests that were found already; seldom sends a request."""
    source_digest, existing = pointed.source_digest, pointed.existing
    if existing is None or options.force:
        return Standing(source_digest, existing, up_to_date=False)
    if options.mode is Mode.COPY:
        exact = ExactJob(source, sink, options, source_digest, SilentObserver(), Cancellation())
        fresh = exact.is_up_to_date(existing)
        return Standing(source_digest, existing, fresh, not fresh and existing == exact.digest)
    fresh = Freshness(source, sink, source_digest, options).is_up_to_date(existing)
    return Standing(source_digest, existing, fresh)


@dataclass(frozen=True, slots=True)
class _Done:
    source_digest: Digest
    digest: Digest
    skipped: bool
    platforms: tuple[PlatformCopy, ...] = ()
    referrers: tuple[ReferrerCopy, ...] = ()
    signed_by: tuple[SourceSignature, ...] = ()
    signatures: tuple[ResultSignature, ...] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    source: ImageSource
    sink: ImageSink
    options: CopyOptions
    bases: BaseFinder
    observer: RecordingObserver
    cancellation: Cancellation
    clock: Callable[[], float]
    signed_by: tuple[SourceSignature, ...] = ()

    def run(self) -> _Done:
        """Copy the image. If the target lost what it had, all is brought once more: a registry
        may remove blobs as garbage that no manifest names yet.
        """
        try:
            return self._run()
        except ContentMissing as lost:
            self.observer.warn(f"{lost.fact}; what is missing is brought once more")
            return self._run()

    def _run(self) -> _Done:
        source_digest = self.source.find_digest()
        signed_by = self.signed_by or required_signers(self.source, source_digest, self.options)
        return replace(self._done(source_digest, signed_by), signed_by=signed_by)

    def _done(self, source_digest: Digest, signed_by: tuple[SourceSignature, ...]) -> _Done:
        existing = self.sink.find_manifest()
        if existing is not None and self.options.no_clobber:
            self.observer.warn(f"{self.sink.name} exists and is left alone, as asked for")
            return _Done(source_digest, existing, skipped=True)
        if self.options.mode is Mode.COPY:
            return self._copy_exactly(source_digest, existing)
        if existing is not None and self._is_up_to_date(source_digest, existing):
            signatures = self._sign_existing(existing)
            return _Done(source_digest, existing, skipped=True, signatures=signatures)
        spare = backup_tag(self.options.backup, self.sink.tag or "", existing)
        if existing is not None and spare is not None:
            check_backup(self.sink, existing, spare)
        raw = self.source.read_manifest(source_digest)
        final, platforms = self._copy_all(raw, source_digest)
        if self.options.verify:
            self._prove(final, platforms)
        if self.options.provenance:
            making = Making(self.source, source_digest, final, platforms, self.options, signed_by)
            write_provenance(making, self.sink)
        signatures = self._sign(final)
        if existing is not None and spare is not None and existing != final.digest:
            write_backup(self.sink, existing, spare)
        self.sink.publish(final)
        return _Done(source_digest, final.digest, False, platforms, signatures=signatures)

    def _copy_exactly(self, source_digest: Digest, existing: Digest | None) -> _Done:
        """Copy the same bytes, then what refers to them; the tag moves last."""
        exact = ExactJob(
            self.source, self.sink, self.options, source_digest, self.observer, self.cancellation
        )
        if not self.options.force and exact.is_up_to_date(existing):
            signatures = self._sign_existing(exact.digest)
            return _Done(source_digest, exact.digest, skipped=True, signatures=signatures)
        old = existing if existing != exact.digest else None
        spare = backup_tag(self.options.backup, self.sink.tag or "", old)
        if old is not None and spare is not None:
            check_backup(self.sink, old, spare)
        final, platforms = exact.bring()
        if self.options.verify:
            self._prove(final, platforms)
        referrers = exact.bring_referrers(final)
        signatures = self._sign(final)
        if old is not None and spare is not None:
            write_backup(self.sink, old, spare)
        if existing != final.digest or self.sink.traits.publishes_all:
            self.sink.publish(final)
        return _Done(source_digest, final.digest, False, platforms, referrers, (), signatures)

    def _sign(self, final: RawManifest) -> tuple[ResultSignature, ...]:
        """Sign the result, if asked for, before its tag moves."""
        if self.options.signing is None:
            return ()
        from squashproxy.pipeline.signatures.sign import (  # noqa: PLC0415 - loads cryptography
            sign_result,
        )

        return sign_result(self.sink, final, self.options.signing, self.options.known_as)

    def _sign_existing(self, existing: Digest) -> tuple[ResultSignature, ...]:
        """Sign what is up to date, where the key has not signed it."""
        if self.options.signing is None:
            return ()
        return self._sign(self.sink.read_manifest(existing))

    def _prove(self, final: RawManifest, platforms: tuple[PlatformCopy, ...]) -> None:
        from squashproxy.pipeline.proof import prove  # noqa: PLC0415 - few copies wait for it

        SecondReading(self.observer).run(
            lambda: prove(
                self.source,
                self.sink,
                final,
                platforms,
                observer=self.observer,
                cancellation=self.cancellation,
                clock=self.clock,
                limits=self.options.limits,
            )
        )

    def _is_up_to_date(self, source_digest: Digest, existing: Digest) -> bool:
        if self.options.force:
            return False
        freshness = Freshness(self.source, self.sink, source_digest, self.options)
        return freshness.is_up_to_date(existing)

    def _copy_all(
        self, raw: RawManifest, digest: Digest
    ) -> tuple[RawManifest, tuple[PlatformCopy, ...]]:
        copier = ImageCopier(
            self.source,
            self.sink,
            self.options,
            self.bases,
            observer=self.observer,
            cancellation=self.cancellation,
        )
        parsed = parse_manifest(raw, f"the manifest of {self.source.name}")
        if isinstance(parsed, ImageIndex):
            return self._copy_index(parsed, digest, copier)
        copied = copier.copy(raw, digest)
        return copied.manifest, (copied.copy,)

    def _copy_index(
        self, index: ImageIndex, digest: Digest, copier: ImageCopier
    ) -> tuple[RawManifest, tuple[PlatformCopy, ...]]:
        """Copy the chosen images. A single image that was asked for becomes the result itself."""
        choice = choose_images(index, self.source, self.sink, self.options, self.observer)
        if choice.is_opaque:
            return self._copy_opaque(index, digest)
        results: list[RawManifest] = []
        platforms: list[PlatformCopy] = []
        for chosen in choice.images:
            stated = chosen.child.platform
            listed = Listed(stated, choice.selection.left_out, choice.is_single)
            copied = copier.copy(chosen.raw, chosen.child.descriptor.digest, listed)
            platforms.append(replace(copied.copy, platform=str(stated or copied.copy.platform)))
            if choice.is_single:
                return copied.manifest, tuple(platforms)
            self.sink.write_manifest(copied.manifest)
            results.append(copied.manifest)
        if is_unchanged(choice.selection, results):
            for inner in choice.selection.inner:
                self.sink.write_manifest(inner)
            return index.raw, tuple(platforms)
        docker = self.sink.traits.docker
        stamp = Stamp(digest, options_hash(self.options))
        final = result_index(index, choice.selection, results, stamp, docker=docker)
        return final, tuple(platforms)

    def _copy_opaque(
        self, index: ImageIndex, digest: Digest
    ) -> tuple[RawManifest, tuple[PlatformCopy, ...]]:
        """Copy an index that holds no image, with all that it lists and without changing a byte."""
        what = without_images(index, self.source.name)
        check_holds(self.sink, what)
        self.observer.warn(f"{what}; copied as it is")
        exact = ExactCopier(
            self.source, self.sink, self.observer, self.cancellation, self.options.jobs
        )
        return exact.bring(digest), tuple(exact.copies)
