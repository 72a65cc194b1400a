"""How every verb ends that meets a hostile image, and what it costs: `tests/bench/hostile.py`.

tests/run --long -s tests/pipeline/test_hostile_table.py
"""

from __future__ import annotations

import pytest

from squashproxy.testing import FakeRegistry
from tests.bench.hostile import IMAGES, VERBS, measure, show
from tests.pipeline.hostile_images import DEPTHS, MANY, REFUSED

MOST_MIB = 500
"""No verb takes more for any of these images. `verify` remembers a million paths of both images, in
some 200 bytes each; the others take half of that.
"""
TOO_DEEP = {name for name in DEPTHS if int(name.split()[3]) > 2000}


def is_refused(name: str, verb: str) -> bool:
    return name in REFUSED or name in TOO_DEEP or (verb == "prune" and name.endswith(" layers"))


def check(name: str, verb: str, registry: FakeRegistry) -> None:
    found = measure(registry, verb)
    show(name, verb, found)
    assert found.code == is_refused(name, verb), found.sentence
    assert found.mib < MOST_MIB
    assert "Traceback" not in found.sentence


@pytest.mark.parametrize("verb", ["plan", "verify"])
def test_a_bomb_is_hardly_inflated(verb: str) -> None:
    """The work ends with the limit, far from the 40 GiB that the image claims."""
    name = "40 GiB in 2 MB of zstd"
    with FakeRegistry() as registry:
        IMAGES[name](registry)
        found = measure(registry, verb)
    assert found.code == 1
    assert "max-ratio" in found.sentence
    assert 0 < found.inflated < 1 << 30
    assert found.mib < MOST_MIB


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [*IMAGES, *MANY])
def test_images(name: str) -> None:
    with FakeRegistry() as registry:
        (IMAGES | MANY)[name](registry)
        for verb in VERBS:
            check(name, verb, registry)
