"""Manifests of a repository, read and written as exact bytes."""

from __future__ import annotations

from squashproxy.decimals import parse_decimal
from squashproxy.digest import Digest, Hasher, digest_of, is_digest, parse_digest
from squashproxy.errors import FormatError, IntegrityError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import MAX_MANIFEST, RawManifest
from squashproxy.printable import quoted
from squashproxy.reference import Repository, is_tag
from squashproxy.registry.auth.scopes import pull, push
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.cut_json import is_cut_json
from squashproxy.registry.http.error_responses import Action
from squashproxy.registry.http.network_errors import cut_error
from squashproxy.registry.http.web_pages import is_page_type
from squashproxy.registry.missing_content import REFUSED, missing_content

_ACCEPT = ", ".join((*mediatypes.MANIFESTS, *mediatypes.INDEXES, *mediatypes.SCHEMA1, "*/*"))
"""The last type makes strict registries send manifests of other types instead of a 404: cleanup has
to know that they exist. containerd sends it, too.
"""

_MOST_TYPE = 255
_FOUND = frozenset({200})
_STORED = frozenset({200, 201, 202, 204})
_NO_HEAD = frozenset({404, 405, 501})
"""The status codes of registries that refuse HEAD but may answer GET."""


def find_manifest(caller: Caller, selector: str, *, trusts_head: bool = False) -> Descriptor | None:
    """The manifest that a tag or digest points to; None if there is none.

    Costs a HEAD. A GET follows if HEAD is refused, gives no digest or answers 404, as Nexus does
    for manifests that it has. With `trusts_head`, a 404 is believed.
    """
    answer = caller.ask_head(_call("HEAD", caller, selector, _FOUND | _NO_HEAD))
    if answer.status == 200:
        found = _described(answer, selector)
        if found is not None:
            return found
    elif answer.status == 404 and trusts_head:
        return None
    read = _read(caller, selector, _FOUND | {404})
    return None if read is None else read.descriptor


def get_manifest(caller: Caller, selector: str) -> RawManifest:
    """The exact bytes of a manifest or index, its digest verified."""
    found = _read(caller, selector, _FOUND)
    assert found is not None, "a 404 is an error"
    return found


def _read(caller: Caller, selector: str, expected: frozenset[int]) -> RawManifest | None:
    """A manifest, None where a 404 is expected and comes.

    One without a byte was cut off. One with other bytes than its digest says is read once more
    before it is called changed, and so is one that ends in its middle.
    """
    call = _call("GET", caller, selector, expected)

    def ask() -> Answer:
        answer = caller.ask_once(call, MAX_MANIFEST)
        if answer.status == 200 and not answer.body:
            raise cut_error(caller.endpoint.name, f"the manifest {selector}")
        return answer

    answer = caller.retry.call(ask, caller.repository.host)
    if answer.status == 404:
        return None
    try:
        if len(answer.body) <= MAX_MANIFEST and is_cut_json(answer.body):
            answer = caller.retry.call(ask, caller.repository.host)
        return _checked(answer, caller.repository, selector)
    except IntegrityError:
        answer = caller.retry.call(ask, caller.repository.host)
        return _checked(answer, caller.repository, selector)


def put_manifest(caller: Caller, raw: RawManifest, selector: str) -> bool:
    """Write a manifest under a tag or its digest.

    Returns whether the registry says that it lists it as a referrer of its subject. Raises
    ContentMissing if the registry does not hold all that the manifest names.
    """
    url = manifest_url(caller, selector)
    if ":" in selector and _digest_like(selector, raw.data) != selector:
        raise IntegrityError(
            f"the manifest for {caller.repository} does not have the digest {selector}"
        )
    name = caller.repository
    call = Call(
        "PUT",
        url,
        Action(name, f"the push of {selector} to {name.path}", pushes=True),
        push(name.path),
        _STORED | REFUSED,
        {"Content-Type": raw.media_type},
        raw.data,
        caller.commit_timeout,
    )
    answer = caller.ask(call)
    if answer.status in REFUSED:
        raise missing_content(caller, raw, selector, answer) or caller.refused(answer, call)
    stored = answer.headers.get("Docker-Content-Digest")
    if stored and stored.startswith("sha256:") and stored != raw.digest:
        shown = stored if is_digest(stored) else quoted(stored)
        raise IntegrityError(
            f"{name.host} stored {selector} of {name.path} as {shown} instead of {raw.digest}",
            advice="it changes manifests, so what it holds now must not be used",
        )
    return "OCI-Subject" in answer.headers


