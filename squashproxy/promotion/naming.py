"""Where an image goes: the rule's `to`, filled in."""

from __future__ import annotations

from squashproxy.errors import BadReference, UsageError
from squashproxy.reference import (
    Reference,
    Repository,
    check_tag,
    parse_reference,
    parse_repository,
)

_WORDS = "{repo}, {path}, {name} and {tag}"


class TargetTemplate:
    """`HOST/REPO[:TAG]`, where a part may be named.

    `{path}` is the whole path of the source's repository, `{name}` its last part, `{repo}` what is
    left of it without the fixed folders of the rule's glob, `{tag}` the source's tag. `host` is the
    target registry. Raises UsageError for what cannot be filled in.
    """

    def __init__(self, text: str, fixed: str) -> None:
        self._text = text
        self._fixed = fixed
        sample = self.target(Repository("registry.example.com", f"{fixed}app"), "tag")
        self.host = sample.repository.host

    def target(self, source: Repository, tag: str) -> Reference:
        """Where an image with a tag goes."""
        head, colon, tail = self._text.rpartition(":")
        has_tag = bool(colon) and "/" not in tail
        values = {
            "path": source.path,
            "name": source.path.rpartition("/")[2],
            "repo": source.path.removeprefix(self._fixed),
            "tag": tag,
        }
        try:
            name = (head if has_tag else self._text).format(**values)
            written = tail.format(**values) if has_tag else tag
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise UsageError(
                f"to: {self._text!r} may hold {_WORDS}, nothing else in braces"
            ) from error
        try:
            check_tag(written)
            return parse_reference(f"{name}:{written}")
        except BadReference as error:
            raise UsageError(
                f"to: {self._text!r} is no target for {source}:{tag}: {error}"
            ) from error


def base_repository(text: str, host: str) -> Repository:
    """A repository that holds bases; without a host it is one of the target registry's."""
    first, slash, _ = text.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return parse_repository(text if named else f"{host}/{text}")
