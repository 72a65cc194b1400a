"""Distribution 3."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import Habit, Profile

DISTRIBUTION3 = Profile(
    "distribution 3",
    RegistryOptions(
        referrers=False,
        lists_empty=False,
        most_asked=1000,
    ),
    (
        Habit(
            "a tag is deleted by itself",
            "distribution/distribution: registry/handlers/manifests.go",
        ),
        Habit(
            "no more than a thousand tags or repositories in a page (400)",
            "distribution/distribution#4844",
        ),
        Habit(
            "a repository without tags is unknown (404 NAME_UNKNOWN)",
            "distribution/distribution: registry/handlers/tags.go",
        ),
        Habit(
            "there is no referrers API",
            "oras-project/rust-oci-client#259",
        ),
    ),
)