def _call(method: str, caller: Caller, selector: str, expected: frozenset[int]) -> Call:
    name = caller.repository
    kind = "manifest" if ":" in selector else "tag"
    return Call(
        method,
        manifest_url(caller, selector),
        Action(name, f"the pull of {selector} from {name.path}", f"{kind} {selector}"),
        pull(name.path),
        expected,
        {"Accept": _ACCEPT},
    )


def check_selector(name: Repository, selector: str) -> None:
    """Raise FormatError for a name that is neither a tag nor a digest.

    Listed names become parts of URLs; `../../other/manifests/keep` would leave the repository.
    """
    if not is_tag(selector) and not is_digest(selector):
        raise FormatError(
            f"{quoted(selector)} is neither a tag nor a digest, so {name.host} is not asked for it"
        )


def manifest_url(caller: Caller, selector: str) -> str:
    """The URL of a manifest. Raises FormatError for a name that is neither a tag nor a digest."""
    check_selector(caller.repository, selector)
    return caller.endpoint.url(f"/v2/{caller.repository.path}/manifests/{selector}")


def _described(answer: Answer, selector: str) -> Descriptor | None:
    """The descriptor in the headers of a HEAD; None where they are incomplete, or of a web page."""
    if is_page_type(answer.headers):
        return None
    size = parse_decimal(answer.headers.get("Content-Length", ""))
    stated = answer.headers.get("Docker-Content-Digest") or (selector if ":" in selector else "")
    try:
        digest = parse_digest(stated)
    except FormatError:
        return None
    if size is None or (":" in selector and digest != selector):
        return None
    return Descriptor(_media_type(answer), digest, size)


def _checked(answer: Answer, name: Repository, selector: str) -> RawManifest:
    """The manifest in an answer.

    Schema 1 is not verified: its digest leaves out its signatures, and it is refused anyway.
    """
    where = f"the manifest {selector} of {name}"
    if len(answer.body) > MAX_MANIFEST:
        raise FormatError(f"{where} is larger than {MAX_MANIFEST} bytes; no client takes it")
    raw = RawManifest(answer.body, _media_type(answer))
    stated = answer.headers.get("Docker-Content-Digest")
    expected = parse_digest(selector) if ":" in selector else None
    if expected is None and stated and raw.media_type not in mediatypes.SCHEMA1:
        expected = _stated_digest(stated, where)
    if expected is not None and (found := _digest_like(expected, raw.data)) != expected:
        raise IntegrityError(
            f"{where} has the digest {found} instead of {expected}; "
            "the registry, or something before it, changed it"
        )
    return raw


def _digest_like(expected: str, data: bytes) -> Digest:
    if expected.startswith("sha256:"):
        return digest_of(data)
    hasher = Hasher(parse_digest(expected))
    hasher.update(data)
    return hasher.digest


def _stated_digest(text: str, where: str) -> Digest:
    try:
        return parse_digest(text)
    except FormatError as error:
        raise FormatError(
            f"{where} came with a Docker-Content-Digest that is none: {error}; "
            "the registry, or something before it, is broken"
        ) from error


def _media_type(answer: Answer) -> str:
    """The type and subtype, in at most 255 characters (RFC 6838, section 4.2); empty if invalid.

    It is written into descriptors and shown in sentences.
    """
    text = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    return text if len(text) <= _MOST_TYPE and text.isascii() and text.isprintable() else ""
