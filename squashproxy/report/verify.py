"""The report of a comparison, for people."""

from __future__ import annotations

from itertools import groupby

from squashproxy.digest import Digest
from squashproxy.pipeline.signatures.results import Chain, ChainedVerify, Link
from squashproxy.report.screen import Screen
from squashproxy.report.sizes import count_text
from squashproxy.transports.documents import short
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
    """Write the verdict for each platform, its differences by kind, the first 50, and the chain."""
    screen.line(f"A {result.a}", "bold")
    screen.line(f"B {result.b}", "bold")
    for platform in result.platforms:
        screen.line()
        screen.line(verdict(platform), "bold red" if platform.differences else "bold green")
        show_differences(screen, platform.differences)
    if isinstance(result, ChainedVerify):
        screen.line()
        _show_chain(screen, result.chain)
    screen.line()
    warnings = ""
    if result.warnings:
        warnings = f"; {count_text(len(result.warnings), 'warning')} on standard error"
    screen.line(f"{result.seconds:.1f} s{warnings}")


def _show_chain(screen: Screen, chain: Chain) -> None:
    """What B was made from and who signed it: checked with keys, or as it is claimed."""
    claimed = "" if chain.checked else ", as B claims"
    for number, link in enumerate(chain.links):
        if not number:
            screen.fact("made from", f"{_made_from(link)}{claimed}")
        elif not link.matches:
            screen.fact("", f"{short(Digest(link.digest))} from {_made_from(link)}{claimed}")
    for signed in chain.signed_by:
        screen.fact("signed by", f"{signed.key}: {short(Digest(signed.digest))}")
    if not chain.signed_by:
        screen.fact("signatures", _signatures_text(chain))
    for each in chain.provenance:
        by = "signed by nobody known" if each.key is None else f"signed by {each.key}"
        checked = f"; the source was signed by {', '.join(each.source_keys)}" * bool(
            each.source_keys
        )
        screen.fact("provenance", f"{each.mode} of {each.source} ({by}){checked}")
    for sentence in chain.doubts:
        screen.line(f"  {sentence}")
    for sentence in chain.broken:
        screen.line(f"The chain is broken: {sentence}", "bold red")
    if chain.checked and not chain.broken:
        screen.line("The chain holds.", "bold green")


def _made_from(link: Link) -> str:
    if link.source_digest is None:
        return "A: it is the same image" if link.matches else "nobody knows what: it does not say"
    return f"{'A' if link.matches else 'another image'} ({short(Digest(link.source_digest))})"


def _signatures_text(chain: Chain) -> str:
    if chain.signatures is None:
        return "nobody knows; its registry does not tell"
    count = count_text(chain.signatures, "signature") if chain.signatures else "none"
    if chain.checked or not chain.signatures:
        return count
    return f"{count}, not checked, since no key was given"


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
