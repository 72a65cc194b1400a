"""The signers of a source, where keys are required; without, nothing of signatures is loaded."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.signatures.results import PlannedSigning, SourceSignature
from squashproxy.transports.base import ImageSource


def required_signers(
    source: ImageSource, digest: Digest, options: CopyOptions
) -> tuple[SourceSignature, ...]:
    """The required signatures of the source's manifest `digest`; none where no key is required.

    Raises Unsigned, and RegistryError.
    """
    if not options.required_keys:
        return ()
    from squashproxy.pipeline.signatures.check import (  # noqa: PLC0415 - loads cryptography
        check_signed,
    )

    return check_signed(source, digest, options)


def planned_signing(options: CopyOptions) -> PlannedSigning | None:
    """How a copy would sign; None where it would not."""
    signing = options.signing
    if signing is None:
        return None
    return PlannedSigning(
        signing.key.public.fingerprint, tuple(form.value for form in signing.formats)
    )
