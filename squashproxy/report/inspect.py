"""The report of `inspect`, for people."""

from __future__ import annotations

from squashproxy.pipeline.inspect import ImageDetails, Inspection
from squashproxy.report.screen import Screen, Table, short_digest
from squashproxy.report.sizes import UNIT_NOTE, count_text, size_text


def show_inspection(screen: Screen, inspection: Inspection) -> None:
    """Write what a reference points to: the document, and every platform's image."""
    screen.line(inspection.reference, "bold")
    screen.line(f"digest      {inspection.digest}")
    screen.line(f"media type  {inspection.media_type}")
    _show_pairs(screen, "annotation", inspection.annotations)
    if inspection.attestations:
        screen.line(f"and {count_text(inspection.attestations, 'attestation')} of a build")
    for digest in inspection.absent:
        screen.line(f"not there   {digest}")
    for image in inspection.images:
        screen.line()
        _show_image(screen, image)
    screen.line()
    screen.line(UNIT_NOTE)


def _show_image(screen: Screen, image: ImageDetails) -> None:
    screen.line(
        f"{image.platform}: {count_text(len(image.layers), 'layer')}, "
        f"{size_text(image.compressed)}",
        "bold",
    )
    screen.line(f"digest      {image.digest}")
    screen.line(f"media type  {image.media_type}")
    if image.created:
        screen.line(f"created     {image.created}")
    if image.squashed_from:
        screen.line(f"squashed    from {image.squashed_from}")
    _show_pairs(screen, "annotation", image.annotations)
    _show_pairs(screen, "label", image.labels)
    table = Table(("#", "layer", "media type", "packed"), left=3)
    for number, layer in enumerate(image.layers, 1):
        table.add_row(
            str(number),
            short_digest(layer.digest),
            layer.media_type.removeprefix("application/"),
            size_text(layer.size),
        )
    if image.layers:
        screen.show(table)


def _show_pairs(screen: Screen, kind: str, pairs: dict[str, str]) -> None:
    for key in sorted(pairs):
        screen.line(f"{kind:<11} {key}={pairs[key]}")
