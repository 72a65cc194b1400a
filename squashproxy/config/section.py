"""The base class of all sections."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict


class Section:
    """A frozen dataclass whose fields are the only keys allowed."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, use_attribute_docstrings=True
    )
