"""Harbor."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions, TagDeletion
from squashproxy.testing.profiles.profile import BEARER, Habit, Profile

HARBOR = Profile(
    "Harbor",
    RegistryOptions(
        auth=BEARER,
        harbor=True,
        tag_deletion=TagDeletion.REFUSED,
    ),
    (
        Habit(
            "/v2/ deletes by digest only; tags go through its own API",
            "goharbor/harbor: src/server/registry/manifest.go",
        ),
        Habit(
            "its own API takes passwords, no tokens",
            "goharbor/harbor: src/server/middleware/security/v2_token.go",
        ),
        Habit(
            "it lists referrers",
            "goharbor/harbor: src/server/registry/referrers.go",
        ),
    ),
)
