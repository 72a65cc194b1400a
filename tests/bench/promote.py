"""Promoting many small images beside `skopeo sync` and `regsync`, and planning a large repository.

    tests/bench/run promote [--tags N] [--runs N] [--planned N] [--into FOLDER] [--readme]

It prints a table and writes it into FOLDER, which is this one otherwise; with --readme also into
the README. Needs docker-registry, skopeo and Go. Peers take turns between the same registries.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.bench.measure import Run, measure
from tests.bench.readme import write_table
from tests.real.programs import find_program
from tests.real.registries import RealRegistry, run_registry

HERE = Path(__file__).parent
REPOSITORIES = 10
PROGRAMS = HERE.parents[1] / ".cache" / "squashproxy-tests" / "bin"
SQUASHPROXY = str(Path(sys.executable).parent / "squashproxy")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that promotes everything into a folder of its own at the target."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of the first run and, as a median, of later ones; requests a tag of a later one."""

    first: float
    later: float
    asked: float


def fill(registry: RealRegistry, tags: int) -> None:
    """Small images of three layers, of which the first is shared by all."""
    with RegistryClient(environ={}) as client, ThreadPoolExecutor(4) as pool:
        for _ in pool.map(partial(_fill_repository, client, registry, tags), range(REPOSITORIES)):
            pass


def _fill_repository(client: RegistryClient, registry: RealRegistry, tags: int, at: int) -> None:
    repo = client.repository(Repository(registry.host, f"apps/r{at}"))
    for number in range(at, tags, REPOSITORIES):
        builder = ImageBuilder().layer(LayerBuilder().file("base", b"base" * 5000))
        builder.layer(LayerBuilder().file("app", f"{number}".encode() * 500))
        builder.layer(LayerBuilder().file("app", f"new {number}".encode() * 500))
        _push(repo, builder, f"v{number // REPOSITORIES}")


def _push(repo: RemoteRepository, builder: ImageBuilder, tag: str) -> None:
    image = builder.build()
    for digest, data in image.blobs.items():
        if repo.find_blob(digest) is None:
            repo.upload_blob([data], digest)
    repo.put_manifest(image.manifest, tag)


def squashproxy(folder: Path, old: str, new: str) -> Peer:
    """Four images at once, as regsync and skopeo have several transfers."""
    config = folder / "squashproxy.yml"
    config.write_text(
        f"state: state\nengine: {{jobs: 4}}\npromote:\n  - name: apps\n    from: {old}/apps/*\n"
        f"    to: {new}/squashproxy/{{repo}}\n"
    )
    return Peer("squashproxy", [SQUASHPROXY, "promote", "-q", str(config)])


def skopeo(folder: Path, old: str, new: str) -> Peer:
    """All tags of all repositories, as it does where a list is empty."""
    config = folder / "skopeo.yml"
    images: dict[str, list[str]] = {f"apps/r{number}": [] for number in range(REPOSITORIES)}
    config.write_text(json.dumps({old: {"images": images, "tls-verify": False}}))
    command = ["skopeo", "sync", "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false"]
    return Peer("skopeo sync", [*command, str(config), f"{new}/skopeo"])


def regsync(folder: Path, old: str, new: str) -> Peer:
    """Every repository by itself, with the bounds that it has by default."""
    config = folder / "regsync.yml"
    sync = [
        {
            "source": f"{old}/apps/r{number}",
            "target": f"{new}/regsync/r{number}",
            "type": "repository",
        }
        for number in range(REPOSITORIES)
    ]
    creds = [{"registry": host, "tls": "disabled"} for host in (old, new)]
    config.write_text(json.dumps({"version": 1, "creds": creds, "sync": sync}))
    program = str(find_program("regsync", PROGRAMS))
    return Peer("regsync", [program, "once", "-c", str(config)])


PEERS: Sequence[Callable[[Path, str, str], Peer]] = (squashproxy, skopeo, regsync)


