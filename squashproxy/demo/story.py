"""The demo: plan, copy, verify and copy again, between two registries in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from squashproxy.analysis.plan import plan_image
from squashproxy.demo.image import DemoLayer, build_layers
from squashproxy.location import Location
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import CopyResult, PlanResult
from squashproxy.progress import Observer
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.report.copy import show_copy
from squashproxy.report.plan import show_plan
from squashproxy.report.screen import Screen
from squashproxy.report.sizes import share_text, size_text
from squashproxy.report.verify import show_differences, verdict
from squashproxy.testing import FakeRegistry, ImageBuilder
from squashproxy.transports.base import ImageSource
from squashproxy.transports.registry import RegistrySink, RegistrySource
from squashproxy.verify.results import VerifyResult
from squashproxy.verify.verification import verify_images

_APP = "demo/app"
_BASE = "demo/base"
_TAG = "1"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The results of the demo's steps; `seconds` is the time of the whole demo."""

    plan: PlanResult
    copy: CopyResult
    verify: VerifyResult
    second_copy: CopyResult
    seconds: float


def run_demo(screen: Screen | None, observer: Observer, jobs: int) -> DemoResult:
    """Run the demo, and describe its steps on `screen` if there is one."""
    begun = time.monotonic()
    narrator = _Narrator(screen)
    narrator.step("Two registries on loopback; an image from the files of this machine's Python")
    layers = build_layers()
    with FakeRegistry() as old, FakeRegistry() as new, RegistryClient() as client:
        _push(old, layers, _APP)
        _push(new, layers[:1], _BASE)
        narrator.layers(layers)
        source = RegistrySource(client, _reference(old, _APP))
        sink = RegistrySink(client, _reference(new, _APP))
        options = CopyOptions(base_repos=(Repository(new.host, _BASE),), jobs=jobs)

        def open_source(location: Location) -> ImageSource:
            assert isinstance(location, Reference), "the demo's images are in registries"
            return RegistrySource(client, location)

        def copy() -> CopyResult:
            return copy_image(
                source,
                sink,
                options,
                open_source=open_source,
                observer=observer,
                clock=time.monotonic,
            )

        narrator.step("Plan: what would a copy do?")
        plan = plan_image(source, sink, options, open_source=open_source, observer=observer)
        narrator.plan(plan)
        narrator.step("Copy: squash on the way from one registry to the other")
        first = copy()
        narrator.copied(first)
        narrator.step("Proof: unpack both images with Python's tarfile and compare")
        proof = verify_images(
            source,
            RegistrySource(client, _reference(new, _APP)),
            observer=observer,
            clock=time.monotonic,
        )
        narrator.compared(proof)
        narrator.step("Once more: the target is up to date")
        second = copy()
        narrator.copied(second)
    result = DemoResult(plan, first, proof, second, round(time.monotonic() - begun, 3))
    narrator.ended(result)
    return result


def _reference(registry: FakeRegistry, path: str) -> Reference:
    return Reference(Repository(registry.host, path), _TAG)


def _push(registry: FakeRegistry, layers: tuple[DemoLayer, ...], path: str) -> None:
    image = ImageBuilder()
    for layer in layers:
        image.layer(layer.tar, history=layer.created_by)
    image.push(registry, path, _TAG)


class _Narrator:
    """Writes the steps to a screen, if there is one."""

    def __init__(self, screen: Screen | None) -> None:
        self._screen = screen
        self._number = 0

    def step(self, sentence: str) -> None:
        self._number += 1
        if self._screen:
            if self._number > 1:
                self._screen.line()
            self._screen.line(f"{self._number}. {sentence}", "bold cyan")

    def layers(self, layers: tuple[DemoLayer, ...]) -> None:
        if self._screen:
            for layer in layers:
                self._screen.line(f"   {size_text(len(layer.tar)):>8}  {layer.created_by}")

    def plan(self, plan: PlanResult) -> None:
        if self._screen:
            show_plan(self._screen, plan)

    def copied(self, result: CopyResult) -> None:
        if self._screen:
            show_copy(self._screen, result)

    def compared(self, proof: VerifyResult) -> None:
        if self._screen is None:
            return
        for platform in proof.platforms:
            self._screen.line(verdict(platform), "bold green" if proof.identical else "bold red")
            show_differences(self._screen, platform.differences)

    def ended(self, result: DemoResult) -> None:
        if self._screen is None:
            return
        is_proven = result.verify.identical
        (platform,) = result.copy.platforms
        before, after = platform.compressed_before, platform.compressed_after
        self._screen.line()
        self._screen.line(
            f"In {result.seconds:.1f} s, {size_text(before)} became {size_text(after)} "
            f"({share_text(before - after, before)} less)"
            + (" with the same files inside." if is_proven else ", and the trees differ."),
            "bold green" if is_proven else "bold red",
        )
