"""Artifactory."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BEARER, Habit, Profile

ARTIFACTORY = Profile(
    "Artifactory",
    RegistryOptions(
        auth=BEARER,
        mounts=False,
        strict_accept=True,
        whole_uploads=False,
    ),
    (
        Habit(
            "a mount is an upload session",
            "bazel-contrib/rules_img: docs/registry-support.md",
        ),
        Habit(
            "lists asked for with an Accept of manifests get 406",
            "renovatebot/renovate#3124, deitch/docker_registry2#40",
        ),
        Habit(
            "a PUT of a whole blob, without a PATCH before it, is refused",
            "containerd/containerd#3533",
        ),
    ),
)
