"""The table of hostile images: how each verb ends, and what that costs.

    python -m tests.bench.hostile [--image NAME] [--verb plan] [--long] [--summary]

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
from collections.abc import Callable, Sequence
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


def summarize(name: str, found: Sequence[Measured]) -> None:
    """Print one line for all verbs: the most that any of them takes, and the first refusal."""
    codes = " ".join(str(each.code) for each in found)
    refused = [shortened(each.sentence) for each in found if each.code]
    seconds = max(each.seconds for each in found)
    work = -(-max(each.inflated for each in found) // 1024)
    mib = max(each.mib for each in found)
    write_row(name, codes, f"{seconds:.1f}", mib, f"{work:,}", refused[0] if refused else "-")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    every = {**IMAGES, **MANY}
    parser.add_argument("--image", choices=every, action="append", help="by default all small ones")
    parser.add_argument("--verb", choices=VERBS, action="append", help="by default all")
    parser.add_argument("--long", action="store_true", help="also images that take minutes to make")
    parser.add_argument("--summary", action="store_true", help="one line for each image")
    arguments = parser.parse_args()
    verbs = arguments.verb or VERBS
    head = ("processor, s", "peak, MiB", "work, KiB", "it says")
    rule = ("--:", "--:", "--:", "---")
    if arguments.summary:
        write_row("image", f"exit codes: {', '.join(verbs)}", *head)
        write_row("---", "---", *rule)
    else:
        write_row("image", "verb", "exit code", *head)
        write_row("---", "---", "--:", *rule)
    for name in arguments.image or (every if arguments.long else IMAGES):
        with FakeRegistry() as registry:
            every[name](registry)
            if arguments.summary:
                summarize(name, [measure(registry, verb) for verb in verbs])
                continue
            for verb in verbs:
                show(name, verb, measure(registry, verb))


if __name__ == "__main__":
    main()
