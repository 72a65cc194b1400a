"""The plan of a promotion rule: one HEAD at the source and one at the target for each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from squashproxy.catalog.repositories import Found
from squashproxy.catalog.tags import batches_side_by_side, side_by_side
from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Route, Succession
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Tally, silent_tally
from squashproxy.promotion.collisions import Claims, settle
from squashproxy.promotion.compare import Comparer, SignedImage
from squashproxy.promotion.owners import Owners
from squashproxy.promotion.pairs import settled
from squashproxy.promotion.rule_options import options_of
from squashproxy.promotion.scan import Names, RepositoryScanner, Scan, names_of
from squashproxy.promotion.steps import RuleSteps, Sighting, Step
from squashproxy.promotion.survey import Survey
from squashproxy.registry.client import RegistryClient
from squashproxy.state.manifests import ManifestMemory
from squashproxy.state.promotions import PromotionMemory

__all__ = ["Planner", "RuleSteps", "Sighting", "SignedImage", "Step"]


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans rules, one after another.

    `now` gives unix seconds, `options` holds what rules do not set, `tally` counts images. Keys of
    rules may come from `environ`, and `warn` is told what is wrong with them. `rules`
    are all rules of the file, since one may promote what another one writes. `claims` grows with
    each plan. The repositories of a rule that has several are scanned by `scanner`, where there is
    one, and else here.
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
    scanner: RepositoryScanner | None = None

    def plan(self, rule: PromoteRule) -> RuleSteps:
        """The steps of a rule. An image that cannot be looked at is a failed step.

        Raises RegistryError where repositories cannot be listed.
        """
        routes = tuple(map(Route, self.rules))
        route = Route(rule)
        survey = Survey(rule, self.client, self.manifests, self.now)
        seen: list[Sighting] = []
        options = options_of(rule, self.options, self.environ, self.warn)
        compared: Mapping[Names, Step] = {}
        if route.pattern is None:
            pairs = survey.pinned(route)
        else:
            found = survey.find(route.pattern)
            if self.scanner is not None and len(found.repositories) > 1:
                scans = self._scanned(self.scanner, found, survey, options)
                seen = [each.sighting for each in scans if each.sighting is not None]
                pairs = [pair for each in scans for pair in each.pairs]
                compared = {names_of(step): step for each in scans for step in each.steps}
            else:
                seen = survey.look(found)
                pairs = [pair for each in seen for pair in survey.choose(route, each)]
            survey.note_vain(seen, pairs)
        comparer = Comparer(self.client)
        wanted = settled(pairs, Succession(routes))
        if compared:
            steps = [
                (compared.get(names_of(pair)) if pair.refusal is None else None)
                or comparer.steps(rule, [pair], options)[0]
                for pair in wanted
            ]
        else:
            label = f"{rule.name}: compared"
            steps = batches_side_by_side(
                lambda batch: comparer.steps(rule, batch, options),
                wanted,
                tally=self.tally,
                label=label,
            )
        owners = Owners(rule.name, routes, self.promotions)
        return RuleSteps(
            rule,
            tuple(settle(steps, owners, self.claims)),
            tuple(seen),
            tuple(survey.warnings),
            tuple(survey.problems),
        )

    def _scanned(
        self, scanner: RepositoryScanner, found: Found, survey: Survey, options: CopyOptions
    ) -> list[Scan]:
        """What the scanner finds out about each repository; its sentences go into the survey."""
        label = f"{survey.rule.name}: repositories"
        scan = partial(scanner.scan, survey.rule, options, found.listed)
        scans = side_by_side(
            scan, found.repositories, scanner.at_once, tally=self.tally, label=label
        )
        for each in scans:
            survey.warnings.extend(each.warnings)
            survey.problems.extend(each.problems)
        return scans
