"""Reading back the provenance that a copy wrote: signed, in a bundle, or as a plain statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from squashproxy.digest import Digest
from squashproxy.errors import FormatError, IntegrityError, NotFound
from squashproxy.oci.artifact import IN_TOTO
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, parse_manifest
from squashproxy.pipeline.provenance import BUILD, PREDICATE
from squashproxy.pipeline.signatures.candidates import (
    MOST_SIGNATURES,
    SignaturePlace,
    iter_bundles,
)
from squashproxy.pipeline.signatures.results import Provenance
from squashproxy.signing.bundle import MOST_BUNDLE
from squashproxy.signing.public_key import PublicKey
from squashproxy.signing.statement import parse_statement


def read_provenance(
    place: SignaturePlace,
    image: Digest,
    referrers: Sequence[Descriptor],
    keys: Iterable[PublicKey],
    doubts: list[str],
) -> Iterator[Provenance]:
    """The provenance of an image among its referrers, as squashproxy writes it.

    What looks like one and is none is told in `doubts`. Raises temporary errors of the registry.
    """
    own = tuple(keys)
    for each in islice(iter_bundles(place, image, referrers, PREDICATE), MOST_SIGNATURES):
        if each.doubt:
            doubts.append(f"{each.what} does not count: {each.doubt}")
            continue
        yield from _parsed(each.payload, image, each.signer_among(own), each.what, doubts)
    for referrer in islice(referrers, MOST_SIGNATURES):
        if referrer.extra.get("artifactType") != IN_TOTO:
            continue
        what = f"statement {referrer.digest}"
        try:
            payload = _plain_payload(place, referrer.digest)
        except (ValueError, FormatError, IntegrityError, NotFound) as error:
            doubts.append(f"{what} does not count: {error}")
            continue
        yield from _parsed(payload, image, None, what, doubts)


def _parsed(
    payload: bytes, image: Digest, key: PublicKey | None, what: str, doubts: list[str]
) -> Iterator[Provenance]:
    """The provenance in a payload; nothing for one of another builder."""
    try:
        statement = parse_statement(payload)
        if statement.predicate_type != PREDICATE or not _is_ours(statement.predicate):
            return
        provenance = _provenance(statement.predicate, key)
    except ValueError as error:
        doubts.append(f"{what} does not count: {error}")
        return
    if image in statement.subjects:
        yield provenance
    else:
        doubts.append(f"{what} does not count: it is about another digest")


def _is_ours(predicate: Mapping[str, Any]) -> bool:
    definition = predicate.get("buildDefinition")
    return isinstance(definition, dict) and definition.get("buildType") == BUILD


def _provenance(predicate: Mapping[str, Any], key: PublicKey | None) -> Provenance:
    """The facts of a predicate that this project wrote. Raises ValueError for a malformed one."""
    try:
        definition = predicate["buildDefinition"]
        [source] = definition["resolvedDependencies"]
        [[algorithm, text]] = source["digest"].items()
        inner = definition["internalParameters"]
        keys = tuple(str(each["key"]) for each in inner.get("signed_by", ()))
        name, mode = source["name"], inner["mode"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError("it does not say what the image was made from") from None
    if not isinstance(name, str) or not isinstance(mode, str):
        raise ValueError("it does not say what the image was made from")  # noqa: TRY004 - as above
    return Provenance(
        name,
        f"{algorithm}:{text}",
        mode,
        keys,
        None if key is None else key.name,
        None if key is None else key.fingerprint,
    )


def _plain_payload(place: SignaturePlace, digest: Digest) -> bytes:
    """The statement in an artifact. Raises ValueError where it holds none."""
    parsed = parse_manifest(place.read_manifest(digest), f"the manifest {digest} of {place.name}")
    layers = parsed.layers if isinstance(parsed, ImageManifest) else ()
    if len(layers) != 1 or layers[0].media_type != IN_TOTO:
        raise ValueError("it holds no in-toto statement")
    if layers[0].size > MOST_BUNDLE:
        raise ValueError(f"it has {layers[0].size} bytes, and at most {MOST_BUNDLE} are read")
    return b"".join(place.iter_blob(layers[0]))
