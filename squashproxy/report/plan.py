"""The report of a plan, for people."""

from __future__ import annotations

from squashproxy.pipeline.results import (
    HiddenFile,
    LayerPlan,
    LayerRole,
    PlanResult,
    PlatformPlan,
    Suspect,
)
from squashproxy.report.build_steps import step_text
from squashproxy.report.screen import COLUMN_GAP, Screen, Table
from squashproxy.report.signing import show_signing
from squashproxy.report.sizes import (
    ESTIMATED_NOTE,
    UNIT_NOTE,
    count_text,
    efficiency_text,
    share_text,
    size_text,
)
from squashproxy.squash.secret_patterns import SuspectKind

_LARGEST = 10
_SUSPECTS = 20
_SHORTEST_COMMAND = 11


def show_plan(screen: Screen, result: PlanResult) -> None:
    """Write what a copy would do: layers, what is hidden in them, what would move."""
    screen.line(f"Plan for {result.source}", "bold")
    if result.target:
        screen.line(f"      to {result.target}", "bold")
    if result.up_to_date:
        screen.line("The target is up to date: a copy would do nothing.", "bold green")
    if result.signed_by or result.to_sign:
        screen.line()
    show_signing(screen, result.signed_by, result.to_sign)
    for platform in result.platforms:
        screen.line()
        _show_platform(screen, platform)
    screen.line()
    closing = f"Nothing was moved; {UNIT_NOTE}"
    if result.warnings:
        closing += f"; {count_text(len(result.warnings), 'warning')} on standard error"
    screen.line(closing)


def _show_platform(screen: Screen, plan: PlatformPlan) -> None:
    screen.line(
        f"{plan.platform}: {count_text(plan.layers_before, 'layer')} -> {plan.layers_after}, "
        f"{plan.base_layers} kept as base ({plan.base_reason})",
        "bold",
    )
    if plan.estimated:
        screen.line(ESTIMATED_NOTE)
    _show_layers(screen, plan)
    about = _about(plan)
    saved = plan.compressed_before - plan.compressed_after
    screen.fact("efficiency", _efficiency(plan))
    screen.fact(
        "compressed",
        f"{size_text(plan.compressed_before)} -> {about}{size_text(plan.compressed_after)} "
        f"({about}{share_text(saved, plan.compressed_before) or '0 %'} less)",
    )
    if plan.unmerged is None:
        screen.fact("left out", f"{size_text(plan.hidden_bytes)} unpacked, of what is hidden")
    screen.fact("a copy", _movement(plan))
    if plan.fallbacks:
        screen.fact("needs", f"{count_text(plan.fallbacks, 'extra reading')} of layers")
    _show_modes(screen, plan)
    _show_secrets(screen, plan)
    _show_caches(screen, plan)
    _show_largest(screen, plan)


def _efficiency(plan: PlatformPlan) -> str:
    """What is hidden, or why nobody can say."""
    if plan.unmerged is not None:
        return "not counted, since only the layers of Linux images are merged"
    return (
        f"{efficiency_text(plan.efficiency)}; upper layers hide {size_text(plan.total_hidden)} of "
        f"{size_text(plan.total_unpacked)} unpacked"
    )


def _show_layers(screen: Screen, plan: PlatformPlan) -> None:
    columns: tuple[str, ...] = ("#", "role", "target", "packed", "unpacked", "entries", "hidden")
    rows = [_figures(number, layer) for number, layer in enumerate(plan.layers, 1)]
    rows.append(_totals(plan))
    if any(layer.compressed_after not in (None, layer.compressed) for layer in plan.layers):
        after = [_after(plan, layer) for layer in plan.layers]
        after.append(_about(plan) + size_text(plan.compressed_after))
        columns = _with_after(columns, "after")
        rows = [_with_after(row, size) for row, size in zip(rows, after, strict=True)]
    widths = (max(map(len, cells)) for cells in zip(columns, *rows, strict=True))
    room = max(screen.width - sum(width + COLUMN_GAP for width in widths), _SHORTEST_COMMAND)
    table = Table((*columns, "created by"), left=3, left_end=True)
    commands = [step_text(layer.created_by)[:room] for layer in plan.layers]
    for row, command in zip(rows, [*commands, ""], strict=True):
        table.add_row(*row, command)
    screen.show(table)


