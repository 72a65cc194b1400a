"""Deleted or replaced files that the image still contains, and whose path looks like a secret or
cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from squashproxy.analysis.hidden_files import as_text
from squashproxy.archive.path import parent_of
from squashproxy.pipeline.results import Suspect
from squashproxy.squash.layer import HiddenEntry
from squashproxy.squash.secret_patterns import (
    SuspectKind,
    SuspectRule,
    find_cache,
    find_secret,
)

LISTED_SECRETS = 1000
"""How many secrets are listed; further ones are only counted."""
LISTED_CACHES = 1000
"""How many caches are listed."""


@dataclass(slots=True)
class _Cache:
    size: int = 0
    files: int = 0
    hidden_by: int = 0


@dataclass(slots=True)
class Suspects:
    """Collects secrets one by one and caches by folder, for each layer, in bounded memory."""

    secrets: int = 0
    """The number of hidden secrets, listed or not."""
    _secrets: dict[tuple[bytes, int], Suspect] = field(default_factory=dict)
    _caches: dict[tuple[str, bytes, int], _Cache] = field(default_factory=dict)
    _folder: bytes | None = None
    _cache_of_folder: tuple[SuspectRule, bytes] | None = None

    def clear(self) -> None:
        """Forget everything: the merge begins again."""
        self.secrets = 0
        self._secrets.clear()
        self._caches.clear()

    def hidden(self, entry: HiddenEntry) -> None:
        """An upper layer hides the entry, which is not empty."""
        rule = find_secret(entry.path)
        if rule is not None:
            self._note_secret(rule, entry)
            return
        cache = self._try_cache(entry.path, entry.layer)
        if cache is not None:
            cache.size += entry.size
            cache.files += 1
            cache.hidden_by = max(cache.hidden_by, entry.hidden_by)

    def revived(self, path: bytes, layer: int, size: int) -> None:
        """The content of a hidden entry is kept after all, as that of a hard link."""
        if find_secret(path) is not None:
            self.secrets -= 1
            self._secrets.pop((path, layer), None)
            return
        cache = self._try_cache(path, layer)
        if cache is not None:
            cache.size -= size
            cache.files -= 1

    @property
    def listed(self) -> tuple[Suspect, ...]:
        """Secrets by rule and path, then caches, largest first."""
        secrets = sorted(self._secrets.values(), key=lambda found: (found.rule, found.path))
        caches = [
            Suspect(
                rule,
                SuspectKind.CACHE,
                as_text(folder),
                cache.size,
                cache.files,
                layer,
                cache.hidden_by,
            )
            for (rule, folder, layer), cache in self._caches.items()
            if cache.files
        ]
        caches.sort(key=lambda found: (-found.size, found.path, found.layer))
        return (*secrets, *caches)

    def _note_secret(self, rule: SuspectRule, entry: HiddenEntry) -> None:
        self.secrets += 1
        if len(self._secrets) < LISTED_SECRETS:
            self._secrets[entry.path, entry.layer] = Suspect(
                rule.name,
                rule.kind,
                as_text(entry.path),
                entry.size,
                1,
                entry.layer,
                entry.hidden_by,
            )

    def _try_cache(self, path: bytes, layer: int) -> _Cache | None:
        """The cache that a file belongs to; files of one folder are looked up once."""
        folder = parent_of(path)
        if folder != self._folder:
            self._folder = folder
            self._cache_of_folder = find_cache(folder)
        if self._cache_of_folder is None:
            return None
        rule, top = self._cache_of_folder
        key = (rule.name, top, layer)
        if key not in self._caches and len(self._caches) < LISTED_CACHES:
            self._caches[key] = _Cache()
        return self._caches.get(key)
