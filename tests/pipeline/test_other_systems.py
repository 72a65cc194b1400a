"""Layers for another system than Linux are never merged: a Windows host merges the registry hives
of all layers, so that none of them hides those of another one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from squashproxy.analysis.thresholds import parse_threshold
from squashproxy.config.values import parse_size
from squashproxy.digest import digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import LayerRole
from squashproxy.testing import AMD64, BuiltImage, BuiltIndex, ImageBuilder, Packing, index_of
from tests.cli.command_line import InProcess
from tests.pipeline.images import ARM64, LAYERS, OS, app
from tests.pipeline.indexes import entry, listing, named
from tests.pipeline.lab import Arrived, Lab, fetched, tree
from tests.pipeline.other_systems import WINDOWS, stating, windows
from tests.transports.copying import copy
from tests.transports.places import KINDS, open_places

OTHERS = {
    "windows": "windows",
    "in capitals": "Windows",
    "freebsd": "freebsd",
    "darwin": "darwin",
    "macos": "macOS",
    "a system of tomorrow": "wasip1",
}
LINUX: dict[str, str | None] = {
    "linux": "linux",
    "in capitals": "Linux",
    "nothing": None,
    "an empty text": "",
}
CHOICES: dict[str, dict[str, Any]] = {
    "squash": {},
    "flatten": {"base": "none"},
    "a base of one": {"base": "1"},
    "split": {"base": "none", "max_layer_size": 100},
    "another compression": {"compression": "zstd"},
    "prune": {"mode": Mode.PRUNE},
    "prune all": {"mode": Mode.PRUNE, "base": "none"},
}


@pytest.mark.parametrize("system", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_they_are_copied_as_they_are_with_a_warning(
    lab: Lab, system: str, choices: dict[str, Any]
) -> None:
    image = windows(system=system)
    lab.put(image)
    result = lab.copy(**choices)
    assert result.digest == image.digest
    assert lab.new.manifest("app", "1") == image.manifest
    assert set(image.blobs) <= set(lab.new.blobs("app"))
    (warning,) = result.warnings
    assert "only the layers of Linux images can be merged" in warning
    assert "registry hives" in warning
    assert "copied as it is" in warning
    (copied,) = result.platforms
    assert (copied.layers_after, copied.hidden_bytes, copied.new_layers) == (3, 0, ())
    assert lab.copy(**choices).skipped


@pytest.mark.parametrize("system", LINUX.values(), ids=LINUX)
@pytest.mark.parametrize("family", Family)
def test_a_config_that_states_no_system_is_for_linux(
    lab: Lab, system: str | None, family: Family
) -> None:
    image = windows(AMD64, family, system)
    lab.put(image)
    (copied,) = lab.copy(base="1").platforms
    assert copied.layers_after == 2
    assert copied.hidden_bytes > 0


def test_where_the_config_states_no_system_that_of_the_index_counts(lab: Lab) -> None:
    image = windows(system=None)
    lab.put(index_of([image]))
    result = lab.copy(base="none")
    assert result.platforms[0].digest == image.digest
    assert "is for windows" in result.warnings[0]
    (planned,) = lab.plan(base="none").platforms
    assert planned.unmerged is not None
    assert lab.copy(base="none").skipped


SIGNS: dict[str, dict[str, Any]] = {
    "a version": {"os.version": "10.0.20348.2227"},
    "features": {"os.features": ["win32k"]},
}


@pytest.mark.parametrize("signs", SIGNS.values(), ids=SIGNS)
def test_fields_that_only_windows_has_tell_of_it(lab: Lab, signs: dict[str, Any]) -> None:
    image = stating(windows(), os=None, **signs)
    lab.put(image)
    result = lab.copy(base="none")
    assert result.digest == image.digest
    assert result.platforms[0].platform == "windows/amd64"
    assert lab.copy(base="none").skipped


def test_foreign_layers_without_a_system_are_for_windows(lab: Lab) -> None:
    foreign = mediatypes.DOCKER_FOREIGN_LAYER
    builder = ImageBuilder(Family.DOCKER, platform=WINDOWS)
    builder.stored_layer(Descriptor(foreign, digest_of(b"elsewhere"), 9), digest_of(b"unpacked"))
    image = stating(builder.layer(OS).layer(LAYERS[1]).build(), os=None)
    lab.put(image)
    assert lab.copy().digest == image.digest
    assert lab.copy().skipped


def nested(lab: Lab, image: BuiltImage, *, is_stated_inside: bool) -> None:
    """Push the image in an index in an index, of which one says that it is for Windows."""
    stated = entry(image)
    silent = {key: value for key, value in stated.items() if key != "platform"}
    inner = listing([stated if is_stated_inside else silent])
    around = entry(inner) if is_stated_inside else named(inner, "windows/amd64")
    for each in (image, inner):
        each.push(lab.old, "app")
    listing([around]).push(lab.old, "app", "1")


@pytest.mark.parametrize("is_stated_inside", [True, False], ids=["inner index", "outer index"])
def test_what_an_index_around_the_index_states_counts_in_every_verb(
    lab: Lab, squashproxy: InProcess, is_stated_inside: bool
) -> None:
    image = windows(system=None)
    nested(lab, image, is_stated_inside=is_stated_inside)
    for mode in Mode:
        (planned,) = lab.plan(mode=mode).platforms
        assert (planned.platform, planned.total_hidden) == ("windows/amd64", 0)
        assert planned.unmerged is not None
    (copied,) = lab.copy(base="none").platforms
    assert (copied.platform, copied.digest) == ("windows/amd64", image.digest)
    assert lab.copy(base="none").skipped
    inspected = squashproxy("inspect", f"{lab.old.host}/app:1")
    assert "windows/amd64: 3 layers" in inspected.out


@pytest.mark.parametrize("mode", Mode)
def test_an_image_that_leaves_the_only_index_that_tells_is_warned_of(
    lab: Lab, squashproxy: InProcess, mode: Mode
) -> None:
    image = windows(system=None)
    lab.put(index_of([image, app()]))
    (planned,) = lab.plan(mode=mode, platforms=(WINDOWS,)).platforms
    assert planned.platform == "windows/amd64"
    result = lab.copy(mode=mode, platforms=(WINDOWS,), verify=True)
    assert result.digest == image.digest
    assert result.platforms[0].platform == "windows/amd64"
    assert [each for each in result.warnings if "it does not go along" in each]
    assert lab.copy(mode=mode, platforms=(WINDOWS,)).skipped
    names = f"{lab.old.host}/app:1", f"{lab.new.host}/app:1"
    for arguments in (names, ("--platform", "windows/amd64", *reversed(names))):
        outcome = squashproxy("verify", *arguments)
        assert outcome.code == 0, outcome.err
        assert "windows" in outcome.out or "unknown" in outcome.out


@pytest.mark.parametrize("mode", Mode)
def test_an_image_whose_config_tells_leaves_its_index_without_that_warning(
    lab: Lab, mode: Mode
) -> None:
    lab.put(index_of([windows(), app()]))
    result = lab.copy(mode=mode, platforms=(WINDOWS,))
    assert not [each for each in result.warnings if "go along" in each]


@pytest.mark.parametrize("family", Family)
def test_the_linux_images_beside_it_are_squashed(lab: Lab, family: Family) -> None:
    images = [windows(family=family), app(family), app(family, platform=ARM64)]
    lab.put(index_of(images, family))
    result = lab.copy(base="none")
    assert [copied.layers_after for copied in result.platforms] == [3, 1, 1]
    assert result.platforms[0].digest == images[0].digest
    for copied in result.platforms[1:]:
        assert Arrived(lab.new, "app", copied.digest).tree() == tree(*LAYERS)
    assert lab.copy(base="none").skipped


def test_one_platform_of_an_index_is_copied_as_it_is(lab: Lab) -> None:
    image = windows()
    lab.put(index_of([image, app()]))
    assert lab.copy(platforms=(WINDOWS,)).digest == image.digest
    assert lab.copy(platforms=(WINDOWS,)).skipped


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_a_plan_counts_nothing_and_says_why(lab: Lab, choices: dict[str, Any]) -> None:
    image = windows()
    lab.put(image)
    lab.forget_requests()
    result = lab.plan(**choices)
    (plan,) = result.platforms
    assert (plan.total_hidden, plan.hidden_bytes, plan.efficiency, plan.secrets) == (0, 0, 1.0, 0)
    assert (plan.layers_before, plan.layers_after, plan.base_layers) == (3, 3, 3)
    assert plan.compressed_after == plan.compressed_before
    assert {layer.role for layer in plan.layers} == {LayerRole.BASE}
    assert {(layer.hidden_bytes, layer.entries) for layer in plan.layers} == {(None, None)}
    assert (plan.largest_hidden, plan.hidden_folders, plan.suspects) == ((), (), ())
    assert plan.unmerged is not None
    assert "is for windows" in plan.unmerged
    (warning,) = result.warnings
    assert plan.unmerged in warning
    assert [mode.mode for mode in plan.modes if mode.recommended] == [Mode.COPY]
    assert all(not fetched(lab.old, layer.digest) for layer in image.layers)


@pytest.mark.parametrize("system", ["windows", None], ids=["its config", "only its index"])
def test_a_plan_of_an_exact_copy_counts_nothing_either(lab: Lab, system: str | None) -> None:
    lab.put(index_of([windows(system=system)]))
    (plan,) = lab.plan(mode=Mode.COPY).platforms
    assert plan.total_hidden == 0
    assert plan.unmerged is not None


@pytest.mark.parametrize("gate", ["hidden>0", "efficiency<1", "secrets>0"])
def test_no_gate_counts_hidden_bytes_of_them(lab: Lab, gate: str) -> None:
    lab.put(windows())
    (plan,) = lab.plan().platforms
    assert not parse_threshold(gate, parse_size).is_passed_by(plan)


def test_what_a_plan_prints(lab: Lab, squashproxy: InProcess, tmp_path: Path) -> None:
    lab.put(windows())
    page = tmp_path / "plan.html"
    source = f"{lab.old.host}/app:1"
    outcome = squashproxy("plan", "--fail-over", "hidden>0", "--html", str(page), source)
    assert outcome.code == 0
    assert "windows/amd64: 3 layers -> 3, 3 kept as base (layers for windows are never merged)" in (
        outcome.out
    )
    assert "efficiency  not counted" in outcome.out
    assert "only the layers of Linux images can be merged" in outcome.err
    assert "Nothing of it is counted" in page.read_text()


def test_a_plan_of_a_mixed_index_counts_the_others(lab: Lab) -> None:
    lab.put(index_of([windows(), app()]))
    first, second = lab.plan(base="none").platforms
    assert (first.total_hidden, first.unmerged is None) == (0, False)
    assert second.total_hidden > 0
    assert second.unmerged is None


@pytest.mark.parametrize("two", KINDS)
@pytest.mark.parametrize("one", KINDS)
def test_from_every_kind_of_place_to_every_kind(one: str, two: str, tmp_path: Path) -> None:
    image = windows(family=Family.DOCKER)
    with open_places(tmp_path, one, two) as (old, new):
        old.put(image)
        result = copy(old, new, base="none", verify=True)
        (copied,) = result.platforms
        assert copied.layers_after == 3
        assert any("is for windows" in warning for warning in result.warnings)
        source = new.source("new:1")
        config = json.loads(source.read_manifest(source.find_digest()).data)["config"]
        assert config["digest"] == image.config.digest
        assert copy(old, new, base="none").skipped


class TestVerify:
    """There is no tree to compare, so each layer is compared by itself."""

    def test_the_same_layers_are_the_same(self, lab: Lab, squashproxy: InProcess) -> None:
        lab.put(windows())
        lab.copy()
        outcome = squashproxy("verify", *self.names(lab))
        assert outcome.code == 0
        assert "the same layers; 3 layers compared one by one" in outcome.out

    def test_a_lost_delta_is_a_difference(self, lab: Lab, squashproxy: InProcess) -> None:
        """As an earlier version, or crane flatten, loses it: the merged trees are the same."""
        image = windows()
        lab.put(image)
        flat = stating(app(), os="windows")
        flat.push(lab.new, "app", "1")
        outcome = squashproxy("verify", "--json", *self.names(lab))
        assert outcome.code == 4
        (found,) = json.loads(outcome.out)["platforms"]
        kinds = {difference["kind"] for difference in found["differences"]}
        assert kinds == {"layers"}
        assert found["differences_count"] == 4
        assert found["layers"] == 4

    def test_the_squashed_form_of_another_tool_is_not_the_same(
        self, lab: Lab, squashproxy: InProcess
    ) -> None:
        builder = ImageBuilder(platform=WINDOWS)
        for each in LAYERS[:2]:
            builder.layer(each)
        lab.put(builder)
        merged = ImageBuilder(platform=WINDOWS).layer(OS, Packing.ZSTD)
        merged.push(lab.new, "app", "1")
        outcome = squashproxy("verify", *self.names(lab))
        assert outcome.code == 4
        assert "A: 2 layers, B: 1 layer" in outcome.out

    def test_compression_does_not_matter(self, lab: Lab, squashproxy: InProcess) -> None:
        for registry, packing in ((lab.old, Packing.GZIP), (lab.new, Packing.ZSTD)):
            ImageBuilder(platform=Platform("freebsd", "amd64")).layer(OS, packing).push(
                registry, "app", "1"
            )
        assert squashproxy("verify", *self.names(lab)).code == 0

    def test_one_platform_of_a_mixed_index(self, lab: Lab, squashproxy: InProcess) -> None:
        index: BuiltIndex = index_of([windows(), app()])
        lab.put(index)
        lab.copy(base="none")
        outcome = squashproxy("verify", "--platform", "windows/amd64", *self.names(lab))
        assert outcome.code == 0
        assert squashproxy("verify", *self.names(lab)).code == 0

    @staticmethod
    def names(lab: Lab) -> tuple[str, str]:
        return f"{lab.old.host}/app:1", f"{lab.new.host}/app:1"


@pytest.fixture
def squashproxy(capsys: pytest.CaptureFixture[str]) -> InProcess:
    """The command line, in this process."""
    return InProcess(capsys)
