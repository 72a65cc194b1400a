"""The chart: seconds and peak memory of every tool, image by image."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tests.bench.results import Results

_COLOURS = ("#1b6ca8", "#e07b39", "#8a8d91", "#5aa469", "#b03a48", "#7a5195")


def draw(results: Results, file: Path) -> None:
    """Write the chart as SVG."""
    images = list(dict.fromkeys(row.image for row in results.rows))
    tools = list(dict.fromkeys(row.tool for row in results.rows))
    figure = Figure(figsize=(9, 1 + 0.9 * len(images)), layout="constrained")
    seconds, memory = figure.subplots(1, 2, sharey=True)
    height = 0.8 / len(tools)
    for number, tool in enumerate(tools):
        rows = [results.find(image, tool) for image in images]
        places = [at + (number + 0.5) * height - 0.4 for at, row in enumerate(rows) if row]
        found = [row for row in rows if row]
        colour = _COLOURS[number % len(_COLOURS)]
        bars = seconds.barh(places, [row.wall for row in found], height, color=colour, label=tool)
        seconds.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
        bars = memory.barh(places, [row.peak / 1e6 for row in found], height, color=colour)
        memory.bar_label(bars, fmt="%.0f", padding=2, fontsize=7)
    seconds.set_yticks(range(len(images)), images)
    seconds.invert_yaxis()
    seconds.set_xscale("log")
    seconds.set_xlabel("seconds (logarithmic)")
    memory.set_xlabel("peak MB")
    seconds.margins(x=0.15)
    memory.margins(x=0.15)
    figure.legend(loc="outside upper center", ncols=len(tools), fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None})
