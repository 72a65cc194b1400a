"""References: names of images in registries, parsed as docker does (distribution/reference)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from squashproxy.decimals import MOST_PORT, parse_port
from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import BadReference, FormatError
from squashproxy.printable import has_login, masked, quoted

DOCKER_HUB = "docker.io"
_MAX_NAME = 255
_SEPARATED = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_SEPARATED}(?:/{_SEPARATED})*")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_HUB_ALIASES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_OTHER_TRANSPORTS = ("oci:", "oci-archive:", "docker-archive:")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry, such as `docker.io` and `library/debian`."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


SCRATCH = Repository(DOCKER_HUB, "library/scratch")
"""No image, but a reserved word: builders begin with nothing where it stands, and nothing can be
pulled by that name (moby, `NoBaseImageSpecifier`)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a repository, by tag, by digest, or by both; then the digest counts."""

    repository: Repository
    tag: str | None
    digest: Digest | None = None

    @property
    def selector(self) -> str:
        """The tag or digest, as it follows `/manifests/` in the registry's API."""
        if self.digest is not None:
            return self.digest
        assert self.tag is not None, "a reference has a tag or a digest"
        return self.tag

    def at(self, digest: Digest) -> Reference:
        """The manifest `digest` of the same repository."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_reference(text: str) -> Reference:
    """Parse `[docker://]host[:port]/repo[:tag][@digest]`; add docker.io, library/ and latest.

    Raises BadReference, which names the part that is wrong.
    """
    rest = _without_transport(text)
    rest, at, digest_text = rest.partition("@")
    name, tag = _split_tag(rest)
    digest = _digest_part(text, digest_text) if at else None
    if tag is not None:
        check_tag(tag)
    if tag is None and digest is None:
        tag = "latest"
    return Reference(_parse_name(text, name), tag, digest)


def is_tag(text: str) -> bool:
    """Whether `text` is a valid tag. Registries may list tags that are not."""
    return _TAG.fullmatch(text) is not None


def is_repository_path(text: str) -> bool:
    """Whether `text` is the path of a repository, such as `library/debian`."""
    return len(text) <= _MAX_NAME and _PATH.fullmatch(text) is not None


def check_tag(tag: str) -> None:
    """Raise BadReference if `tag` is not a valid tag."""
    if not is_tag(tag):
        raise BadReference(
            f"{quoted(tag)} is not a tag; one has 1 to 128 letters, digits, '_', '.' or '-', and "
            "does not start with '.' or '-'"
        )


def parse_repository(text: str) -> Repository:
    """Parse `[docker://]host[:port]/repo`. Raises BadReference, also for a tag or digest."""
    rest = _without_transport(text)
    name, tag = _split_tag(rest)
    if tag is not None or "@" in rest:
        raise BadReference(
            f"{text!r} names an image", advice="give the repository alone, as in HOST/REPO"
        )
    return _parse_name(text, name)


def parse_host(text: str) -> str:
    """Parse `HOST` or `HOST:PORT` as references write it. Raises BadReference."""
    check_no_login(text)
    if not _is_host(text):
        raise BadReference(f"{text!r} is no host", advice="write HOST or HOST:PORT")
    _check_port(text, text)
    return canonical_host(text)


def looks_like_host(first: str) -> bool:
    """Whether the first part of a name is a host, and not the first part of a path."""
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def split_host(name: str) -> tuple[str, str]:
    """Split a name into host and path, neither of them checked; without a host, it is Docker Hub.

    The first part is a host if it has a dot, a port or a capital, or is `localhost`.
    """
    first, slash, rest = name.partition("/")
    if slash and looks_like_host(first):
        return first, rest
    return DOCKER_HUB, name


def canonical_host(host: str) -> str:
    """The host's name in references; Docker Hub has several others."""
    return DOCKER_HUB if host in _HUB_ALIASES else host


def check_no_login(text: str) -> None:
    """Raise BadReference, without the password, for a name that holds `user:password@`."""
    if has_login(text):
        raise BadReference(
            f"{quoted(masked(text))} holds a user and a password, which no name of an image may",
            advice="leave them out, and log in with `docker login` or `podman login`",
        )


def _without_transport(text: str) -> str:
    check_no_login(text)
    if text.startswith("docker://"):
        return text.removeprefix("docker://")
    if text.startswith(_OTHER_TRANSPORTS):
        kind = text.partition(":")[0]
        raise BadReference(
            f"{text!r}: no {kind!r} can stand here, only what is in a registry",
            advice="give HOST/REPO or HOST/REPO:TAG",
        )
    return text


def _split_tag(rest: str) -> tuple[str, str | None]:
    head, colon, tail = rest.rpartition(":")
    if colon and "/" not in tail and not tail.endswith("]"):
        return head, tail
    return rest, None


def _digest_part(text: str, digest: str) -> Digest:
    try:
        return parse_digest(digest)
    except FormatError as error:
        raise BadReference(f"{text!r} is not a reference: {error}") from error


def _parse_name(text: str, name: str) -> Repository:
    if not _IMAGE_ID.fullmatch(text) and (found := _sound_name(name)) is not None:
        return found
    return _checked_name(text, name)


@lru_cache(maxsize=4096)
def _sound_name(name: str) -> Repository | None:
    """The repository of a name, None for a wrong one. Lists of tags have the same name often."""
    try:
        return _checked_name(name, name)
    except BadReference:
        return None


def _checked_name(text: str, name: str) -> Repository:
    if _IMAGE_ID.fullmatch(text):
        raise BadReference(
            f"{text!r} is an image ID, which registries do not know", advice="give HOST/REPO"
        )
    host, path = split_host(name)
    if not _is_host(host):
        raise BadReference(f"{text!r} is not a reference: {host!r} is not a host name")
    _check_port(text, host)
    host = canonical_host(host)
    if host == DOCKER_HUB:
        path = path if "/" in path else f"library/{path}"
    if not _PATH.fullmatch(path):
        raise BadReference(
            f"{text!r} is not a reference: {path!r} is not a repository name",
            advice="names are lower case" if path != path.lower() else "",
        )
    if len(path) > _MAX_NAME:
        raise BadReference(f"{text!r} is not a reference: names end at {_MAX_NAME} characters")
    return Repository(host, path)


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None and _is_address_if_bracketed(text)


def _is_address_if_bracketed(host: str) -> bool:
    address, bracket, _ = host.removeprefix("[").partition("]")
    if not bracket:
        return True
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def _check_port(text: str, host: str) -> None:
    _, colon, port = host.rpartition("]")[2].partition(":")
    if colon and parse_port(port) is None:
        raise BadReference(
            f"{text!r}: {quoted(port)} is no port",
            advice=f"write one from 1 to {MOST_PORT}",
        )
