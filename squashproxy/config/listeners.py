"""The forms of an address to listen on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationInfo

from squashproxy.config.choices import validated
from squashproxy.config.section import Section
from squashproxy.config.value_types import Address, Host


@dataclass(frozen=True, slots=True)
class WrittenListener(Section):
    """An address, and the upstream that names without a host mean there."""

    address: Address
    upstream: Host | None = None


def written_listener(value: Any, info: ValidationInfo) -> WrittenListener:
    """Parse `HOST:PORT` or {address, upstream}. Raises what pydantic's validators raise."""
    if not isinstance(value, (str, dict)):
        raise ValueError(  # noqa: TRY004 - pydantic wants this one
            "this is no address; write HOST:PORT, or {address: HOST:PORT, upstream: HOST}"
        )
    form = {"address": value} if isinstance(value, str) else value
    return validated(WrittenListener, form, info)


_ONE_LISTENER: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "examples": ["127.0.0.1:5000"]},
        {
            "type": "object",
            "properties": {"address": {"type": "string"}, "upstream": {"type": "string"}},
            "required": ["address"],
            "additionalProperties": False,
        },
    ]
}
LISTEN_SCHEMA: dict[str, Any] = {
    "anyOf": [*_ONE_LISTENER["anyOf"], {"type": "array", "items": _ONE_LISTENER, "minItems": 1}]
}
