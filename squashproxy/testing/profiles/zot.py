"""zot."""

from __future__ import annotations

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BASIC, Habit, Profile

ZOT = Profile(
    "zot",
    RegistryOptions(
        auth=BASIC,
        stale_ranges=True,
    ),
    (
        Habit(
            "a tag is deleted by itself",
            "project-zot/zot#2626",
        ),
        Habit(
            "the Range of a PATCH is smaller than what arrived",
            "regclient/regclient#961",
        ),
        Habit(
            "it lists referrers",
            "project-zot/zot#2506",
        ),
    ),
)
