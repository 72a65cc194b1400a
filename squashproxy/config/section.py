"""What all sections of the file have in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict


class Section:
    """A frozen dataclass that takes the keys of its fields, and no others."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, use_attribute_docstrings=True
    )
