"""Checking that a source is signed by one of the keys that are asked for.

The check is of digests, before any layer is read, and the copy reads what has these digests: a tag
that moves meanwhile changes nothing. Every doubt refuses.

An index is signed as a whole or image by image. Whoever signs an index signs all that it lists,
since it names that by digest. Else each image that is to be copied has to be signed by itself; with
`--mode copy` of a whole index, each manifest that it lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from squashproxy.digest import Digest
from squashproxy.errors import BadReference, Unsigned
from squashproxy.oci.manifest import ImageIndex, parse_manifest
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.signatures.candidates import (
    MOST_SIGNATURES,
    Candidate,
    iter_bundles,
    iter_tagged,
)
from squashproxy.pipeline.signatures.referrers import find_referrers
from squashproxy.pipeline.signatures.results import SourceSignature
from squashproxy.reference import Repository, parse_reference
from squashproxy.signing.public_key import PublicKey
from squashproxy.signing.signature_manifest import tag_for
from squashproxy.transports.base import ImageSource, ReferrerSource
from squashproxy.transports.index_images import find_leaves, image_platform


def check_signed(
    source: ImageSource, digest: Digest, options: CopyOptions
) -> tuple[SourceSignature, ...]:
    """The signers of the source's manifest `digest`, or of each of its images.

    Nothing is asked where no key is required. Raises Unsigned, and RegistryError.
    """
    if not options.required_keys:
        return ()
    check = _Check(source, options.required_keys, options.signed_as)
    key = check.find_signer(digest)
    if key is not None:
        return (_signed(digest, key),)
    parsed = parse_manifest(source.read_manifest(digest), f"the manifest of {source.name}")
    if not isinstance(parsed, ImageIndex):
        raise check.refusal(digest)
    return tuple(_signers_below(check, parsed, options))


def _signers_below(
    check: _Check, index: ImageIndex, options: CopyOptions
) -> Iterator[SourceSignature]:
    wanted = list(dict.fromkeys(_copied(check.source, index, options)))
    if not wanted:
        raise check.refusal(index.raw.digest)
    for each in wanted:
        key = check.find_signer(each)
        if key is None:
            raise check.refusal(each, index.raw.digest)
        yield _signed(each, key)


def _signed(digest: Digest, key: PublicKey) -> SourceSignature:
    return SourceSignature(digest, key.name, key.fingerprint)


def _copied(source: ImageSource, index: ImageIndex, options: CopyOptions) -> Iterator[Digest]:
    """The manifests of an index that a copy reads."""
    leaves = find_leaves(source, index, options.platforms)
    if options.mode is Mode.COPY and not options.platforms:
        yield from leaves.manifests
        return
    for child in leaves.children:
        if not child.may_be_image:
            continue
        platform = image_platform(source, child)
        if platform is not None and _is_wanted(platform, options.platforms):
            yield child.descriptor.digest


def _is_wanted(platform: Platform, platforms: Sequence[Platform]) -> bool:
    return not platforms or any(map(platform.matches, platforms))


@dataclass(slots=True)
class _Check:
    """Looks for signatures of manifests of one source; `doubts` are those of the last one.

    `is_misnamed` says that one of them was made under another name.
    """

    source: ImageSource
    keys: Sequence[PublicKey]
    signed_as: Sequence[Repository]
    doubts: list[str] = field(default_factory=list)
    is_misnamed: bool = False

    def find_signer(self, digest: Digest) -> PublicKey | None:
        """The first required key by which a manifest is signed; None where there is none."""
        self.doubts.clear()
        self.is_misnamed = False
        seen = list(islice(self._candidates(digest), MOST_SIGNATURES + 1))
        for each in seen[:MOST_SIGNATURES]:
            key = self._signer(each)
            if key is not None:
                return key
        if len(seen) > MOST_SIGNATURES:
            self.doubts.append(f"only {MOST_SIGNATURES} of its signatures were looked at")
        return None

    def refusal(self, digest: Digest, index: Digest | None = None) -> Unsigned:
        """The error for a manifest without a signature that counts."""
        names = ", ".join(key.name for key in self.keys)
        what = f"{self.source.name}: {digest}" if index else f"{self.source.name} ({digest})"
        why = self.doubts[0] if self.doubts else "it has no signature"
        more = f", and {len(self.doubts) - 1} more like it" if len(self.doubts) > 1 else ""
        whole = f", nor is the index {index} that lists it" if index else ""
        return Unsigned(
            f"{what} is not signed by {names}{whole}: {why}{more}; nothing was copied",
            advice="allow that name with {signed-as}, or sign the image here"
            if self.is_misnamed
            else "sign it, or name the key that signed it",
            reason=why + more,
        )

    def _signer(self, candidate: Candidate) -> PublicKey | None:
        if candidate.doubt:
            self.doubts.append(f"{candidate.what} does not count: {candidate.doubt}")
            return None
        key = candidate.signer_among(self.keys)
        if key is None:
            self.doubts.append(f"{candidate.what} is of another key")
        elif not self._may_be_named(candidate.claimed_name):
            self.doubts.append(f"{candidate.what} is for the name {candidate.claimed_name}")
            self.is_misnamed = True
            return None
        return key

    def _may_be_named(self, name: str | None) -> bool:
        """Whether a signature that was made under a name counts for the source."""
        own = self.source.repository
        if name is None or own is None:
            return True
        try:
            named = parse_reference(name).repository
        except BadReference:
            return False
        return named == own or named in self.signed_as

    def _candidates(self, digest: Digest) -> Iterator[Candidate]:
        source = self.source
        if not isinstance(source, ReferrerSource):
            return
        referrers = find_referrers(self.source, digest, self.doubts)
        yield from iter_bundles(self.source, digest, referrers)
        tagged = source.find_tag(tag_for(digest))
        if tagged is not None:
            yield from iter_tagged(self.source, digest, tagged)
