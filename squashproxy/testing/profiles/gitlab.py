"""The container registry of GitLab."""

from __future__ import annotations

from dataclasses import replace

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BEARER, Habit, Profile

GITLAB = Profile(
    "GitLab",
    RegistryOptions(
        auth=replace(BEARER, lifetime=300.0),
        referrers=False,
        dashed_digests=True,
    ),
    (
        Habit(
            "a token lasts five minutes",
            "docs.gitlab.com/administration/packages/container_registry: token duration",
        ),
        Habit(
            "a tag is deleted by itself",
            "gitlab-org/container-registry: docs/spec/api.md, commit a72ecc08",
        ),
        Habit(
            "there is no referrers API, and a tag sha256-HEX is taken for the digest",
            "oras-project/oras-go#1396",
        ),
    ),
)
