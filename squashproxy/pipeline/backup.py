"""Backup tags: they keep an image that a tag is about to move from, or a signed original."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import BadReference, SquashproxyError, UsageError
from squashproxy.reference import check_tag
from squashproxy.template import fill
from squashproxy.transports.base import ImageSink
from squashproxy.transports.documents import short

_DIGITS = 12
_ANY_DIGEST = Digest("sha256:" + "0" * _DIGITS)


class BackupTaken(SquashproxyError):
    """The backup's tag points to another image, which would lose that tag."""


def fill_tag(template: str, tag: str, digest: Digest | None) -> str:
    """The tag that a template gives for an image.

    The template may contain `{tag}` and `{digest}` (its first 12 digits); without a digest, zeros
    are used. Raises UsageError where the result is no valid tag, or is the image's own tag.
    """
    hexadecimal = (digest or _ANY_DIGEST).partition(":")[2][:_DIGITS]
    try:
        name = fill(template, {"tag": tag, "digest": hexadecimal})
        check_tag(name)
    except BadReference as error:
        raise UsageError(f"{template!r}: {error}") from error
    except ValueError as error:
        raise UsageError(
            f"{template!r}: a template may hold {{tag}} and {{digest}}, nothing else in braces"
        ) from error
    if name == tag:
        raise UsageError(
            f"{template!r} gives {name!r}, the very tag that is to be replaced",
            advice="add the digest to it",
        )
    return name


def backup_tag(template: str | None, tag: str, existing: Digest | None) -> str | None:
    """The tag for `existing` before `tag` moves; None where no backup is wanted.

    Raises UsageError for an invalid template.
    """
    if template is None:
        return None
    try:
        return fill_tag(template, tag, existing)
    except UsageError as error:
        raise UsageError(f"the backup's tag: {error.fact}", advice=error.advice) from error


def check_backup(sink: ImageSink, existing: Digest, spare: str) -> bool:
    """Whether the backup tag `spare` must be written for `existing`; false where it points there
    already.

    Raises BackupTaken where it points to another image, since that may be its only tag.
    """
    found = sink.find_manifest(spare)
    if found is not None and found != existing:
        raise BackupTaken(
            f"the old image of {sink.name}, {short(existing)}, would be kept as {spare}, but that "
            f"tag points to another image, {short(found)}",
            advice="add the digest to the template of backups, or remove that tag",
        )
    return found is None


def write_backup(sink: ImageSink, existing: Digest, spare: str) -> None:
    """Point the tag `spare` to an image. Raises BackupTaken where the tag is taken by now."""
    if check_backup(sink, existing, spare):
        sink.write_manifest(sink.read_manifest(existing), spare)
