"""The chain of an image: what it was made from, and who signed it.

The stamp of a result names its source and lies in the manifest (in the config, for Docker's), so
whoever signs the manifest vouches for the stamp, too. Without a key all of that is a claim: anybody
who may push can write a stamp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError, Unsigned
from squashproxy.oci.manifest import ImageIndex, parse_manifest
from squashproxy.oci.mediatypes import Family, family_of
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.signatures.candidates import (
    MOST_SIGNATURES,
    iter_bundles,
    iter_tagged,
)
from squashproxy.pipeline.signatures.check import check_signed
from squashproxy.pipeline.signatures.provenance import read_provenance
from squashproxy.pipeline.signatures.referrers import find_referrers
from squashproxy.pipeline.signatures.results import (
    Chain,
    Link,
    Provenance,
    SourceSignature,
)
from squashproxy.pipeline.stamp import SOURCE, source_in
from squashproxy.signing.signature_manifest import tag_for
from squashproxy.transports.base import ImageSource, ReferrerSource
from squashproxy.transports.documents import read_config
from squashproxy.verify.results import VerifyResult


def find_chain(
    source: ImageSource, target: ImageSource, compared: VerifyResult, options: CopyOptions
) -> Chain:
    """The chain of a target that was compared with its source, by the digests of the comparison.

    `options` hold the required keys, the names that signatures may be made under, and platforms.
    Raises SquashproxyError where keys are given and the target's registry cannot tell.
    """
    doubts: list[str] = []
    if not options.required_keys:
        links: tuple[Link, ...] = ()
        try:
            links = tuple(_links(target, compared))
            counted, provenance = _claims(target, compared, options, doubts)
        except SquashproxyError as error:
            return Chain(False, links, (), None, (), (), (str(error),))
        return Chain(False, links, (), counted, provenance, (), tuple(doubts))
    links = tuple(_links(target, compared))
    broken = list(_why_not_made_from(source, target, links, compared))
    signed_by: tuple[SourceSignature, ...] = ()
    try:
        signed_by = check_signed(target, Digest(compared.b_digest), options)
    except Unsigned as error:
        names = ", ".join(key.name for key in options.required_keys)
        broken.append(f"{target.name} is not signed by {names}: {error.reason}")
    counted, provenance = _claims(target, compared, options, doubts)
    known = {compared.a_digest, *(each.a_digest for each in compared.platforms)}
    broken += [
        f"the provenance of {target.name} that {each.key} signed names another source, "
        f"{each.source_digest}"
        for each in provenance
        if each.key is not None and each.source_digest not in known
    ]
    return Chain(True, links, signed_by, counted, provenance, tuple(broken), tuple(doubts))


def _links(target: ImageSource, compared: VerifyResult) -> Iterator[Link]:
    """The target's own link, then those of its platforms, unless it is one image."""
    made_from = {compared.a_digest, *(each.a_digest for each in compared.platforms)}
    yield _link(target, compared.b_digest, made_from)
    for each in compared.platforms:
        if each.b_digest is not None and each.b_digest != compared.b_digest:
            yield _link(target, each.b_digest, {each.a_digest})


def _link(target: ImageSource, digest: str, sources: set[str | None]) -> Link:
    stated = _stated_source(target, Digest(digest))
    return Link(digest, stated, digest in sources or (stated is not None and stated in sources))


def _stated_source(target: ImageSource, digest: Digest) -> str | None:
    """The source that an image's stamp names; None where there is none."""
    parsed = parse_manifest(target.read_manifest(digest), f"the manifest of {target.name}")
    if family_of(parsed.raw.media_type) is Family.OCI:
        stated = parsed.annotations.get(SOURCE)
        return stated if isinstance(stated, str) else None
    if isinstance(parsed, ImageIndex) or not parsed.is_image:
        return None
    return source_in(read_config(target, parsed))


def _why_not_made_from(
    source: ImageSource, target: ImageSource, links: Sequence[Link], compared: VerifyResult
) -> Iterator[str]:
    """Why the target does not count as made from the source; Docker's lists carry no stamp, so the
    images in them decide.
    """
    own, *images = links
    if own.matches:
        return
    if own.source_digest is None and images:
        wrong = [link for link in images if not link.matches]
    else:
        wrong = [own]
    for link in wrong:
        if link.source_digest is None:
            yield f"{target.name} ({link.digest}) does not say what it was made from"
        else:
            yield (
                f"{target.name} ({link.digest}) was made from {link.source_digest}, and "
                f"{source.name} is {compared.a_digest}"
            )


def _claims(
    target: ImageSource, compared: VerifyResult, options: CopyOptions, doubts: list[str]
) -> tuple[int | None, tuple[Provenance, ...]]:
    """The number of signatures beside the target, None where its place keeps none, and its
    provenance.
    """
    if not isinstance(target, ReferrerSource):
        return None, ()
    digest = Digest(compared.b_digest)
    referrers = find_referrers(target, digest, doubts)
    found = [
        each.doubt for each in islice(iter_bundles(target, digest, referrers), MOST_SIGNATURES)
    ]
    tagged = target.find_tag(tag_for(digest))
    if tagged is not None:
        found += [
            each.doubt for each in islice(iter_tagged(target, digest, tagged), MOST_SIGNATURES)
        ]
    stated = read_provenance(target, digest, referrers, options.required_keys, doubts)
    return sum(not doubt for doubt in found), tuple(stated)
