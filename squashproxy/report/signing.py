"""Signatures in reports of what would be done, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from squashproxy.pipeline.signatures.results import PlannedSigning, SourceSignature
from squashproxy.report.screen import Screen
from squashproxy.report.sizes import count_text

_SHOWN = 16


def show_signing(
    screen: Screen, signed_by: Iterable[SourceSignature], to_sign: PlannedSigning | None
) -> None:
    """Write who signed a source, and how its result would be signed."""
    for key, count in Counter(each.key for each in signed_by).items():
        screen.fact("signed by", f"{key} ({count_text(count, 'manifest')})")
    if to_sign is not None:
        screen.fact("to sign", f"each image and the index, {signing_text(to_sign)}")


def signing_text(to_sign: PlannedSigning) -> str:
    """The key and the forms of signatures that are to be made."""
    return f"as {' and '.join(to_sign.formats)}, with the key sha256:{to_sign.fingerprint[:_SHOWN]}"
