"""One exact copy: choose the manifest, compare with the target, bring the bytes and referrers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.oci.mediatypes import Family, family_of
from squashproxy.pipeline.exact.choice import Chosen, choose_exactly
from squashproxy.pipeline.exact.copier import ExactCopier
from squashproxy.pipeline.exact.referrers import ReferrerCopier, Referrers, find_referrers
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import PlatformCopy, ReferrerCopy
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSink, ImageSource


@dataclass(frozen=True)
class ExactJob:
    """Copies what `source_digest` names at the source, without changing a byte."""

    source: ImageSource
    sink: ImageSink
    options: CopyOptions
    source_digest: Digest
    observer: Observer
    cancellation: Cancellation

    @property
    def digest(self) -> Digest:
        """The digest of the manifest that is copied, which is the result's. Raises what
        `choose_exactly` raises.
        """
        return self._chosen.digest

    def is_up_to_date(self, existing: Digest | None) -> bool:
        """Whether the target has the image and, if they go along, all of its referrers."""
        if existing != self.digest:
            return False
        if not self.options.referrers:
            return True
        return self._found.is_all_at(self.sink, keeps_tags=self.options.keeps_tags)

    def bring(self) -> tuple[RawManifest, tuple[PlatformCopy, ...]]:
        """Bring everything but the image's own manifest, which the caller publishes."""
        if self.options.referrers:
            _ = self._found  # what cannot be told ends the copy before anything is moved
        final = self._copier.bring(self.digest, self._chosen.platform)
        self._warn_of_sources(final)
        return final, tuple(self._copier.copies)

    def bring_referrers(self, final: RawManifest) -> tuple[ReferrerCopy, ...]:
        """Bring what refers to the image, if it is to go along; `final` is written by its digest
        before.
        """
        if not self.options.referrers or not (self._found.referrers or self._found.companions):
            return ()
        self.sink.write_manifest(final)
        copier = ReferrerCopier(
            self.source, self.sink, self._copier, self.options.keeps_tags, self.observer.warn
        )
        return copier.copy(self._found)

    @cached_property
    def _chosen(self) -> Chosen:
        return choose_exactly(self.source, self.source_digest, self.options, self.observer)

    @cached_property
    def _found(self) -> Referrers:
        return find_referrers(self.source, self.digest, self.observer.warn)

    @cached_property
    def _copier(self) -> ExactCopier:
        return ExactCopier(
            self.source, self.sink, self.observer, self.cancellation, self.options.jobs
        )

    def _warn_of_sources(self, final: RawManifest) -> None:
        if not self.source.keeps_digests:
            self.observer.warn(
                f"{self.source.name} keeps no digest of a registry: the image is copied as the "
                "archive holds it, layers unpacked or not; squash or prune it to compress them"
            )
        if not self.sink.traits.docker and _is_docker(final):
            self.observer.warn(
                f"{self.source.name} has Docker's media types, and keeps them in {self.sink.name}, "
                "since others would change its digest; skopeo, podman and umoci read only OCI's "
                "there"
            )


def _is_docker(final: RawManifest) -> bool:
    """Whether a manifest, or one that it lists, has Docker's media types."""
    parsed = parse_manifest(final, "the manifest")
    listed = (
        [each.descriptor.media_type for each in parsed.children]
        if isinstance(parsed, ImageIndex)
        else []
    )
    return any(family_of(each) is Family.DOCKER for each in (parsed.raw.media_type, *listed))
