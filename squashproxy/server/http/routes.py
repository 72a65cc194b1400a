"""Paths of the pull API (OCI distribution specification 1.1, endpoints)."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from squashproxy.errors import BadReference
from squashproxy.reference import DOCKER_HUB, Repository, canonical_host, parse_repository
from squashproxy.server.http.errors import name_invalid, name_unknown

_OLD_HUB = "registry.hub.docker.com"
_MAX_PATH = 512
_PUSH = re.compile(r"/v2/(?P<name>[^?]+)/blobs/uploads(?:/.*)?")
_PULL = re.compile(
    r"/v2/(?P<name>.+?)/(?:(?P<kind>manifests|blobs|referrers)/(?P<selector>[^/]+)"
    r"|(?P<list>tags/list))"
)


class Kind(Enum):
    """The endpoints."""

    BASE = "base"
    MANIFEST = "manifest"
    BLOB = "blob"
    TAGS = "tags"
    REFERRERS = "referrers"
    UPLOAD = "upload"


_KINDS = {"manifests": Kind.MANIFEST, "blobs": Kind.BLOB, "referrers": Kind.REFERRERS}


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed path; `selector` is a tag or a digest, unchecked."""

    kind: Kind
    name: str = ""
    selector: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamNames:
    """Resolves names to repositories of the upstreams; all other hosts are refused.

    `default` is the upstream of names without a host, None if they are refused, too.
    """

    upstreams: AbstractSet[str]
    default: str | None = None

    def find(self, name: str, namespace: str | None) -> Repository:
        """The repository that a name means.

        `namespace` is the host that clients send to a mirror as `?ns=`. BuildKit sends it although
        the path begins with the host, too. Raises ApiError (404 NAME_UNKNOWN, 400 NAME_INVALID).
        """
        if namespace is not None:
            host = self._allowed(namespace)
            return _repository(host, name.removeprefix(f"{namespace}/"))
        host, slash, path = name.partition("/")
        if slash and _canonical(host) in self.upstreams:
            return _repository(_canonical(host), path)
        if self.default is not None:
            return _repository(self.default, name)
        raise name_unknown(
            f"{name} names no upstream; ask for HOST/REPO, or with ?ns=HOST, "
            f"where HOST is {self._choices}"
        )

    def _allowed(self, namespace: str) -> str:
        host = _canonical(namespace)
        if host not in self.upstreams:
            raise name_unknown(f"{namespace!r} is no upstream here; there is {self._choices}")
        return host

    @property
    def _choices(self) -> str:
        return " or ".join(sorted(self.upstreams))


def _canonical(host: str) -> str:
    """A host as references name it; old mirrors use one more name of Docker Hub."""
    return DOCKER_HUB if host == _OLD_HUB else canonical_host(host)


def parse_path(path: str) -> Route | None:
    """Parse a raw path; None if it is not of the API.

    Nothing is percent-decoded, since no valid name needs that. Raises ApiError, 400, for a path
    that is too long or has a percent sign.
    """
    if path in ("/v2/", "/v2"):
        return Route(Kind.BASE)
    if not path.startswith("/v2/"):
        return None
    if len(path) > _MAX_PATH or "%" in path:
        raise name_invalid("that path is no name of a repository")
    if (upload := _PUSH.fullmatch(path)) is not None:
        return Route(Kind.UPLOAD, upload["name"])
    match = _PULL.fullmatch(path)
    if match is None:
        return None
    if match["list"]:
        return Route(Kind.TAGS, match["name"])
    return Route(_KINDS[match["kind"]], match["name"], match["selector"])


def _repository(host: str, path: str) -> Repository:
    try:
        return parse_repository(f"{host}/{path}")
    except BadReference as error:
        raise name_invalid(str(error)) from error
