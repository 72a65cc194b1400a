"""Docker Hub."""

from __future__ import annotations

from dataclasses import replace

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BEARER, Habit, Profile

DOCKER_HUB = Profile(
    "Docker Hub",
    RegistryOptions(
        auth=replace(BEARER, anonymous_pull=True, lifetime=300.0),
        deletes=False,
        referrers=False,
        redirects_blobs=True,
    ),
    (
        Habit(
            "anybody gets a token to pull, for five minutes",
            "docker/buildx#324, moby/moby#33558",
        ),
        Habit(
            "manifests and tags are not deleted (405)",
            "docker/hub-feedback#2360, goharbor/harbor#7369",
        ),
        Habit(
            "there is no referrers API",
            "docker/roadmap#724",
        ),
        Habit(
            "blobs are read from another host, by a signed address",
            "docs.docker.com: allow list; open-policy-agent/opa#6580 for the Authorization header",
        ),
    ),
)
