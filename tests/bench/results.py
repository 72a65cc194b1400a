"""Results as they are kept, and the table that people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

PEER = "skopeo copy"
THROUGH_DAEMON = "docker-squash"
_OF_IMAGE = ": "


@dataclass(frozen=True, slots=True)
class Row:
    """One tool on one image, medians; sizes in bytes, `result` None where the tool makes none."""

    image: str
    about: str
    tool: str
    runs: int
    wall: float
    cpu: float
    peak: int
    down: int
    up: int
    result: int | None


@dataclass(frozen=True, slots=True)
class Results:
    """All rows of one benchmark; `figures` are by name, `missing` are sentences."""

    machine: str
    scale: float
    rows: Sequence[Row]
    figures: Mapping[str, float]
    missing: Sequence[str]

    def with_others_of(self, earlier: Results, order: Sequence[str]) -> Results:
        """These results, and those of an earlier run for images that this one did not measure.

        Images are in the given order. Ratios compare tools within one image, so they stay those of
        one run; results of another machine or scale are left out.
        """
        if (earlier.machine, earlier.scale) != (self.machine, self.scale):
            return self
        measured = {row.image for row in self.rows}
        others = [row for row in earlier.rows if row.image not in measured]
        rows = sorted([*self.rows, *others], key=lambda row: order.index(row.image))
        kept = {
            name: value
            for name, value in earlier.figures.items()
            if _OF_IMAGE in name and name.split(_OF_IMAGE)[0] not in measured
        }
        figures = {**kept, **self.figures}
        by_image = sorted(
            (name for name in figures if _OF_IMAGE in name),
            key=lambda name: order.index(name.split(_OF_IMAGE)[0]),
        )
        single = [name for name in figures if _OF_IMAGE not in name]
        return replace(self, rows=rows, figures={each: figures[each] for each in by_image + single})

    def find(self, image: str, tool: str) -> Row | None:
        """One tool's row for one image."""
        return next((row for row in self.rows if (row.image, row.tool) == (image, tool)), None)

    def ratio(self, image: str, tool: str, other: str) -> float | None:
        """The wall time of one tool in units of the other's."""
        row, peer = self.find(image, tool), self.find(image, other)
        return None if row is None or peer is None else row.wall / peer.wall


_MOVED = "down MB | up MB | result MB"


def to_markdown(results: Results) -> str:
    """The tables, the single figures, and what was not there."""
    lines = [
        f"{results.machine}; both registries on the same machine; medians.",
        "",
        f"| image | tool | seconds | times {PEER} | CPU s | peak MB | {_MOVED} |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    shown = ""
    for row in results.rows:
        image = "" if row.image == shown else f"**{row.image}**: {row.about}"
        shown = row.image
        lines.append(_line(results, row, image))
    lines += ["", *_iter_figures_by_image(results.figures), ""]
    lines += [
        f"- {name}: {_figure(value)}"
        for name, value in results.figures.items()
        if _OF_IMAGE not in name
    ]
    if any(row.tool == THROUGH_DAEMON for row in results.rows):
        lines.append(f"- {THROUGH_DAEMON}: with pull and push; CPU, memory without docker's")
    lines += [f"- not measured: {sentence}" for sentence in results.missing]
    return "\n".join(lines) + "\n"


def _iter_figures_by_image(figures: Mapping[str, float]) -> Iterator[str]:
    """Those that are named `image: figure`, an image a line."""
    parted = {name: tuple(name.split(_OF_IMAGE)) for name in figures if _OF_IMAGE in name}
    images = dict.fromkeys(image for image, _ in parted.values())
    columns = dict.fromkeys(column for _, column in parted.values())
    if not parted:
        return
    yield "| " + " | ".join(["squashproxy", *columns]) + " |"
    yield "|---|" + "--:|" * len(columns)
    for image in images:
        values = (figures.get(f"{image}{_OF_IMAGE}{column}") for column in columns)
        cells = ("" if value is None else _figure(value) for value in values)
        yield "| " + " | ".join([image, *cells]) + " |"


def _line(results: Results, row: Row, image: str) -> str:
    ratio = results.ratio(row.image, row.tool, PEER)
    cells = (
        image,
        row.tool,
        f"{row.wall:.2f}",
        "" if ratio is None else f"{ratio:.2f}",
        f"{row.cpu:.2f}",
        _megabytes(row.peak),
        _megabytes(row.down),
        _megabytes(row.up),
        "" if row.result is None else _megabytes(row.result),
    )
    return "| " + " | ".join(cells) + " |"


def _figure(value: float) -> str:
    return f"{value:,.3f}" if value < 10 and value % 1 else f"{value:,.0f}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}" if size < 10e6 else f"{size / 1e6:,.0f}"