def _with_after(cells: tuple[str, ...], after: str) -> tuple[str, ...]:
    """The cells with one more behind that of the packed size."""
    return (*cells[:4], after, *cells[4:])


def _after(plan: PlatformPlan, layer: LayerPlan) -> str:
    """The packed size of what stands for a layer in the result; `-` where others share it."""
    about = _about(plan) if layer.role is LayerRole.PRUNED else ""
    return about + size_text(layer.compressed_after)


def _about(plan: PlatformPlan) -> str:
    """The mark before an estimate."""
    return "~" if plan.estimated else ""


def _figures(number: int, layer: LayerPlan) -> tuple[str, ...]:
    return (
        str(number),
        layer.role,
        _presence(layer),
        size_text(layer.compressed),
        size_text(layer.unpacked),
        "-" if layer.entries is None else f"{layer.entries:,}",
        size_text(layer.hidden_bytes),
    )


def _totals(plan: PlatformPlan) -> tuple[str, ...]:
    packed = size_text(plan.compressed_before)
    if plan.unmerged is not None:
        return ("", "all", "", packed, "-", "-", "-")
    entries = sum(layer.entries or 0 for layer in plan.layers)
    return (
        "",
        "all",
        "",
        packed,
        size_text(plan.total_unpacked),
        f"{entries:,}",
        size_text(plan.total_hidden),
    )


def _presence(layer: LayerPlan) -> str:
    if layer.in_target is None:
        return "-"
    if layer.in_target:
        return "there"
    return "mount" if layer.mountable_from else "absent"


def _movement(plan: PlatformPlan) -> str:
    if plan.upload_bytes is None:
        return "would upload what the target lacks; name a target to know how much"
    about = _about(plan)
    return (
        f"would upload {about}{size_text(plan.upload_bytes)}, "
        f"reuse {size_text(plan.reused_bytes)} and mount {size_text(plan.mountable_bytes)}"
    )


def _show_modes(screen: Screen, plan: PlatformPlan) -> None:
    """The three modes side by side; a figure with a ~ is an estimate."""
    if not plan.modes:
        return
    table = Table(("mode", "layers", "packed", "upload now", "next version", ""))
    for mode in plan.modes:
        about = "~" if mode.estimated else ""
        upload = "-" if mode.upload_bytes is None else about + size_text(mode.upload_bytes)
        table.add_row(
            mode.mode.value,
            f"{mode.layers_after:,}",
            about + size_text(mode.compressed_after),
            upload,
            about + size_text(mode.next_upload_bytes),
            "recommended" if mode.recommended else "",
        )
    screen.show(table)


def _show_secrets(screen: Screen, plan: PlatformPlan) -> None:
    secrets = [suspect for suspect in plan.suspects if suspect.kind is SuspectKind.SECRET]
    if not plan.secrets:
        return
    screen.line()
    screen.line(
        "Files that were deleted or replaced but still ship, and look secret:", "bold yellow"
    )
    shown = secrets[:_SUSPECTS]
    width = max((len(suspect.rule) for suspect in shown), default=0)
    for suspect in shown:
        screen.line(f"  {suspect.rule:<{width}}  {_place(suspect)}: {suspect.path}")
    if plan.secrets > len(shown):
        screen.line(f"  and {plan.secrets - len(shown):,} more; the JSON report lists up to 1,000")


def _show_caches(screen: Screen, plan: PlatformPlan) -> None:
    caches = [suspect for suspect in plan.suspects if suspect.kind is SuspectKind.CACHE][:_SUSPECTS]
    if not caches:
        return
    screen.line()
    screen.line("Caches that were deleted but still ship:")
    width = max(len(size_text(cache.size)) for cache in caches)
    for cache in caches:
        screen.line(
            f"  {size_text(cache.size):>{width}}  {_place(cache)}: {cache.path} "
            f"({count_text(cache.files, 'file')})"
        )


def _place(found: HiddenFile | Suspect) -> str:
    return f"layer {found.layer + 1}, hidden by layer {found.hidden_by + 1}"


def _show_largest(screen: Screen, plan: PlatformPlan) -> None:
    if not plan.largest_hidden:
        return
    shown = plan.largest_hidden[:_LARGEST]
    screen.line()
    screen.line("Largest files that ship although an upper layer hides them:")
    width = max(len(size_text(file.size)) for file in shown)
    for file in shown:
        screen.line(f"  {size_text(file.size):>{width}}  {_place(file)}: {file.path}")
