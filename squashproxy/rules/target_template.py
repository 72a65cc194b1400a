"""The target of an image: a promotion rule's `to`, filled in."""

from __future__ import annotations

from collections.abc import Mapping

from squashproxy.host import host_key
from squashproxy.reference import (
    DOCKER_HUB,
    Reference,
    Repository,
    check_no_login,
    check_tag,
    parse_reference,
    parse_repository,
    split_host,
)
from squashproxy.rules.patterns import parse_glob
from squashproxy.template import fill

_WORDS = "{repo}, {path}, {name} and {tag}"
_ANYTHING = dict.fromkeys(("repo", "path", "name", "tag"), "*")


class TargetTemplate:
    """A template `HOST/REPO[:TAG]`.

    `{path}` is the source repository's whole path, `{name}` its last part, `{repo}` the path
    without the fixed folders of the rule's glob, `{tag}` the source's tag. `host` is the target
    registry. Raises ValueError for a template that cannot be filled in.
    """

    def __init__(self, text: str, fixed: str) -> None:
        check_no_login(text)
        self._text = text
        self._fixed = fixed
        sample = self.target(Repository("registry.example.com", f"{fixed}app"), "tag")
        self.host = sample.repository.host

    def may_lead_to(self, repository: Repository) -> bool:
        """Whether some source could have a target in this repository."""
        name, _ = self._filled(_ANYTHING)
        host, path = split_host(name.removeprefix("docker://"))
        if host_key(host) != host_key(repository.host):
            return False
        spellings = {repository.path}
        if repository.host == DOCKER_HUB:
            spellings.add(repository.path.removeprefix("library/"))
        return any(map(parse_glob(path).matches, spellings))

    def target(self, source: Repository, tag: str) -> Reference:
        """The target of an image with a tag. Raises ValueError where the name is invalid."""
        name, written = self._filled(self._values(source, tag))
        try:
            check_tag(written)
            return parse_reference(f"{name}:{written}")
        except ValueError as error:
            raise ValueError(
                f"to: {self._text!r} is no target for {source}:{tag}: {error}"
            ) from error

    def guess(self, source: Repository, tag: str) -> Reference:
        """The target if names had no greatest length; for looking ahead only."""
        try:
            return self.target(source, tag)
        except ValueError:
            name, written = self._filled(self._values(source, tag))
            path = name.removeprefix("docker://").removeprefix(f"{self.host}/")
            return Reference(Repository(self.host, path), written)

    def _values(self, source: Repository, tag: str) -> dict[str, str]:
        return {
            "path": source.path,
            "name": source.path.rpartition("/")[2],
            "repo": source.path.removeprefix(self._fixed),
            "tag": tag,
        }

    def _filled(self, values: Mapping[str, str]) -> tuple[str, str]:
        """The name and the tag; without a tag of its own, a target has the source's."""
        head, colon, tail = self._text.rpartition(":")
        has_tag = bool(colon) and "/" not in tail
        try:
            name = fill(head if has_tag else self._text, values)
            return name, fill(tail, values) if has_tag else values["tag"]
        except ValueError as error:
            raise ValueError(
                f"to: {self._text!r} may hold {_WORDS}, nothing else in braces"
            ) from error


def base_repository(text: str, host: str) -> Repository:
    """A repository that holds base images; without a host it is in the target registry.

    Raises BadReference.
    """
    first, slash, _ = text.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return parse_repository(text if named else f"{host}/{text}")
