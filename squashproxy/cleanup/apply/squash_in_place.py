"""Squashing images in place.

A tag is moved only if nobody moved or signed it in the meantime: a signature of the original does
not cover the squashed image. A key that signs the results changes nothing about that: it vouches
for what is made here, and cannot stand for whoever signed the original.
"""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from squashproxy.cancellation import Cancellation
from squashproxy.catalog.tags import side_by_side
from squashproxy.cleanup.apply.site import Site
from squashproxy.cleanup.graph import SIGNATURE_SUFFIXES
from squashproxy.cleanup.plan import Squash
from squashproxy.cleanup.provenance import is_made_from
from squashproxy.cleanup.results import Step, StepOutcome
from squashproxy.digest import Digest
from squashproxy.errors import NotFound, ReferrersUnknown, SquashproxyError
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.pipeline.bases.base_image import SourceOpener
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.distinct_layers import (
    DistinctBytes,
    DistinctLayers,
    distinct_bytes,
    distinct_layers,
)
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import CopyResult
from squashproxy.pipeline.signatures.results import ResultSignature
from squashproxy.progress import Observer
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.transports.index_images import find_leaves
from squashproxy.transports.registry import RegistrySink, RegistrySource, RepositoryManifests

if TYPE_CHECKING:  # cryptography takes long to import, and few rules need it
    from squashproxy.signing.signing import Signing


class TagMoved(SquashproxyError):
    """Somebody pushed to the tag while its image was squashed; that push wins."""


class SignedMeanwhile(SquashproxyError):
    """Somebody signed an image after squashing it was planned."""


class GuardedSink(RegistrySink):
    """A sink whose tag is replaced only while it still points to the image that was squashed.

    `signatures` are those that `publish` made, or found to be there.
    """

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        expected: Digest,
        signing: Signing | None = None,
    ) -> None:
        super().__init__(client, reference)
        self._expected = expected
        self._signing = signing
        self.signatures: tuple[ResultSignature, ...] = ()

    def publish(self, manifest: RawManifest) -> None:
        """Sign the image, if that is asked for, and store its manifest under the tag.

        An image that did not change is no result, and is not signed. Raises TagMoved and
        SignedMeanwhile.
        """
        staying = {manifest.digest, *_below(self._remote, manifest)}
        check_unsigned(self._remote, self._expected, staying)
        if self._signing is not None and manifest.digest != self._expected:
            self.signatures = self._sign(manifest, self._signing)
            check_unsigned(self._remote, self._expected, staying)
        if self.find_manifest() != self._expected:
            raise TagMoved(f"{self.name} was pushed to while it was squashed; its push was left")
        super().publish(manifest)

    def _sign(self, manifest: RawManifest, signing: Signing) -> tuple[ResultSignature, ...]:
        from squashproxy.pipeline.signatures.sign import (  # noqa: PLC0415 - loads cryptography
            sign_result,
        )

        return sign_result(self, manifest, signing)


@dataclass(frozen=True, slots=True)
class InPlaceSquasher:
    """Squashes images of a repository into the same repository."""

    client: RegistryClient
    open_source: SourceOpener
    quick_source: SourceOpener
    observer: Observer
    cancellation: Cancellation

    def squash(
        self, repository: Repository, tag: str, digest: Digest, options: CopyOptions
    ) -> CopyResult:
        """Squash what `tag` points to, which is `digest`. Raises TagMoved and SquashproxyError."""
        source = RegistrySource(self.client, Reference(repository, None, digest))
        sink = GuardedSink(self.client, Reference(repository, tag), digest, options.signing)
        result = copy_image(
            source,
            sink,
            replace(options, signing=None),
            open_source=self.open_source,
            quick_source=self.quick_source,
            observer=self.observer,
            clock=time.monotonic,
            cancellation=self.cancellation,
        )
        return replace(result, signatures=sink.signatures)

    def retag(
        self, repository: Repository, tag: str, old: Digest, new: Digest, signing: Signing | None
    ) -> tuple[ResultSignature, ...]:
        """Let another tag of the same image point to the squashed one, which is signed if that is
        asked for. Raises TagMoved and SignedMeanwhile.
        """
        sink = GuardedSink(self.client, Reference(repository, tag), old, signing)
        sink.publish(sink.read_manifest(new))
        return sink.signatures


