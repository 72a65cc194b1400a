"""What runs before and after an image is promoted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

from squashproxy.config.choices import by_key
from squashproxy.config.section import Section
from squashproxy.config.value_types import Argument, Interval, Token, WebAddress


def _check_program(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0]:
        raise ValueError("this begins with an empty word; write the program first")
    return command


@dataclass(frozen=True, slots=True)
class CommandHook(Section):
    """A program with its arguments; it gets JSON on standard input, and 0 means go on."""

    command: Annotated[tuple[Argument, ...], Field(min_length=1), AfterValidator(_check_program)]
    timeout: Interval = 60.0
    """For the whole run, with all that the program leaves running on its output."""


@dataclass(frozen=True, slots=True)
class WebHook(Section):
    """An address that JSON is posted to; an answer below 300 means go on."""

    webhook: WebAddress = field(repr=False)
    token: Token | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`."""
    timeout: Interval = 30.0
    """For the whole call."""


Hook = Annotated[CommandHook | WebHook, by_key({"command": CommandHook, "webhook": WebHook})]


@dataclass(frozen=True, slots=True)
class Hooks(Section):
    """What runs around each image; one that fails before stops the image."""

    before: Hook | None = None
    after: Hook | None = None
