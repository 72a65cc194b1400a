"""Globs as regular expressions: `*`, `?`, `[a-z]` and `[!a-z]`, as in fnmatch.

`*` and `?` match slashes too; `[^a]` matches `^` or `a`. A range that runs backwards matches
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.rules.expressions import Expression, check_length, compile_expression

WILD = frozenset("*?[")
"""The characters that make a name a glob."""
_NOTHING = r"[^\x{0}-\x{10FFFF}]"


def compile_glob(glob: str) -> Expression:
    """Parse a glob. Raises ValueError where it is empty or too long."""
    if not glob:
        raise ValueError("an empty pattern matches nothing; write * for every name")
    check_length(glob)
    return compile_expression(f"(?s:{''.join(_parts(glob))})", glob)


def _parts(glob: str) -> Iterator[str]:
    at = 0
    while at < len(glob):
        character = glob[at]
        end = _class_end(glob, at) if character == "[" else None
        if end is not None:
            yield _class(glob[at + 1 : end])
            at = end
        elif character == "*":
            if not glob.startswith("**", at):
                yield ".*"
        else:
            yield "." if character == "?" else _escaped(character)
        at += 1


def _class_end(glob: str, start: int) -> int | None:
    """The offset of the `]` that closes the class; None if its `[` is an ordinary character.

    A `]` at the start of the class, or after a `!` at its start, belongs to the class.
    """
    first = start + 1 + glob.startswith("!", start + 1)
    end = glob.find("]", first + 1)
    return None if end < 0 else end


def _class(body: str) -> str:
    negated = body.startswith("!")
    ranges = list(_ranges(body[1:] if negated else body))
    if not ranges:
        return "." if negated else _NOTHING
    inside = "".join(f"{_escaped(first)}-{_escaped(last)}" for first, last in ranges)
    return f"[{'^' if negated else ''}{inside}]"


def _ranges(body: str) -> Iterator[tuple[str, str]]:
    """The first and last character of each range; a hyphen at either end is an ordinary one."""
    at = 0
    while at < len(body):
        is_range = body.startswith("-", at + 1) and at + 2 < len(body)
        first, last = body[at], body[at + 2] if is_range else body[at]
        if first <= last:
            yield first, last
        at += 3 if is_range else 1


def _escaped(character: str) -> str:
    return rf"\x{{{ord(character):X}}}"
