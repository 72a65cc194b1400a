"""The signatures that a rule requires of the sources of a repository (`require_signature`)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from squashproxy.oci.manifest import encode_json
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Repository

if TYPE_CHECKING:  # cryptography takes long to import, and few servers need it
    from squashproxy.signing.public_key import PublicKey

_HASH_LENGTH = 12


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """One of `keys` has to have signed a source, under its own name or one of `signed_as`."""

    keys: tuple[PublicKey, ...]
    signed_as: tuple[Repository, ...] = ()

    def hash_for(self, repository: Repository) -> str:
        """A short hash of all that the verdict on a source of the repository depends on."""
        document = {
            "repository": str(repository),
            "keys": sorted({key.fingerprint for key in self.keys}),
            "signed_as": sorted(map(str, self.signed_as)),
        }
        return hashlib.sha256(encode_json(document)).hexdigest()[:_HASH_LENGTH]

    @property
    def options(self) -> CopyOptions:
        """The options to check a source with that is handed out as it is, with all it lists."""
        return CopyOptions(mode=Mode.COPY, required_keys=self.keys, signed_as=self.signed_as)


def policy_of(options: CopyOptions) -> SignaturePolicy | None:
    """The policy in the options of a copy."""
    if not options.required_keys:
        return None
    return SignaturePolicy(options.required_keys, options.signed_as)


def terms_of(options: CopyOptions, repository: Repository) -> str:
    """A short text of what the hash of options leaves out, since it shapes no byte of an image.

    That is who has to have signed images of the repository, who signs what is made of them, and
    whether a statement is kept about it.
    """
    policy, signing = policy_of(options), options.signing
    words = ["-" if policy is None else policy.hash_for(repository)]
    if signing is not None:
        words += [signing.key.public.fingerprint, *(each.value for each in signing.formats)]
    return " ".join([*words, *(["provenance"] if options.provenance else [])])
