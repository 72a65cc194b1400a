"""What runs before and after an image is promoted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from squashproxy.config.choices import by_key
from squashproxy.config.forms import Interval, WebAddress
from squashproxy.config.section import Section


@dataclass(frozen=True, slots=True)
class CommandHook(Section):
    """A program with its arguments; it gets JSON on standard input, and 0 means go on."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    timeout: Interval = 60.0


@dataclass(frozen=True, slots=True)
class WebHook(Section):
    """An address that JSON is posted to; an answer below 300 means go on."""

    webhook: WebAddress = field(repr=False)
    token: str | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`."""
    timeout: Interval = 30.0


Hook = Annotated[CommandHook | WebHook, by_key({"command": CommandHook, "webhook": WebHook})]


@dataclass(frozen=True, slots=True)
class Hooks(Section):
    """What runs around each image; one that fails before stops the image."""

    before: Hook | None = None
    after: Hook | None = None
