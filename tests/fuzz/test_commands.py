"""Manifests, indexes and descriptors with values of other types, through every command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from squashproxy.digest import digest_of
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder, index_of
from tests.cli.command_line import InProcess
from tests.fuzz.mutations import ODD_VALUES, exchanged, iter_places

ANNOTATIONS: dict[str, Any] = {
    "org.opencontainers.image.base.name": "h.example/os:1",
    "org.opencontainers.image.base.digest": digest_of(b"os"),
    "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
    "org.opencontainers.image.ref.name": "1",
    "dev.squashproxy.source.digest": digest_of(b"source"),
    "dev.squashproxy.source.chain": digest_of(b"chain"),
    "dev.squashproxy.options": "x",
    "vnd.docker.reference.type": "attestation-manifest",
    "vnd.docker.reference.digest": digest_of(b"subject"),
    "io.containerd.image.name": "h.example/app:1",
}
IMAGE = (
    ImageBuilder(annotations={**ANNOTATIONS})
    .layer(LayerBuilder().file("a", b"a"))
    .layer(LayerBuilder().whiteout("a"))
    .build()
)
INDEX = index_of([IMAGE], annotations={**ANNOTATIONS})
LISTED = json.loads(INDEX.manifest.data)
LISTED["manifests"][0]["annotations"] = {**ANNOTATIONS}
LISTED["manifests"][0].setdefault("platform", {"os": "linux", "architecture": "amd64"})
SINGLE = json.loads(IMAGE.manifest.data)
for descriptor in (SINGLE["config"], *SINGLE["layers"]):
    descriptor["annotations"] = {**ANNOTATIONS}
DOCUMENTS = {
    "image": (SINGLE, IMAGE.manifest.media_type),
    "index": (LISTED, INDEX.manifest.media_type),
}
COMMANDS: dict[str, list[str]] = {
    "inspect": ["inspect", "HOST/app:1"],
    "plan": ["plan", "HOST/app:1", "HOST/new:1"],
    "copy": ["copy", "HOST/app:1", "HOST/new:1"],
    "prune": ["copy", "--mode", "prune", "HOST/app:1", "HOST/new:2"],
    "exact": ["copy", "--mode", "copy", "--referrers", "HOST/app:1", "HOST/new:3"],
    "verify": ["verify", "HOST/app:1", "HOST/app:right"],
    "base": ["copy", "--base", "HOST/app:1", "HOST/app:right", "HOST/new:4"],
    "onto": ["copy", "HOST/app:right", "HOST/app:1"],
    "layout": ["copy", "HOST/app:1", "oci:FOLDER/layout:1"],
    "promote": ["promote", "--dry-run", "FOLDER/rules.yml"],
    "cleanup": ["cleanup", "FOLDER/rules.yml"],
}
RULES = """
state: FOLDER/state
promote: [{name: a, from: "HOST/app", to: "HOST/new", tags: {newest: 5}}]
cleanup:
  - {name: b, repositories: ["HOST/app"], keep: {newest: 1, tags: ['right']}, action: squash}
"""


@pytest.fixture(scope="module")
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as started:
        IMAGE.push(started, "app", "right")
        yield started


def run_all(
    squashproxy: InProcess, registry: FakeRegistry, folder: Path, document: Any, media_type: str
) -> None:
    """Every command ends with a result or one sentence; any other exception passes through."""
    registry.put_manifest("app", "1", json.dumps(document).encode(), media_type)
    (folder / "rules.yml").write_text(
        RULES.replace("HOST", registry.host).replace("FOLDER", str(folder))
    )
    for words in COMMANDS.values():
        said = [
            each.replace("HOST", registry.host).replace("FOLDER", str(folder)) for each in words
        ]
        outcome = squashproxy(*said)
        assert outcome.code in (0, 1, 2, 3, 4), outcome
        if outcome.code in (1, 2):
            errors = [line for line in outcome.err.splitlines() if "warning: " not in line]
            assert len(errors) == 1, outcome


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize(
    "step", [pytest.param(20, id="some"), pytest.param(1, id="each", marks=pytest.mark.long)]
)
def test_each_value_may_be_of_another_type(
    capsys: pytest.CaptureFixture[str], registry: FakeRegistry, tmp_path: Path, kind: str, step: int
) -> None:
    """Each annotation in turn, and each other value; with `step` above 1, one of so many."""
    document, media_type = DOCUMENTS[kind]
    for number, place in enumerate(list(iter_places(document))[1::step]):
        odd = ODD_VALUES[number * 7 % len(ODD_VALUES)]
        changed = exchanged(document, place, odd)
        run_all(InProcess(capsys), registry, tmp_path, changed, media_type)


@pytest.mark.long
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_several_values_may_be_of_other_types(
    capsys: pytest.CaptureFixture[str], registry: FakeRegistry, tmp_path: Path, kind: str
) -> None:
    document, media_type = DOCUMENTS[kind]

    @settings(
        max_examples=1000,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        changed = document
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.sampled_from(list(iter_places(changed))[1:]))
            changed = exchanged(changed, place, data.draw(st.sampled_from(ODD_VALUES)))
        run_all(InProcess(capsys), registry, tmp_path, changed, media_type)

    check()
