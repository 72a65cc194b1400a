"""Regular expressions that cannot hang: RE2's time is proportional to expression times name.

`re` tries every way in which nested repetitions can match, which takes forever with `(a+)+` and
forty letters. RE2 has no look-around and no back references for that reason
(https://github.com/google/re2/wiki/Syntax), and its memory is bounded. Everything that is known
about its Python binding, which has no types, is in this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

MOST_CHARACTERS = 1024
"""The most characters in an expression or a glob."""
_MOST_MEMORY = 2 << 20
_MOST_PROGRAMS = 1000
_MOST_REPEATED = 1000
"""RE2's own limit, for `x{1000}` and for `(x{40}){25}` alike."""
_LONGEST_SEARCHED = 1024
"""The longest name in which groups are looked for: eight times the longest tag."""

_REPETITION = re.compile(r"\{(\d*)(,?)(\d*)\}", re.ASCII)
_HALVES = re.compile("[\ud800-\udfff]")
_HALF = "half a character"
_LOOK_AROUND = ("(?=", "(?!", "(?<=", "(?<!")
_BACK_REFERENCE = re.compile(r"\\[1-9kg]")


@dataclass(frozen=True, slots=True)
class Expression:
    """A regular expression for RE2; `has_groups` says whether the texts of groups are kept."""

    source: str
    has_groups: bool = False

    def matches(self, name: str) -> bool:
        """Whether it matches the whole name."""
        return _program(self).fullmatch(_encodable(name)) is not None

    def search(self, name: str) -> tuple[str | None, ...] | None:
        """The first match, and the text of each group; None without a match.

        Names of more than 1,024 characters are not searched; no tag is that long.
        """
        if len(name) > _LONGEST_SEARCHED:
            return None
        found = _program(self).search(_encodable(name))
        return None if found is None else (found.group(), *found.groups())


def compile_expression(source: str, text: str, *, captures: bool = False) -> Expression:
    """Parse an expression as a rule writes it.

    Groups are kept only where that is asked for, since it costs time. Raises ValueError.
    """
    check_length(text)
    found = Expression("".join(_as_re2(source, text)), captures)
    try:
        groups = _program(found).groups
    except ValueError as error:
        raise ValueError(_refusal(text, str(error))) from error
    return replace(found, has_groups=groups > 0)


@lru_cache(_MOST_PROGRAMS)
def _program(expression: Expression) -> Any:
    """Compile an expression. The program is kept apart from it, so that rules remain plain data.

    Raises ValueError with RE2's message.
    """
    import re2  # noqa: PLC0415 - the first pattern loads it; most verbs have none

    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    options.never_capture = not expression.has_groups
    try:
        return re2.compile(expression.source, options)
    except re2.error as error:
        said = error.args[0] if error.args else b""
        raise ValueError(said.decode("utf-8", "replace")) from error
    except UnicodeEncodeError as error:
        raise ValueError(_HALF) from error


def check_length(text: str) -> None:
    """Raise ValueError for a pattern that is too long."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"a pattern of {len(text):,} characters is too long; write one of at most "
            f"{MOST_CHARACTERS:,}, or several"
        )


def _encodable(name: str) -> str:
    """The name, with half a surrogate pair, which a registry may send, as some other character."""
    return name if name.isascii() else _HALVES.sub("\ufffd", name)


def _as_re2(source: str, text: str) -> Iterator[str]:
    """The expression for RE2, with repetitions written so that they mean the same as in Python.

    RE2 reads `{,3}`, and a number that is too large for it, as these very characters: the pattern
    would match nothing, without any error.
    """
    at = 0
    while at < len(source):
        length = 1
        if source[at] == "\\":
            length = 2
        elif source[at] == "[":
            length = _class_length(source, at)
        elif (match := _REPETITION.match(source, at)) and match[0] != "{}":
            yield _repetition(match, text)
            at = match.end()
            continue
        yield source[at : at + length]
        at += length


def _class_length(source: str, start: int) -> int:
    """The number of characters of `[...]`; of the whole rest if the class does not end."""
    at = start + 1
    at += source.startswith("^", at)
    at += source.startswith("]", at)
    while at < len(source) and source[at] != "]":
        at += 2 if source[at] == "\\" else 1
    return at + 1 - start


def _repetition(match: re.Match[str], text: str) -> str:
    least, comma, most = match.groups()
    if max(int(least or 0), int(most or 0)) > _MOST_REPEATED:
        raise ValueError(_refusal(text, "invalid repetition size"))
    return f"{{{least or 0}{comma}{most}}}"


def _refusal(text: str, said: str) -> str:
    """RE2's message, with advice if Python's `re` would have accepted the expression."""
    part = said.rpartition(": ")[2]
    if part.startswith(_LOOK_AROUND):
        what = (
            f"looks around with {part}, which is not read here, as it cannot be done in bounded "
            "time; write what must not match as a pattern of its own under 'exclude'"
        )
    elif _BACK_REFERENCE.match(part) or "(?P=" in text:
        what = (
            "refers back to a group, which is not read here, as it cannot be done in bounded time; "
            "write out what may repeat"
        )
    elif part in (r"\Z", r"\G"):
        what = f"holds {part}, which is not read here; leave it out, or write $"
    elif "repetition size" in said:
        what = (
            f"repeats something more than {_MOST_REPEATED:,} times, all repetitions in each other "
            "multiplied; write + or * for any number"
        )
    elif said == _HALF:
        what = f"holds {said}; write it in UTF-8"
    elif "too large" in said:
        what = "is too large an expression; write a shorter one, or several"
    else:
        what = f"is no regular expression that can be used here: {said}; mend it"
    return f"{text!r} {what}"
