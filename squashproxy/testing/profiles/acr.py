"""Azure Container Registry."""

from __future__ import annotations

from dataclasses import replace

from squashproxy.testing.options import RegistryOptions, TagDeletion
from squashproxy.testing.profiles.profile import BEARER, IDENTITY_TOKEN, Habit, Profile

ACR = Profile(
    "ACR",
    RegistryOptions(
        auth=replace(BEARER, refresh_token=IDENTITY_TOKEN),
        tag_deletion=TagDeletion.REFUSED,
        tag_refusal=405,
    ),
    (
        Habit(
            "manifests are deleted by digest only",
            "fluxcd/pkg#328",
        ),
        Habit(
            "an identity token is exchanged for tokens",
            "github.com/Azure/acr: docs/AAD-OAuth.md",
        ),
        Habit(
            "it lists referrers",
            "learn.microsoft.com/cli/azure/acr/manifest: list-referrers",
        ),
    ),
)
