"""Quay."""

from __future__ import annotations

from dataclasses import replace

from squashproxy.testing.options import RegistryOptions
from squashproxy.testing.profiles.profile import BEARER, Habit, Profile

QUAY = Profile(
    "Quay",
    RegistryOptions(
        auth=replace(
            BEARER,
            known_actions=frozenset({"pull", "push", "*"}),
            delete_actions=frozenset({"pull", "push"}),
            lifetime=3600.0,
        ),
        empty_type="text/html; charset=utf-8",
    ),
    (
        Habit(
            "the token service answers 400 to the action delete",
            "quay/quay: endpoints/v2/v2auth.py, SCOPE_REGEX_TEMPLATE",
        ),
        Habit(
            "a deletion needs pull and push",
            "quay/quay: endpoints/v2/manifest.py, delete_manifest_by_tag",
        ),
        Habit(
            "a tag is deleted by itself",
            "quay/quay: endpoints/v2/manifest.py, delete_manifest_by_tag",
        ),
        Habit(
            "empty answers are labelled text/html, which is the default of its framework",
            "quay/quay: endpoints/v2/manifest.py, Response(status=202); Flask",
        ),
        Habit(
            "it lists referrers",
            "quay/quay: endpoints/v2/referrers.py",
        ),
    ),
)
