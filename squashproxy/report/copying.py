"""The report of a copy, for people."""

from __future__ import annotations

from squashproxy.pipeline.results import CopyResult, PlatformCopy
from squashproxy.report.screen import Screen
from squashproxy.report.sizes import UNIT_NOTE, count_text, share_text, size_text


def show_copy(screen: Screen, result: CopyResult) -> None:
    """Write what the copy did: per platform before and after, what moved, the digest."""
    if result.skipped:
        state = "stays as it is" if result.warnings else "is up to date"
        screen.line(f"Nothing to do: {result.target} {state}.", "bold green")
    else:
        screen.line(f"Copied {result.source}", "bold")
        screen.line(f"    to {result.target}", "bold")
    for platform in result.platforms:
        screen.line()
        _show_platform(screen, platform)
    screen.line()
    if result.spooled_bytes:
        screen.line(
            f"{size_text(result.spooled_bytes)} went through a temporary file: a pipe is read and "
            "written once"
        )
    screen.line(f"digest {result.digest}")
    screen.line(_closing(result))


def _show_platform(screen: Screen, platform: PlatformCopy) -> None:
    table = screen.table(platform.platform, "before", "after", "saved", "")
    table.add_row(
        "layers",
        f"{platform.layers_before:,}",
        f"{platform.layers_after:,}",
        f"{platform.layers_before - platform.layers_after:,}",
    )
    unpacked = "above base, unpacked" if platform.base_layers else "unpacked"
    for label, before, after in (
        ("compressed", platform.compressed_before, platform.compressed_after),
        (unpacked, platform.unpacked_before, platform.unpacked_after),
    ):
        saved = before - after
        table.add_row(
            label,
            size_text(before),
            size_text(after),
            size_text(saved),
            share_text(saved, before),
        )
    screen.show(table)
    for sentence in _sentences(platform):
        screen.line(sentence)


def _sentences(platform: PlatformCopy) -> list[str]:
    base = "no layer kept as base"
    if platform.base_layers:
        base = f"{count_text(platform.base_layers, 'layer')} kept as base"
    lines = [
        f"{base}; {size_text(platform.hidden_bytes)} of hidden files left out",
        ", ".join(
            (
                f"uploaded {size_text(platform.uploaded_bytes)}",
                f"reused {size_text(platform.reused_bytes)}",
                f"mounted {count_text(platform.mounted_blobs, 'blob')}",
            )
        ),
    ]
    if platform.spliced_bytes or platform.reencoded_bytes:
        lines.append(
            f"new layer: {size_text(platform.spliced_bytes)} copied compressed, "
            f"{size_text(platform.reencoded_bytes)} of content compressed anew"
        )
    if platform.fallbacks:
        lines.append(f"{count_text(platform.fallbacks, 'extra reading')} of layers")
    return lines


def _closing(result: CopyResult) -> str:
    warnings = ""
    if result.warnings:
        warnings = f"; {count_text(len(result.warnings), 'warning')} on standard error"
    units = f"; {UNIT_NOTE}" if result.platforms else ""
    return f"{result.seconds:.1f} s{warnings}{units}"
