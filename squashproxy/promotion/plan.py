"""The plan of a promotion rule: one HEAD at the source and one at the target for each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from squashproxy.catalog.tags import side_by_side
from squashproxy.config.promote import OnExisting, PromoteRule, Signed
from squashproxy.config.succession import Route, Succession
from squashproxy.errors import SquashproxyError, Unsigned
from squashproxy.pipeline.copy import Standing, compare_image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Tally, silent_tally
from squashproxy.promotion.collisions import Claims, settle
from squashproxy.promotion.owners import Owners
from squashproxy.promotion.pairs import Pair, settled
from squashproxy.promotion.places import with_places
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.rule_options import options_of
from squashproxy.promotion.signatures import Attached, find_attached
from squashproxy.promotion.steps import Collision, RuleSteps, Sighting, Step
from squashproxy.promotion.survey import Survey
from squashproxy.reference import Reference
from squashproxy.registry.client import RegistryClient
from squashproxy.state.manifests import ManifestMemory
from squashproxy.state.promotions import PromotionMemory
from squashproxy.transports.registry import RegistrySink, RegistrySource

__all__ = ["Planner", "RuleSteps", "Sighting", "SignedImage", "Step"]


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans rules, one after another.

    `now` gives unix seconds, `options` holds what rules do not set, `tally` counts images. Keys of
    rules may come from `environ`, and `warn` is told what is wrong with them. `rules`
    are all rules of the file, since one may promote what another one writes. `claims` grows with
    each plan.
    """

    client: RegistryClient
    manifests: ManifestMemory
    promotions: PromotionMemory
    rules: Sequence[PromoteRule]
    options: CopyOptions
    now: Callable[[], float]
    environ: Mapping[str, str] = field(default_factory=dict)
    warn: Callable[[str], None] = lambda _: None
    tally: Tally = silent_tally
    claims: Claims = field(default_factory=dict)

    def plan(self, rule: PromoteRule) -> RuleSteps:
        """The steps of a rule. An image that cannot be looked at is a failed step.

        Raises RegistryError where repositories cannot be listed.
        """
        routes = tuple(map(Route, self.rules))
        route = Route(rule)
        survey = Survey(rule, self.client, self.manifests, self.now)
        seen: list[Sighting] = []
        if route.pattern is None:
            pairs = survey.pinned(route)
        else:
            seen = survey.look(route.pattern)
            pairs = survey.choose(route, seen)
        options = options_of(rule, self.options, self.environ, self.warn)
        steps = side_by_side(
            lambda pair: self._step(rule, pair, options),
            settled(pairs, Succession(routes)),
            tally=self.tally,
            label=f"{rule.name}: compared",
        )
        owners = Owners(rule.name, routes, self.promotions)
        return RuleSteps(
            rule,
            tuple(settle(steps, owners, self.claims)),
            tuple(seen),
            tuple(survey.warnings),
            tuple(survey.problems),
        )

    def _step(self, rule: PromoteRule, pair: Pair, options: CopyOptions) -> Step:
        step = Step(
            rule,
            pair.source,
            pair.target,
            options,
            ImageOutcome.COPY,
            tags=pair.tags,
            error=pair.refusal,
        )
        if pair.refusal is not None:
            return replace(step, outcome=ImageOutcome.REFUSED)
        try:
            step = self._compared(step)
            return step if step.outcome != ImageOutcome.COPY else self._looked_at(step, pair)
        except (Collision, SignedImage, Unsigned) as error:
            return replace(step, outcome=ImageOutcome.REFUSED, error=error)
        except SquashproxyError as error:
            return replace(step, outcome=ImageOutcome.FAILED, error=error)

    def _compared(self, step: Step) -> Step:
        source = RegistrySource(self.client, step.source, step.tags)
        sink = RegistrySink(self.client, step.target)
        standing = compare_image(source, sink, step.options)
        outcome = ImageOutcome.COPY
        if standing.up_to_date:
            outcome = ImageOutcome.CURRENT
        elif _is_taken(standing) and step.rule.on_existing is OnExisting.KEEP:
            outcome = ImageOutcome.KEPT
        return replace(
            step,
            outcome=outcome,
            source_digest=standing.source_digest,
            existing=standing.existing,
            lacks_referrers=standing.lacks_referrers,
        )

    def _looked_at(self, step: Step, pair: Pair) -> Step:
        """A step to copy, completed by the referrers of its source and the tags that it needs.

        Raises Unsigned, SignedImage and Collision where the image is refused.
        """
        assert step.source_digest is not None, "it was compared"
        if step.options.required_keys:
            from squashproxy.pipeline.signatures.check import (  # noqa: PLC0415 - loads cryptography
                check_signed,
            )

            source = RegistrySource(self.client, step.source, step.tags)
            check_signed(source, step.source_digest, step.options)
        if step.options.mode is Mode.COPY:
            return with_places(step, self.client)
        remote = self.client.repository(step.source.repository)
        step = replace(step, attached=find_attached(remote, step.source_digest, pair.tags))
        if step.attached and step.rule.signed is Signed.REFUSE:
            raise SignedImage(step.source, step.attached)
        return with_places(step, self.client)


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