def promote(tags: int, runs: int) -> dict[str, Times]:
    """What each program takes for so many tags."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        old = stack.enter_context(run_registry(folder / "old", logs_access=True))
        new = stack.enter_context(run_registry(folder / "new", logs_access=True))
        fill(old, tags)
        peers = [make(folder, old.host, new.host) for make in PEERS]
        first = {peer.name: measure(peer.command, old.log).wall for peer in peers}
        later: dict[str, list[float]] = {peer.name: [] for peer in peers}
        asked: dict[str, float] = {}
        for _ in range(runs):
            for peer in peers:
                before = _asked(old) + _asked(new)
                later[peer.name].append(measure(peer.command, old.log).wall)
                asked[peer.name] = (_asked(old) + _asked(new) - before) / tags
        return {name: Times(first[name], median(later[name]), asked[name]) for name in first}


def plan(tags: int) -> list[tuple[Run, dict[str, int]]]:
    """Planning the cleanup of one repository, twice: the run and the requests by kind."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        registry = stack.enter_context(run_registry(folder / "registry", logs_access=True))
        _fill_large(registry, tags)
        config = folder / "cleanup.yml"
        config.write_text(
            f"state: state\ncleanup:\n  - name: old\n    repositories: ['{registry.host}/app']\n"
            "    keep: {newest: 100}\n    action: delete\n    max_deletions: 100000\n"
        )
        command = [SQUASHPROXY, "cleanup", "-q", "--plan", str(folder / "plan.json"), str(config)]
        found = []
        for _ in range(2):
            before = registry.log.stat().st_size
            run = measure(command, registry.log)
            found.append((run, _kinds(registry, before)))
        return found


def _fill_large(registry: RealRegistry, tags: int) -> None:
    with RegistryClient(environ={}) as client, ThreadPoolExecutor(4) as pool:
        repo = client.repository(Repository(registry.host, "app"))
        base = LayerBuilder().file("base", b"base" * 5000)

        def push(number: int) -> None:
            fields = {"created": f"{2000 + number % 25}-01-01T00:00:00Z"}
            builder = ImageBuilder(fields=fields, config={"Env": [f"NUMBER={number}"]})
            _push(repo, builder.layer(base), f"v{number}")

        push(0)
        for _ in pool.map(push, range(1, tags)):
            pass


def _kinds(registry: RealRegistry, start: int) -> dict[str, int]:
    text = registry.log.read_bytes()[start:].decode(errors="replace")
    return {
        "GET of manifests": text.count('"GET /v2/app/manifests/'),
        "HEAD of manifests": text.count('"HEAD /v2/app/manifests/'),
        "GET of configs": text.count('"GET /v2/app/blobs/'),
    }


def _asked(registry: RealRegistry) -> int:
    """The requests for manifests and blobs that a registry has logged."""
    text = registry.log.read_text(errors="replace")
    return text.count("/manifests/") + text.count("/blobs/")


def to_markdown(
    few: dict[str, Times],
    many: dict[str, Times],
    planned: list[tuple[Run, dict[str, int]]],
    sizes: tuple[int, int, int],
) -> str:
    """The table of the targets."""
    lines = [
        f"{os.cpu_count()} cores; everything on one machine; medians.",
        "",
        f"| what | {' | '.join(many)} | target |",
        "|---|--:|--:|--:|---|",
        _line(f"first run over {sizes[0]} small images", few, "first", "at most skopeo's"),
        _line(f"run over {sizes[1]:,} unchanged tags", many, "later", "faster than both"),
        _line("the same, requests a tag", many, "asked", "at most 2", ""),
    ]
    for word, (run, kinds) in zip(("first", "second"), planned, strict=True):
        asked = ", ".join(f"{count / sizes[2]:.2f} {kind}" for kind, count in kinds.items())
        what = f"{word} cleanup plan of {sizes[2]:,} tags in one repository"
        lines += [
            f"| {what} | {run.wall:.1f} s |  |  |  |",
            f"| the same, peak memory | {run.peak / 1e6:.0f} MB |  |  | at most 200 MB |",
            f"| the same, requests a manifest | {asked} |  |  | at most 1, cached by digest |",
        ]
    return "\n".join(lines) + "\n"


def _line(what: str, times: dict[str, Times], name: str, target: str, unit: str = " s") -> str:
    found = [f"{getattr(each, name):.2f}{unit}" for each in times.values()]
    return f"| {what} | {' | '.join(found)} | {target} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tags", type=int, default=1000, help="unchanged tags")
    parser.add_argument("--few", type=int, default=100, help="images of a first run")
    parser.add_argument("--planned", type=int, default=10_000, help="tags of a cleanup plan")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    few = promote(arguments.few, 1)
    many = promote(arguments.tags, arguments.runs)
    sizes = (arguments.few, arguments.tags, arguments.planned)
    table = to_markdown(few, many, plan(arguments.planned), sizes)
    (arguments.into / "promote.md").write_text(table)
    if arguments.readme:
        write_table("promote benchmark", table)
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
