"""Comparing a source with its target: one HEAD on each side says what is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from squashproxy.config.promote import OnExisting, PromoteRule, Signed
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError, Unsigned
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.copy import Pointed, Standing, compare_pointed, find_pointed
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.signatures.required import required_signers
from squashproxy.promotion.pairs import Pair
from squashproxy.promotion.places import with_places
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.signatures import Attached, find_attached
from squashproxy.promotion.steps import Collision, Step
from squashproxy.reference import Reference
from squashproxy.registry.client import RegistryClient
from squashproxy.transports.registry import RegistrySink, RegistrySource

_Held = Mapping[Digest, RawManifest]


@dataclass(frozen=True, slots=True)
class Comparer:
    """Makes steps of pairs; usable from several threads."""

    client: RegistryClient

    def steps(self, rule: PromoteRule, pairs: Sequence[Pair], options: CopyOptions) -> list[Step]:
        """The step of each pair; one that cannot be looked at is a failed step.

        All tags are asked for before the first answer is judged, and what the cache knows of the
        targets is read at once: each change between waiting and working costs a thread its turn.
        """
        found = [self._asked(pair) for pair in pairs]
        there = {
            each.existing
            for each in found
            if isinstance(each, Pointed) and each.existing is not None
        }
        held = self.client.cached_manifests(there)
        return [
            self._step(
                Step(rule, pair.source, pair.target, options, ImageOutcome.COPY, tags=pair.tags),
                pointed,
                held,
            )
            for pair, pointed in zip(pairs, found, strict=True)
        ]

    def _asked(self, pair: Pair) -> Pointed | SquashproxyError:
        """What the source and the target of a pair point to, or why that is not known."""
        if pair.refusal is not None:
            return pair.refusal
        try:
            return find_pointed(
                RegistrySource(self.client, pair.source, pair.tags),
                RegistrySink(self.client, pair.target),
            )
        except SquashproxyError as error:
            return error

    def _step(self, step: Step, pointed: Pointed | SquashproxyError, held: _Held) -> Step:
        try:
            if isinstance(pointed, SquashproxyError):
                raise pointed
            step = self._checked(self._compared(step, pointed, held))
            return step if step.outcome != ImageOutcome.COPY else self._looked_at(step)
        except (Collision, SignedImage, Unsigned) as error:
            return replace(step, outcome=ImageOutcome.REFUSED, error=error)
        except SquashproxyError as error:
            return replace(step, outcome=ImageOutcome.FAILED, error=error)

    def _compared(self, step: Step, pointed: Pointed, held: _Held) -> Step:
        source = RegistrySource(self.client, step.source, step.tags)
        sink = RegistrySink(self.client, step.target, held)
        standing = compare_pointed(source, sink, step.options, pointed)
        lacks_referrers = standing.lacks_referrers
        outcome = ImageOutcome.COPY
        if standing.up_to_date:
            lacks_referrers = not _has_signature(sink, standing, step.options)
            outcome = ImageOutcome.COPY if lacks_referrers else ImageOutcome.CURRENT
        elif _is_taken(standing) and step.rule.on_existing is OnExisting.KEEP:
            outcome = ImageOutcome.KEPT
        return replace(
            step,
            outcome=outcome,
            source_digest=standing.source_digest,
            existing=standing.existing,
            lacks_referrers=lacks_referrers,
        )

    def _checked(self, step: Step) -> Step:
        """The step with its required signatures, also where the target is up to date: a key may
        have been taken out of the rule since. Raises Unsigned.
        """
        if step.outcome is ImageOutcome.KEPT:
            return step
        assert step.source_digest is not None, "it was compared"
        source = RegistrySource(self.client, step.source, step.tags)
        try:
            signed_by = required_signers(source, step.source_digest, step.options)
        except Unsigned as error:
            if step.outcome is ImageOutcome.COPY:
                raise
            raise Unsigned(
                f"{error.fact} now, but {step.target} holds it since an earlier run",
                advice="delete it there, or name the key that signed it",
                reason=error.reason,
            ) from error
        return replace(step, signed_by=signed_by)

    def _looked_at(self, step: Step) -> Step:
        """A step to copy, completed by the referrers of its source and the tags that it needs.

        Raises SignedImage and Collision where the image is refused.
        """
        assert step.source_digest is not None, "it was compared"
        if step.options.mode is Mode.COPY:
            return with_places(step, self.client)
        remote = self.client.repository(step.source.repository)
        step = replace(step, attached=find_attached(remote, step.source_digest, step.tags))
        if step.attached and step.rule.signed is Signed.REFUSE:
            raise SignedImage(step.source, step.attached)
        return with_places(step, self.client)


def _has_signature(sink: RegistrySink, standing: Standing, options: CopyOptions) -> bool:
    """Whether the target is signed as the rule asks; if not, a copy has only that to do."""
    if options.signing is None or standing.existing is None:
        return True
    from squashproxy.pipeline.signatures.sign import is_signed  # noqa: PLC0415 - loads cryptography

    return is_signed(sink, standing.existing, options.signing)


def _is_taken(standing: Standing) -> bool:
    """Whether another image is at the target."""
    return standing.existing is not None and not standing.lacks_referrers


class SignedImage(SquashproxyError):
    """A signed image, which the rule does not allow to be squashed: the signature would be lost."""

    def __init__(self, source: Reference, attached: Attached) -> None:
        super().__init__(
            f"{source} has {attached}, which would not be true of a squashed image; let the rule "
            "say signed: copy or signed: warn"
        )
