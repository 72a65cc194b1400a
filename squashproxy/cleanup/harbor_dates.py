"""Push and pull dates from Harbor's API."""

from __future__ import annotations

from squashproxy.catalog.dates import parse_date
from squashproxy.digest import Digest
from squashproxy.registry.client import RemoteRepository


def harbor_dates(remote: RemoteRepository) -> tuple[dict[Digest, float], dict[Digest, float]]:
    """When each image was pushed and last pulled, in unix seconds; no entry where it was never
    pulled.
    """
    pushed: dict[Digest, float] = {}
    pulled: dict[Digest, float] = {}
    for artifact in remote.iter_harbor_artifacts():
        for dates, text in ((pushed, artifact.pushed), (pulled, artifact.pulled)):
            moment = parse_date(text)
            if moment is not None:
                dates[artifact.digest] = moment
    return pushed, pulled
