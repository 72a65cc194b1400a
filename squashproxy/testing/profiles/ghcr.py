"""GitHub Container Registry."""

from __future__ import annotations

from dataclasses import replace

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BEARER, Habit, Profile

GHCR = Profile(
    "GHCR",
    RegistryOptions(
        auth=replace(BEARER, anonymous_pull=True),
        deletes=False,
        referrers=False,
        referrers_status=303,
        chunk_max_length=4 << 20,
    ),
    (
        Habit(
            "nothing is deleted (405)",
            "fluxcd/pkg#328, containers/skopeo#1880",
        ),
        Habit(
            "there is no referrers API: the answer leads to its web site",
            "artifacthub/hub#4785, actions/attest-build-provenance#91",
        ),
        Habit(
            "a PATCH with Content-Range holds at most 4 MiB (416)",
            "oras-project/rust-oci-client#35, ocx-sh/ocx#237",
        ),
    ),
)
