"""Nexus Repository."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BASIC, Habit, Profile

NEXUS = Profile(
    "Nexus",
    RegistryOptions(
        auth=BASIC,
        head_manifests=False,
        referrers=False,
    ),
    (
        Habit(
            "HEAD of a manifest answers 404",
            "crazy-max/diun#1614, andrey-pohilko/registry-cli#43",
        ),
        Habit(
            "an index whose images are absent is refused",
            "regclient/regclient#836",
        ),
    ),
)
