"""Images without layers are promoted, in every mode and on any base."""

from __future__ import annotations

import pytest

from tests.pipeline.images import BARE, app, without_layers
from tests.promotion.pair import SIMPLE, Pair, outcomes


@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
def test_images_without_layers_are_promoted(pair: Pair, mode: str) -> None:
    built = [without_layers(shape) for shape in BARE]
    for number, image in enumerate(built):
        image.push(pair.old, "apps/web", str(number))
    rule = f"{SIMPLE}\nmode: {mode}\ntags: {{newest: {len(built)}}}"
    code, document, err = pair.promote(rule)
    assert (code, err) == (0, "")
    assert set(outcomes(document).values()) == {"copied"}
    assert pair.new.tags("prod/web") == {str(n): image.digest for n, image in enumerate(built)}
    code, document, _ = pair.promote(rule)
    assert (code, "copied" in outcomes(document).values()) == (0, False)


def test_scratch_as_the_base_of_a_rule_means_none(pair: Pair) -> None:
    app().push(pair.old, "apps/web", "1")
    for base in ("scratch", "none"):
        code, _, err = pair.promote(f"from: OLD/apps/*\nto: NEW/{base}/{{repo}}\nbase: {base}")
        assert (code, err) == (0, "")
    assert pair.new.tags("scratch/web") == pair.new.tags("none/web")