class InPlaceSteps:
    """Carries out the squashes of a plan in one repository.

    `saved_bytes` is the size that squashing has saved so far, with each image counted once.
    """

    def __init__(self, site: Site, squasher: InPlaceSquasher, options: CopyOptions) -> None:
        self._site = site
        self._squasher = squasher
        self._options = options
        self.saved_bytes = 0
        self._layers: list[DistinctLayers] = []

    @property
    def distinct(self) -> DistinctBytes:
        """The bytes of images squashed so far, before and after; each layer counts once."""
        return distinct_bytes(self._layers)

    def run(self, squashes: Sequence[Squash]) -> None:
        """Squash one image after another. Raises SquashproxyError."""
        for squash in squashes:
            self._site.check_stopped()
            self._squash(squash)

    def _squash(self, squash: Squash) -> None:
        became: Digest | None = None
        for tag in squash.tags:
            try:
                step = self._squash_tag(squash, tag, became)
            except (TagMoved, SignedMeanwhile, NotFound) as error:
                self._site.tell(Step("squash", squash.digest, (tag,), StepOutcome.LEFT, str(error)))
                continue
            if step.outcome in (StepOutcome.SQUASHED, StepOutcome.GONE) and step.became is not None:
                became = Digest(step.became)
            self._site.tell(step)
        if became is not None:
            site = self._site
            site.tags.note_untagged(site.repository, squash.digest, site.now())

    def _squash_tag(self, squash: Squash, tag: str, became: Digest | None) -> Step:
        site, digest = self._site, squash.digest
        found = site.remote.find_manifest(tag)
        if found is None:
            raise TagMoved("the tag has gone meanwhile")
        if found.digest != digest:
            if not is_made_from(self._squasher.client, site.repository, found.digest, digest):
                raise TagMoved("it was pushed to meanwhile")
            return Step(
                "squash", digest, (tag,), StepOutcome.GONE, "it was squashed before", found.digest
            )
        number = site.begin("squash", digest, (tag,), "the rule squashes it")
        step = self._replace(squash, tag, became)
        site.log.end(number, step.outcome, (tag,))
        return step

    def _replace(self, squash: Squash, tag: str, became: Digest | None) -> Step:
        repository, digest = self._site.repository, squash.digest
        if became is not None:
            signing = self._options.signing
            signed = self._squasher.retag(repository, tag, digest, became, signing)
            return Step("squash", digest, (tag,), StepOutcome.SQUASHED, "", became, signed)
        result = self._squasher.squash(repository, tag, digest, self._options)
        if result.digest == digest:
            why = "there is nothing to squash"
            return Step("squash", digest, (tag,), StepOutcome.LEFT, why, result.digest)
        self.saved_bytes += sum(
            each.compressed_before - each.compressed_after for each in result.platforms
        )
        self._layers.append(distinct_layers(result.platforms))
        return Step(
            "squash",
            digest,
            (tag,),
            StepOutcome.SQUASHED,
            "",
            result.digest,
            result.signatures,
        )


def check_unsigned(
    remote: RemoteRepository, digest: Digest, staying: Container[Digest] = ()
) -> None:
    """Raise SignedMeanwhile where something refers to an image, or to one of its platforms.

    What refers to one of `staying` is not left behind: the squashed image holds these as well.
    """
    for each in (digest, *_below(remote, remote.get_manifest(digest))):
        if each in staying:
            continue
        companion = partial(remote.find_companion, each)
        try:
            is_signed = remote.list_referrers(each) or any(
                side_by_side(companion, SIGNATURE_SUFFIXES)
            )
        except ReferrersUnknown as error:
            raise SignedMeanwhile(str(error)) from error
        if is_signed:
            raise SignedMeanwhile(
                "it was signed or attested meanwhile, and squashing would leave that behind"
            )


def _below(remote: RemoteRepository, raw: RawManifest) -> list[Digest]:
    """The digests of all that an index leads to; none for an image."""
    parsed = parse_manifest(raw, f"the manifest {raw.digest} of {remote.name}")
    if not isinstance(parsed, ImageIndex):
        return []
    return list(find_leaves(RepositoryManifests(remote), parsed, tolerant=True).manifests)
