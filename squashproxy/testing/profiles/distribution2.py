"""Distribution 2, as in Debian."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions, TagDeletion
from squashproxy.testing.profiles.profile import Habit, Profile

DISTRIBUTION2 = Profile(
    "distribution 2",
    RegistryOptions(
        tag_deletion=TagDeletion.REFUSED,
        referrers=False,
        last=False,
        lists_empty=False,
        resumable_uploads=False,
        most_asked=1000,
    ),
    (
        Habit(
            "manifests are deleted by digest only (400)",
            "distribution/distribution#3174, #3234",
        ),
        Habit(
            "tags are listed whole, whatever n and last say",
            "distribution/distribution#1936",
        ),
        Habit(
            "a repository without tags is unknown (404 NAME_UNKNOWN)",
            "distribution/distribution: registry/handlers/tags.go",
        ),
        Habit(
            "an upload whose PATCH broke off is gone",
            "distribution/distribution: registry/handlers/blobupload.go",
        ),
        Habit(
            "there is no referrers API",
            "oras-project/rust-oci-client#259",
        ),
    ),
)
