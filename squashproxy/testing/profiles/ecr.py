"""Amazon Elastic Container Registry."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BASIC, Habit, Profile

ECR = Profile(
    "ECR",
    RegistryOptions(
        auth=BASIC,
        deletes=False,
        deletion_refusal=404,
        creates=False,
        mounts_unnamed=False,
        patch_status=201,
        stale_ranges=True,
        redirects_blobs=True,
    ),
    (
        Habit(
            "the password goes along as Basic",
            "docs.aws.amazon.com/AmazonECR: registry_auth, HTTP API authentication",
        ),
        Habit(
            "DELETE answers 404 and deletes nothing",
            "fluxcd/pkg#328",
        ),
        Habit(
            "a repository has to exist before a push",
            "goharbor/harbor#22858",
        ),
        Habit(
            "only blobs that a manifest names are mounted",
            "aws/containers-roadmap#2860",
        ),
        Habit(
            "PATCH is answered by 201, and Range stays where the first one ended",
            "aws/containers-roadmap#2831, dotnet/sdk#33019",
        ),
        Habit(
            "blobs are read from another host, which refuses an Authorization header",
            "open-policy-agent/opa#6580",
        ),
        Habit(
            "it lists referrers",
            "docs.aws.amazon.com/AmazonECR/latest/userguide/images.html",
        ),
    ),
)
