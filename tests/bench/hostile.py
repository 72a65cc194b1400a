"""The table of hostile images: how each verb ends, and what that costs.

    python -m tests.bench.hostile [--image NAME] [--verb plan] [--long]

Each line is a process of its own, so that its peak of memory is its own. The kernel tells it:
that of getrusage begins with the memory of the process that started it. `work` is how many bytes
of layers were inflated; processor seconds begin when the modules are loaded.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.testing import FakeRegistry
from tests.bench.outages import write_row
from tests.pipeline.hostile_images import DEPTHS, LARGE, LEGAL, MANY, REFUSED

VERBS = ("copy", "copy --verify", "plan", "prune", "verify")
IMAGES: dict[str, Callable[[FakeRegistry], None]] = {
    **DEPTHS,
    **{name: put for name, (put, _) in REFUSED.items() if not name.startswith("a path of ")},
    **LEGAL,
    **LARGE,
}
_SECONDS = 900
_SHOWN = 110
_PLACE = re.compile(r"^layer \d+ of \d+ \(\S+\) of \S+: ")
_REPEATED = re.compile(r"(/a|n|t)\1{5,}")

PROGRAM = """
import json, sys, time
import squashproxy.pipeline.transfer.source_layer as copied, squashproxy.verify.layers as verified
from squashproxy.cli.main import run

inflated = 0

def counted(iterate):
    def iter_counted(*arguments, **options):
        global inflated
        for chunk in iterate(*arguments, **options):
            inflated += len(chunk.content)
            yield chunk
    return iter_counted

for module in (copied, verified):
    module.iter_decompressed = counted(module.iter_decompressed)
host, new, verb = sys.argv[1:]
source, target = f"{host}/app:1", f"{new}/app:1"
words = {
    "copy": ["copy", "--base", "1", source, target],
    "copy --verify": ["copy", "--verify", "--base", "1", source, target],
    "plan": ["plan", "--layer-memory", "none", source],
    "prune": ["copy", "--mode", "prune", "--layer-memory", "none", source, target],
    "verify": ["verify", source, source],
}[verb]
begun = time.process_time()
code = run([*words, "-q"])
seconds = time.process_time() - begun
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))
print(json.dumps({"code": code, "seconds": seconds, "mib": peak, "inflated": inflated}))
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """How a verb ended: `seconds` of the processor, `mib` of memory at most, bytes inflated."""

    code: int
    seconds: float
    mib: int
    inflated: int
    sentence: str


def measure(registry: FakeRegistry, verb: str) -> Measured:
    """Let a verb meet the image `app:1` of a registry, in a process of its own."""
    with FakeRegistry() as new:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, registry.host, new.host, verb],
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return Measured(**found, sentence=done.stderr.strip())


def shortened(sentence: str) -> str:
    """The beginning of a sentence, without the layer and the image, which are the same in all."""
    fact = _PLACE.sub("", sentence.removeprefix("squashproxy: "))
    return _REPEATED.sub(r"\1\1…", fact)[:_SHOWN]


def show(name: str, verb: str, found: Measured) -> None:
    """Print a line of the table."""
    said = shortened(found.sentence) if found.code else "-"
    work = f"{-(-found.inflated // 1024):,}"
    write_row(name, verb, found.code, f"{found.seconds:.1f}", found.mib, work, said)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    every = {**IMAGES, **MANY}
    parser.add_argument("--image", choices=every, action="append", help="by default all small ones")
    parser.add_argument("--verb", choices=VERBS, action="append", help="by default all")
    parser.add_argument("--long", action="store_true", help="also images that take minutes to make")
    arguments = parser.parse_args()
    write_row("image", "verb", "exit code", "processor, s", "peak, MiB", "work, KiB", "it says")
    write_row("---", "---", "--:", "--:", "--:", "--:", "---")
    for name in arguments.image or (every if arguments.long else IMAGES):
        with FakeRegistry() as registry:
            every[name](registry)
            for verb in arguments.verb or VERBS:
                show(name, verb, measure(registry, verb))


if __name__ == "__main__":
    main()
