"""Bench: all tools on all images, between two registries of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from squashproxy.oci.manifest import ImageManifest, parse_manifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from tests.bench.images import REPOSITORY, BenchImage, put
from tests.bench.measure import Run, measure, middle
from tests.bench.results import Row
from tests.bench.tools import KEPT, PROGRAM, Route, Tool, forget_blobs
from tests.real.registries import RealRegistry

_SLOW_RUNS = 1
"""A tool that takes minutes for an image is not asked again."""


@dataclass(slots=True)
class Bench:
    """`figures` collects what stands beside the table, by name."""

    source: RealRegistry
    target: RealRegistry
    tools: Sequence[Tool]
    runs: int
    scale: float
    figures: dict[str, float] = field(default_factory=dict)

    def iter_rows(self, image: BenchImage) -> Iterator[Row]:
        """All tools on one image, in turn, several times."""
        put(image, self.source.host, self.scale)
        route = Route(self.source.host, self.target.host, image.name)
        tools = [
            tool
            for tool in self.tools
            if (tool.is_quick or not image.is_slow)
            and (image.compares_options or not tool.has_options)
        ]
        runs: dict[str, list[Run]] = {tool.name: [] for tool in tools}
        results: dict[str, int] = {}
        for turn in range(min(self.runs, image.most_runs)):
            for tool in tools:
                if tool.is_quick or turn < _SLOW_RUNS:
                    runs[tool.name].append(self._once(tool, image, route))
                    if tool.is_copy:
                        results[tool.name] = _compressed(route.target, route.tag)
        for tool in tools:
            done = middle(runs[tool.name])
            if tool.name == PROGRAM:
                self._note(image.name, route, json.loads(done.output)["platforms"][0])
            yield Row(
                image.name,
                image.about,
                tool.name,
                len(runs[tool.name]),
                done.wall,
                done.cpu,
                done.peak,
                done.down,
                done.up,
                results.get(tool.name),
            )

    def _once(self, tool: Tool, image: BenchImage, route: Route) -> Run:
        shutil.rmtree(self.target.storage, ignore_errors=True)
        forget_blobs()
        if image.has_base and tool.is_copy:
            _put_base(route)
        os.sync()
        run = measure(tool.command(route), self.source.log)
        sys.stderr.write(f"{image.name}, {tool.name}: {run.wall:.2f} s\n")
        return run

    def _note(self, name: str, route: Route, copied: dict[str, Any]) -> None:
        """How large the new layer is against its share of the source, and how it came about."""
        program = str(Path(sys.executable).with_name(PROGRAM))
        command = [program, "plan", "--json", "--base", str(KEPT), route.ends[0]]
        plan = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        [planned] = json.loads(plan.stdout)["platforms"]
        base = sum(layer["compressed"] for layer in planned["layers"][:KEPT])
        share = (copied["compressed_after"] - base) / (planned["estimated_after"] - base)
        self.figures[f"{name}: new layer, in units of its share of the source"] = share
        for key in ("unpacked_before", "spliced_bytes", "reencoded_bytes", "fallbacks"):
            self.figures[f"{name}: {key.replace('_', ' ')}"] = copied[key]


def _put_base(route: Route) -> None:
    """Have the base's blob in the target's repository, as after an earlier promotion."""
    with RegistryClient() as client:
        source = client.repository(Repository(route.source, REPOSITORY))
        target = client.repository(Repository(route.target, REPOSITORY))
        for blob in _image(client, route.source, route.tag).layers[:KEPT]:
            target.upload_blob(source.iter_blob(blob), blob.digest)


def _compressed(host: str, tag: str) -> int:
    """The size of an image's layers in bytes."""
    with RegistryClient() as client:
        return sum(layer.size for layer in _image(client, host, tag).layers)


def _image(client: RegistryClient, host: str, tag: str) -> ImageManifest:
    raw = client.repository(Repository(host, REPOSITORY)).get_manifest(tag)
    image = parse_manifest(raw, tag)
    assert isinstance(image, ImageManifest), "the benchmark's images are no indexes"
    return image
