"""The report of a copy, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from squashproxy.digest import Digest
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import CopyResult, LayerAction, PlatformCopy, ReferrerCopy
from squashproxy.pipeline.signatures.results import ResultSignature
from squashproxy.report.screen import Screen, Table
from squashproxy.report.sizes import UNIT_NOTE, count_text, share_text, size_text
from squashproxy.transports.documents import short


def show_copy(screen: Screen, result: CopyResult) -> None:
    """Write what the copy did: per platform before and after, what moved, the digest."""
    if result.skipped:
        state = "stays as it is" if result.warnings else "is up to date"
        screen.line(f"Nothing to do: {result.target} {state}.", "bold green")
    else:
        screen.line(f"Copied {result.source}", "bold")
        screen.line(f"    to {result.target}", "bold")
    for platform in result.platforms:
        if platform.mode is Mode.COPY:
            continue
        screen.line()
        _show_platform(screen, platform)
    exact = [platform for platform in result.platforms if platform.mode is Mode.COPY]
    if exact:
        screen.line()
        _show_exact(screen, exact)
    screen.line()
    for referrer in result.referrers:
        screen.fact("referrer", _referrer_text(referrer))
    for signed in result.signed_by:
        screen.fact("signed by", f"{signed.key}: {short(Digest(signed.digest))}")
    for signature in result.signatures:
        screen.fact("signature", _signature_text(signature))
    if result.spooled_bytes:
        spooled = f"{size_text(result.spooled_bytes)} went through a temporary file"
        screen.fact("spooled", f"{spooled}: a pipe is read and written once")
    screen.fact("digest", result.digest)
    screen.fact("took", _closing(result))


def _show_exact(screen: Screen, platforms: Sequence[PlatformCopy]) -> None:
    """A line for each image, whose digest is the same on both sides, and what moved of it."""
    table = Table(("platform", "digest", "layers", "size", "uploaded", "reused"), left=2)
    for each in platforms:
        sizes = (each.compressed_after, each.uploaded_bytes, each.reused_bytes)
        digest = short(Digest(each.digest))
        table.add_row(each.platform, digest, f"{each.layers_after:,}", *map(size_text, sizes))
    screen.show(table)


def _referrer_text(referrer: ReferrerCopy) -> str:
    where = short(Digest(referrer.digest)) if referrer.tag is None else referrer.tag
    return f"{where} of {short(Digest(referrer.subject))}, {referrer.artifact_type}"


def _signature_text(signature: ResultSignature) -> str:
    state = "made" if signature.is_new else "there already"
    return f"{signature.format} of {short(Digest(signature.digest))}, {state}"


def _show_platform(screen: Screen, platform: PlatformCopy) -> None:
    table = Table((platform.platform, "before", "after", "saved", ""))
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
    for label, text in _iter_facts(platform):
        screen.fact(label, text)


def _iter_facts(platform: PlatformCopy) -> Iterator[tuple[str, str]]:
    yield "base", _base_text(platform)
    if platform.mode is Mode.PRUNE:
        yield "layers", _actions_text(platform)
        left_out = platform.unpacked_before - platform.unpacked_after
    else:
        left_out = platform.hidden_bytes
    yield "left out", f"{size_text(left_out)} unpacked, which upper layers hide"
    moved = (
        f"uploaded {size_text(platform.uploaded_bytes)}",
        f"reused {size_text(platform.reused_bytes)}",
        f"mounted {count_text(platform.mounted_blobs, 'blob')}",
    )
    yield "moved", ", ".join(moved)
    if platform.spliced_bytes or platform.reencoded_bytes:
        spliced, reencoded = size_text(platform.spliced_bytes), size_text(platform.reencoded_bytes)
        label = "new layer" if len(platform.new_layers) == 1 else "new layers"
        sizes = _sizes_text(platform)
        yield label, f"{sizes}{spliced} copied compressed, {reencoded} of content compressed anew"
    if platform.fallbacks:
        yield "needed", f"{count_text(platform.fallbacks, 'extra reading')} of layers"


def _base_text(platform: PlatformCopy) -> str:
    if not platform.base_layers:
        return "no layer kept as base"
    return f"{count_text(platform.base_layers, 'layer')} kept as base"


def _sizes_text(platform: PlatformCopy) -> str:
    """The sizes of the layers that a squashed one was cut into; nothing where it was not."""
    sizes = [layer.packed for layer in platform.new_layers]
    if platform.mode is not Mode.SQUASH or len(sizes) < 2:
        return ""
    least, most = size_text(min(sizes)), size_text(max(sizes))
    return f"{len(sizes)} of {least} to {most}: "


def _actions_text(platform: PlatformCopy) -> str:
    """The number of layers above the base for each thing that was done with them."""
    counts = Counter(layer.action for layer in platform.layers)
    done = [action for action in LayerAction if action is not LayerAction.BASE and counts[action]]
    above = [f"{counts[action]} {action.value}" for action in done]
    return "above the base " + (", ".join(above) or "none")


def _closing(result: CopyResult) -> str:
    warnings = ""
    if result.warnings:
        warnings = f"; {count_text(len(result.warnings), 'warning')} on standard error"
    units = f"; {UNIT_NOTE}" if result.platforms else ""
    return f"{result.seconds:.1f} s{warnings}{units}"
