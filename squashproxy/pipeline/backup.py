"""Where the old image of a tag goes (`--backup TEMPLATE`)."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import BadReference, UsageError
from squashproxy.reference import check_tag

_DIGITS = 12


def backup_tag(template: str | None, tag: str, existing: Digest | None) -> str | None:
    """The tag that `existing` gets before `tag` moves; None where nothing is to be kept.

    A template may hold `{tag}` and `{digest}` (12 digits). Raises UsageError for a bad one.
    """
    if template is None:
        return None
    digest = (existing or "sha256:" + "0" * _DIGITS).partition(":")[2][:_DIGITS]
    try:
        name = template.format(tag=tag, digest=digest)
        check_tag(name)
    except BadReference as error:
        raise UsageError(f"--backup {template!r}: {error}") from error
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise UsageError(
            f"--backup {template!r}: a template may hold {{tag}} and {{digest}}, nothing else in "
            "braces"
        ) from error
    if name == tag:
        raise UsageError(
            f"--backup {template!r} gives {name!r}, the very tag that is to be replaced; add "
            "something to it, as in '{tag}-{digest}'"
        )
    return name
