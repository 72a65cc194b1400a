"""Hooks: commands and webhooks that run before and after the promotion of an image."""

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
    """A command with its arguments. It gets JSON on standard input; exit code 0 means success."""

    command: Annotated[tuple[Argument, ...], Field(min_length=1), AfterValidator(_check_program)]
    timeout: Interval = 60.0
    """The time for the whole run, including processes that hold its output open."""


@dataclass(frozen=True, slots=True)
class WebHook(Section):
    """An address to post JSON to; a status below 300 means success."""

    webhook: WebAddress = field(repr=False)
    token: Token | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`."""
    timeout: Interval = 30.0
    """The time for the whole call."""


Hook = Annotated[CommandHook | WebHook, by_key({"command": CommandHook, "webhook": WebHook})]


@dataclass(frozen=True, slots=True)
class Hooks(Section):
    """The hooks around each image. If the first one fails, the image is not promoted."""

    before: Hook | None = None
    after: Hook | None = None
