"""Files that list images in use, which cleanup never touches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from squashproxy.cleanup.retention import InUse
from squashproxy.digest import Digest
from squashproxy.errors import BadReference, UsageError, reason_of
from squashproxy.host import host_key
from squashproxy.reference import Reference, Repository, parse_reference

_KEYS = frozenset({"image", "imageID"})
_PREFIXES = ("docker-pullable://", "docker://")
_MOST_BYTES = 1 << 30
_MOST_SHOWN = 3


class InUseLists:
    """The images that the files name, by repository.

    A host can be written in several ways, such as `LOCALHOST`, or with the default port 443. Hosts
    that look the same count as the same, since protecting too much does no harm.

    Raises UsageError for a file that cannot be read or names no image: it would protect nothing.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._tags: dict[Repository, dict[str, str]] = {}
        self._digests: dict[Repository, dict[Digest, str]] = {}
        self._named: dict[str, list[Reference]] = {}
        for file in files:
            self._read(file)

    def of(self, repository: Repository) -> InUse:
        """What is in use of a repository."""
        place = _plain(repository)
        return InUse(self._tags.get(place, {}), self._digests.get(place, {}))

    def strangers(self, hosts: Iterable[str]) -> Iterator[str]:
        """Yield a sentence for each file that names only images on other hosts, and so protects
        nothing.
        """
        known = {host_key(host) for host in hosts}
        for file, named in self._named.items():
            others = [each for each in named if host_key(each.repository.host) not in known]
            if others:
                shown = ", ".join(map(str, others[:_MOST_SHOWN]))
                more = "" if len(others) <= _MOST_SHOWN else f" and {len(others) - _MOST_SHOWN:,}"
                yield (
                    f"{file} names images that are on none of the rule's hosts, so they protect "
                    f"nothing there: {shown}{more}{' more' if more else ''}"
                )

    def _read(self, file: Path) -> None:
        named = self._named.setdefault(file.name, [])
        for reference in _references(file):
            named.append(reference)
            place = _plain(reference.repository)
            if reference.tag is not None:
                self._tags.setdefault(place, {})[reference.tag] = file.name
            if reference.digest is not None:
                self._digests.setdefault(place, {})[reference.digest] = file.name
        if not named:
            raise UsageError(
                f"{file} names no image, so it would protect none", advice="write it again"
            )


def _plain(repository: Repository) -> Repository:
    return Repository(host_key(repository.host), repository.path)


def _references(file: Path) -> Iterator[Reference]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{file} has more than {_MOST_BYTES} bytes; that is no list of images")
        text = file.read_text("utf-8")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {reason_of(error)}; nothing is deleted without it"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not written in UTF-8", advice="save it so") from error
    if text.lstrip().startswith(("{", "[")):
        yield from _in_json(text, file)
    else:
        yield from _in_lines(text, file)


def _in_lines(text: str, file: Path) -> Iterator[Reference]:
    for number, line in enumerate(text.splitlines(), 1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        try:
            yield parse_reference(name)
        except BadReference as error:
            raise UsageError(f"{file}:{number}: {error}") from error


def _in_json(text: str, file: Path) -> Iterator[Reference]:
    """The images of pods. An ID without a repository is local to a node, and is skipped."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not valid JSON", advice="write it again") from error
    for key, name in _named(document):
        plain = name
        for prefix in _PREFIXES:
            plain = plain.removeprefix(prefix)
        if key == "imageID" and "@" not in plain:
            continue
        try:
            yield parse_reference(plain)
        except BadReference as error:
            raise UsageError(f"{file}: {error}") from error


def _named(root: Any) -> Iterator[tuple[str, str]]:
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in _KEYS and isinstance(inner, str) and inner:
                    yield key, inner
                elif isinstance(inner, (dict, list)):
                    waiting.append(inner)
        elif isinstance(value, list):
            waiting += value
