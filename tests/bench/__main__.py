"""The benchmark: squashproxy beside its peers, image by image, in one run.

    tests/bench/run [--runs N] [--images NAME ...] [--scale S] [--into FOLDER] [--readme]

Prints the table, and writes results.json, results.md and chart.svg, beside this file unless told
otherwise; with --readme also the table of the README. Images that are not named keep the results
that results.json has, if it is of this machine and scale. A scale below 1 makes the images smaller,
for trying out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.chart import draw
from tests.bench.images import IMAGES
from tests.bench.readme import write_table
from tests.bench.results import Results, Row, to_markdown
from tests.bench.tools import PROGRAM, find_tools, start_seconds
from tests.real.real_image import cache_folder
from tests.real.registries import run_registry

HERE = Path(__file__).parent


def main() -> None:
    """The command line."""
    arguments = _parser().parse_args()
    cache = cache_folder() / "bench"
    tools, missing = find_tools(cache)
    with (
        run_registry(cache / f"source-{arguments.scale:g}", logs_access=True) as source,
        run_registry(cache / "target") as target,
    ):
        bench = Bench(source, target, tools, arguments.runs, arguments.scale)
        rows: list[Row] = []
        for image in IMAGES:
            if image.name in arguments.images:
                rows += bench.iter_rows(image)
    figures = {**bench.figures, **_single_figures(arguments.scale)}
    found = Results(_machine(), arguments.scale, rows, figures, missing)
    results = _with_others(found, arguments.into)
    _write(results, arguments.into)
    if arguments.readme:
        write_table("benchmark", f"\n{to_markdown(results)}\n")
    sys.stdout.write(to_markdown(results))


def _parser() -> argparse.ArgumentParser:
    names = [image.name for image in IMAGES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3, help="of every quick tool; default 3")
    parser.add_argument("--images", nargs="+", choices=names, default=names)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    return parser


def _single_figures(scale: float) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.merge", str(round(1_000_000 * scale))]
    merging = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return {
        "entries a second through scan and merge": json.loads(merging.stdout)["entries_per_second"],
        f"{PROGRAM} --version, milliseconds": 1000 * start_seconds("--version"),
    }


def _machine() -> str:
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {python}"


def _with_others(results: Results, folder: Path) -> Results:
    try:
        document = json.loads((folder / "results.json").read_text())
    except FileNotFoundError:
        return results
    rows = [Row(**row) for row in document.pop("rows")]
    names = [image.name for image in IMAGES]
    known = [row for row in rows if row.image in names]
    return results.with_others_of(Results(rows=known, **document), names)


def _write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(asdict(results), indent=1) + "\n")
    (folder / "results.md").write_text(to_markdown(results))
    draw(results, folder / "chart.svg")


if __name__ == "__main__":
    main()
