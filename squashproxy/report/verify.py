"""The report of a comparison, for people."""

from __future__ import annotations

from itertools import groupby

from squashproxy.report.screen import Screen
from squashproxy.report.sizes import count_text
from squashproxy.verify.results import (
    Difference,
    DifferenceKind,
    LayersVerify,
    PlatformVerify,
    VerifyResult,
)

_SHOWN = 50
_TITLES: dict[DifferenceKind, str] = {
    "platform": "not the same platforms",
    "layers": "other layers",
    "missing": "only in A",
    "extra": "only in B",
    "type": "another type of file",
    "content": "other content",
    "target": "symlinks to somewhere else",
    "device": "other devices",
    "mode": "another mode",
    "owner": "another owner",
    "xattrs": "other extended attributes",
    "links": "other hard links",
    "mtime": "another time of modification",
}
"""The most important kind first."""
_ORDER = list(_TITLES)


def show_verification(screen: Screen, result: VerifyResult) -> None:
    """Write the verdict for each platform, then its differences by kind, the first 50."""
    screen.line(f"A {result.a}", "bold")
    screen.line(f"B {result.b}", "bold")
    for platform in result.platforms:
        screen.line()
        screen.line(verdict(platform), "bold red" if platform.differences else "bold green")
        show_differences(screen, platform.differences)
    screen.line()
    warnings = ""
    if result.warnings:
        warnings = f"; {count_text(len(result.warnings), 'warning')} on standard error"
    screen.line(f"{result.seconds:.1f} s{warnings}")


def verdict(platform: PlatformVerify) -> str:
    """One line on a platform's two images."""
    paths = count_text(platform.paths, "path")
    if isinstance(platform, LayersVerify):
        paths = count_text(platform.layers, "layer")
    if platform.differences:
        count = count_text(platform.differences_count, "difference")
        return f"{platform.platform}: {count} ({paths} compared)"
    if isinstance(platform, LayersVerify):
        return (
            f"{platform.platform}: the same layers; {paths} compared one by one, as unpacked, "
            "since only those of Linux images are merged"
        )
    return (
        f"{platform.platform}: the same tree; {paths} compared by type, mode, owner, "
        "time, attributes, links and content"
    )


def show_differences(screen: Screen, differences: tuple[Difference, ...]) -> None:
    """Write the first 50 differences, those of a kind together, and how many there are more."""
    ordered = sorted(differences, key=lambda difference: _ORDER.index(difference.kind))
    for kind, group in groupby(ordered[:_SHOWN], key=lambda difference: difference.kind):
        count = sum(1 for difference in ordered if difference.kind == kind)
        screen.line(f"{_TITLES[kind]}: {count:,}")
        for difference in group:
            screen.line(f"  {_line(difference)}")
    if len(ordered) > _SHOWN:
        more = count_text(len(ordered) - _SHOWN, "more difference")
        screen.line(f"and {more}; the JSON report lists all")


def _line(difference: Difference) -> str:
    if difference.kind in ("platform", "layers"):
        return f"A: {difference.a}, B: {difference.b}"
    path = f"/{difference.path}"
    if difference.kind in ("missing", "extra"):
        what = difference.a if difference.kind == "missing" else difference.b
        return f"{path} ({what})"
    return f"{path}: {difference.a} in A, {difference.b} in B"
