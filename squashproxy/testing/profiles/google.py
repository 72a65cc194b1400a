"""Google Artifact Registry."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BEARER, Habit, Profile

GOOGLE = Profile(
    "Google",
    RegistryOptions(
        auth=BEARER,
        ranged_uploads=False,
        deletes_tagged=False,
        tagged_refusal=400,
        lists_manifests=True,
    ),
    (
        Habit(
            "no PATCH with Content-Range",
            "dotnet/sdk-container-builds#287, which quotes the documentation",
        ),
        Habit(
            "a digest that tags point to is not deleted (400)",
            "genuinetools/reg#136, GoogleCloudPlatform/docker-credential-gcr#73",
        ),
        Habit(
            "tags are deleted by themselves",
            "genuinetools/reg#136",
        ),
        Habit(
            "lists of tags name manifests, with the time of their upload",
            "google/go-containerregistry: pkg/v1/google/list.go",
        ),
    ),
)
