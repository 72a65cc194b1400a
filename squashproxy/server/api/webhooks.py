"""Notifications of registries about pushed images.

The formats are distribution's (`application/vnd.docker.distribution.events.v1+json`) and Harbor's
webhooks (`PUSH_ARTIFACT`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from squashproxy.errors import BadReference, FormatError
from squashproxy.oci.manifest import parse_json_object
from squashproxy.reference import Reference, parse_reference

_HARBOR_PUSHES = frozenset({"PUSH_ARTIFACT", "pushImage"})


def read_pushes(data: bytes, upstream_by_host: Mapping[str, str]) -> list[Reference]:
    """The pushed tags that a notification names, each once; only those of upstreams.

    `upstream_by_host` maps the hosts that registries call themselves to upstreams. Raises
    FormatError for anything that is not a notification.
    """
    document = parse_json_object(data, "the notification")
    if isinstance(document.get("events"), list):
        found = _of_distribution(document["events"])
    elif "event_data" in document and "type" in document:
        found = _of_harbor(document)
    else:
        raise FormatError(
            "this is no notification of distribution's nor of Harbor's",
            advice="send one of the two",
        )
    return list(dict.fromkeys(_upstreams_only(found, upstream_by_host)))


def _of_distribution(events: list[Any]) -> Iterator[tuple[str, str, str]]:
    """Host, repository and tag of each push of a manifest."""
    for event in events:
        if not isinstance(event, dict) or event.get("action") != "push":
            continue
        target, request = _object(event.get("target")), _object(event.get("request"))
        host = _host_of(_text(target.get("url"))) or _text(request.get("host"))
        repository, tag = _text(target.get("repository")), _text(target.get("tag"))
        if repository and tag:
            yield host, repository, tag


def _of_harbor(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if _text(document["type"]) not in _HARBOR_PUSHES:
        return
    resources = _object(document["event_data"]).get("resources")
    for resource in resources if isinstance(resources, list) else []:
        url = _text(_object(resource).get("resource_url"))
        host, slash, rest = url.removeprefix("https://").removeprefix("http://").partition("/")
        name, colon, tag = rest.rpartition(":")
        if slash and colon and "@" not in name:
            yield host, name, tag


def _upstreams_only(
    found: Iterator[tuple[str, str, str]], upstream_by_host: Mapping[str, str]
) -> Iterator[Reference]:
    for host, repository, tag in found:
        upstream = upstream_by_host.get(host)
        if upstream is None:
            continue
        try:
            yield parse_reference(f"{upstream}/{repository}:{tag}")
        except BadReference:
            continue


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _text(value: object) -> str:
    """A value that has to be a text; what is none names nothing."""
    return value if isinstance(value, str) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
