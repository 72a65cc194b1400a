"""The report of a plan, for people."""

from __future__ import annotations

from squashproxy.pipeline.results import LayerPlan, PlanResult, PlatformPlan
from squashproxy.report.screen import COLUMN_GAP, Screen, printable
from squashproxy.report.sizes import UNIT_NOTE, count_text, share_text, size_text

_LARGEST = 10
_SHORTEST_COMMAND = 14
_SHELL_PREFIXES = ("/bin/sh -c #(nop)", "/bin/sh -c", "RUN /bin/sh -c")


def show_plan(screen: Screen, result: PlanResult) -> None:
    """Write what a copy would do: layers, what is hidden in them, what would move."""
    screen.line(f"Plan for {result.source}", "bold")
    if result.target:
        screen.line(f"      to {result.target}", "bold")
    if result.up_to_date:
        screen.line("The target is up to date: a copy would do nothing.", "bold green")
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
    _show_layers(screen, plan)
    saved = plan.compressed_before - plan.estimated_after
    screen.line(
        f"compressed {size_text(plan.compressed_before)} -> "
        f"about {size_text(plan.estimated_after)}"
        f" ({share_text(saved, plan.compressed_before) or '0 %'} less); "
        f"hidden {size_text(plan.hidden_bytes)} of {size_text(plan.unpacked_before)} unpacked"
    )
    screen.line(_movement(plan))
    if plan.fallbacks:
        screen.line(f"a copy needs {count_text(plan.fallbacks, 'extra reading')} of layers")
    _show_largest(screen, plan)


def _show_layers(screen: Screen, plan: PlatformPlan) -> None:
    columns = ("#", "role", "target", "packed", "unpacked", "entries", "hidden")
    rows = [_figures(number, layer) for number, layer in enumerate(plan.layers, 1)]
    widths = (max(map(len, cells)) for cells in zip(columns, *rows, strict=True))
    room = max(screen.width - sum(width + COLUMN_GAP for width in widths), _SHORTEST_COMMAND)
    table = screen.table(*columns, "created by", left=3)
    table.columns[-1].justify = "left"
    for row, layer in zip(rows, plan.layers, strict=True):
        table.add_row(*row, _command(layer.created_by)[:room])
    screen.show(table)


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


def _presence(layer: LayerPlan) -> str:
    if layer.in_target is None:
        return "-"
    if layer.in_target:
        return "there"
    return "mount" if layer.mountable_from else "absent"


def _command(created_by: str) -> str:
    text = " ".join(printable(created_by).split())
    for prefix in _SHELL_PREFIXES:
        text = text.removeprefix(prefix).strip()
    return text


def _movement(plan: PlatformPlan) -> str:
    if plan.upload_estimate is None:
        return "name a target too, and the plan says what a copy would upload"
    return (
        f"a copy would upload about {size_text(plan.upload_estimate)}, "
        f"reuse {size_text(plan.reused_bytes)} and mount {size_text(plan.mountable_bytes)}"
    )


def _show_largest(screen: Screen, plan: PlatformPlan) -> None:
    if not plan.largest_hidden:
        return
    shown = plan.largest_hidden[:_LARGEST]
    screen.line()
    screen.line("Largest files that ship although an upper layer hides them:")
    width = max(len(size_text(file.size)) for file in shown)
    for file in shown:
        screen.line(
            f"  {size_text(file.size):>{width}}  layer {file.layer + 1}, hidden by layer "
            f"{file.hidden_by + 1}: {printable(file.path)}"
        )
