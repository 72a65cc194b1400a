"""A profile: the habits of one registry, each with its source."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.testing.options import Basic, Bearer, RegistryOptions

USER = "ann"
PASSWORD = "s3cret"  # noqa: S105 - it opens registries on loopback, for the time of a test
IDENTITY_TOKEN = "an identity token"  # noqa: S105 - as above


@dataclass(frozen=True, slots=True)
class Habit:
    """Something that a registry does; `source` is where that is written."""

    what: str
    source: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A registry's habits, and the options that make a FakeRegistry behave so.

    `options.auth`, if there is one, lets USER in with PASSWORD.
    """

    name: str
    options: RegistryOptions
    habits: tuple[Habit, ...]

    @property
    def login(self) -> tuple[str, str] | None:
        """The user and password, None where everybody may do everything."""
        auth = self.options.auth
        return None if auth is None else (auth.user, auth.password)


BASIC = Basic(USER, PASSWORD)
BEARER = Bearer(USER, PASSWORD)
