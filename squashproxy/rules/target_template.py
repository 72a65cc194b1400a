"""The target of an image: a promotion rule's `to`, filled in."""

from __future__ import annotations

from squashproxy.errors import BadReference, UsageError
from squashproxy.reference import (
    Reference,
    Repository,
    check_tag,
    parse_reference,
    parse_repository,
)
from squashproxy.template import fill

_WORDS = "{repo}, {path}, {name} and {tag}"


class TargetTemplate:
    """A template `HOST/REPO[:TAG]`.

    `{path}` is the source repository's whole path, `{name}` its last part, `{repo}` the path
    without the fixed folders of the rule's glob, `{tag}` the source's tag. `host` is the target
    registry. Raises UsageError for a template that cannot be filled in.
    """

    def __init__(self, text: str, fixed: str) -> None:
        self._text = text
        self._fixed = fixed
        sample = self.target(Repository("registry.example.com", f"{fixed}app"), "tag")
        self.host = sample.repository.host

    def target(self, source: Repository, tag: str) -> Reference:
        """The target of an image with a tag. Raises UsageError where the name is invalid."""
        name, written = self._filled(source, tag)
        try:
            check_tag(written)
            return parse_reference(f"{name}:{written}")
        except BadReference as error:
            raise UsageError(
                f"to: {self._text!r} is no target for {source}:{tag}: {error}"
            ) from error

    def guess(self, source: Repository, tag: str) -> Reference:
        """The target if names had no greatest length; for looking ahead only."""
        try:
            return self.target(source, tag)
        except UsageError:
            name, written = self._filled(source, tag)
            path = name.removeprefix("docker://").removeprefix(f"{self.host}/")
            return Reference(Repository(self.host, path), written)

    def _filled(self, source: Repository, tag: str) -> tuple[str, str]:
        head, colon, tail = self._text.rpartition(":")
        has_tag = bool(colon) and "/" not in tail
        values = {
            "path": source.path,
            "name": source.path.rpartition("/")[2],
            "repo": source.path.removeprefix(self._fixed),
            "tag": tag,
        }
        try:
            name = fill(head if has_tag else self._text, values)
            return name, fill(tail, values) if has_tag else tag
        except ValueError as error:
            raise UsageError(
                f"to: {self._text!r} may hold {_WORDS}, nothing else in braces"
            ) from error


def base_repository(text: str, host: str) -> Repository:
    """A repository that holds base images; without a host it is in the target registry."""
    first, slash, _ = text.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return parse_repository(text if named else f"{host}/{text}")
