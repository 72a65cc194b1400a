"""The tools that are compared: how each is found, and its command for one image."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median

from tests.bench.images import REPOSITORY
from tests.bench.results import THROUGH_DAEMON

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
PROGRAM = "squashproxy"
KEPT = 1
"""Every image keeps its first layer as the base."""
_STARTS = 11


_OPTIONS = (
    "--check-diff-ids",
    "--max-layer-size 100M",
    "--mode prune --layer-memory none",
)
"""What is compared on the typical image, beside the usual squash."""


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where; hosts as `127.0.0.1:PORT`."""

    source: str
    target: str
    tag: str

    @property
    def ends(self) -> tuple[str, str]:
        """The two references."""
        return f"{self.source}/{REPOSITORY}:{self.tag}", f"{self.target}/{REPOSITORY}:{self.tag}"


@dataclass(frozen=True, slots=True)
class Tool:
    """One row of the table. `is_quick` says that it may be run on the slow images as well,
    and several times; `is_copy` that something arrives at the target. `has_options`: it is
    squashproxy with other options than usual, and runs on images that compare them.
    """

    name: str
    command: Callable[[Route], Sequence[str]]
    is_quick: bool = True
    is_copy: bool = True
    has_options: bool = False


def find_tools(cache: Path) -> tuple[list[Tool], list[str]]:
    """The tools that are there, and a sentence for each one that is not."""
    tools = [
        Tool(PROGRAM, _squashproxy),
        *(
            Tool(
                f"{PROGRAM} {options}",
                partial(_squashproxy, options=options.split()),
                has_options=True,
            )
            for options in _OPTIONS
        ),
        Tool("floor", _floor, is_copy=False),
    ]
    missing = []
    if shutil.which("skopeo") is None:
        missing.append("skopeo copy: skopeo is not installed")
    else:
        tools.append(Tool("skopeo copy", skopeo_copy))
    crane = find_crane(cache)
    if crane is None:
        missing.append("crane: neither installed nor built, since Go is not here")
    else:
        tools.append(Tool("crane copy", lambda route: _crane_copy(crane, route)))
        tools.append(
            Tool("crane flatten", lambda route: _crane_flatten(crane, route), is_quick=False)
        )
    why_not = _why_no_docker_squash()
    if why_not is None:
        tools.append(Tool(THROUGH_DAEMON, _docker_squash, is_quick=False))
    else:
        missing.append(f"{THROUGH_DAEMON}: {why_not}")
    return tools, missing


def forget_blobs() -> None:
    """Clear what skopeo remembers of where blobs are, and the benchmark's images in docker.

    Either would save a tool work that it has when it sees an image for the first time.
    """
    homes = (Path("/var/lib/containers/cache"), Path.home() / ".local/share/containers/cache")
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)
    if _why_no_docker_squash() is None:
        listed = ["docker", "images", "--filter", f"reference=127.0.0.1:*/{REPOSITORY}"]
        listed += ["--format", "{{.Repository}}:{{.Tag}}"]
        names = subprocess.run(listed, check=True, stdout=subprocess.PIPE, text=True).stdout
        for name in names.split():
            subprocess.run(["docker", "rmi", name], check=True, stdout=subprocess.DEVNULL)


def start_seconds(*arguments: str) -> float:
    """The median time that squashproxy takes for `arguments` that do nothing."""
    program = str(Path(sys.executable).with_name(PROGRAM))
    taken = []
    for _ in range(_STARTS):
        begun = time.perf_counter()
        subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return median(taken)


def squashproxy_copy(route: Route, options: Sequence[str]) -> Sequence[str]:
    """squashproxy's command for a copy."""
    program = str(Path(sys.executable).with_name(PROGRAM))
    return [program, "copy", "--json", "--force", *options, *route.ends]


def _squashproxy(route: Route, options: Sequence[str] = ()) -> Sequence[str]:
    return squashproxy_copy(route, ["--base", str(KEPT), *options])


def skopeo_copy(route: Route) -> Sequence[str]:
    """skopeo's command for a plain copy."""
    source, target = (f"docker://{end}" for end in route.ends)
    insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    return ["skopeo", "--insecure-policy", "copy", "--quiet", *insecure, source, target]


def _floor(route: Route) -> Sequence[str]:
    arguments = [route.source, REPOSITORY, route.tag, str(KEPT)]
    return [sys.executable, "-m", "tests.bench.floor", *arguments]


def _crane_copy(crane: str, route: Route) -> Sequence[str]:
    return [crane, "copy", "--insecure", *route.ends]


def _crane_flatten(crane: str, route: Route) -> Sequence[str]:
    source, target = route.ends
    return [crane, "flatten", "--insecure", "--tag", target, source]


def _docker_squash(route: Route) -> Sequence[str]:
    source, target = route.ends
    program = str(Path(sys.executable).with_name(THROUGH_DAEMON))
    script = (
        f"docker pull -q {source} && above=$(($(docker history -q {source} | wc -l) - {KEPT})) && "
        f"{program} --from-layer $above -t {target} {source} && docker push -q {target}"
    )
    return ["sh", "-c", script]


def find_crane(cache: Path) -> str | None:
    """crane as installed, or built once from the Go module proxy."""
    built = cache / "bin" / "crane"
    installed = shutil.which("crane")
    if installed or built.exists():
        return installed or str(built)
    if shutil.which("go") is None:
        return None
    environment = {**os.environ, "GOBIN": str(built.parent), "GOFLAGS": "-mod=mod"}
    subprocess.run(["go", "install", CRANE], env=environment, check=True)
    return str(built)


@cache
def _why_no_docker_squash() -> str | None:
    if shutil.which("docker") is None:
        return "docker is not installed"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "no docker daemon runs"
    if not Path(sys.executable).with_name(THROUGH_DAEMON).exists():
        return "not installed; tests/bench/run does that where a docker daemon runs"
    return None
