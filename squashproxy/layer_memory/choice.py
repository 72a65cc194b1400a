"""The choice of a memory of layers, as users write it: `DIR`, `HOST/REPO` or `none`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from squashproxy.errors import BadReference
from squashproxy.reference import Repository, parse_repository

NONE = "none"
_FOLDER_STARTS = ("/", ".", "~")
_TRANSPORT = "docker://"


@dataclass(frozen=True, slots=True)
class LayerMemoryChoice:
    """Where layers are remembered; nowhere if both are None."""

    folder: Path | None = None
    repository: Repository | None = None

    def __str__(self) -> str:
        return str(self.repository or self.folder or NONE)


def parse_layer_memory(text: str) -> LayerMemoryChoice:
    """Parse `none`, a folder, or a repository. Raises ValueError with a sentence.

    A repository is `docker://...`, or a text whose part before the first slash has a dot or colon
    or is `localhost`, and which does not start with `/`, `.` or `~`. All else is a folder.
    """
    if text == NONE:
        return LayerMemoryChoice()
    if not text.strip() or "\0" in text:
        raise ValueError(f"{text!r} names nothing: give a folder, HOST/REPO or {NONE}")
    if not _is_repository(text):
        if "/" not in text and _is_host(text) and not text.startswith(_FOLDER_STARTS):
            raise ValueError(f"{text!r} is not clear: write ./{text} for a folder, or HOST/REPO")
        return LayerMemoryChoice(folder=Path(text))
    try:
        return LayerMemoryChoice(repository=parse_repository(text))
    except BadReference as error:
        raise ValueError(f"{error}; a folder starts with /, ./ or ~/") from error


def default_layer_memory(environ: Mapping[str, str]) -> LayerMemoryChoice:
    """The folder `squashproxy/layers` among the user's caches, or nowhere without a home.

    A path that is not absolute in `XDG_CACHE_HOME` is ignored, as the XDG Base Directory
    Specification says.
    """
    caches = environ.get("XDG_CACHE_HOME", "")
    home = environ.get("HOME", "")
    if not Path(caches).is_absolute():
        if not Path(home).is_absolute():
            return LayerMemoryChoice()
        caches = f"{home}/.cache"
    return LayerMemoryChoice(folder=Path(caches, "squashproxy", "layers"))


def _is_repository(text: str) -> bool:
    if text.startswith(_TRANSPORT):
        return True
    first, slash, _ = text.partition("/")
    return bool(slash) and _is_host(first) and not text.startswith(_FOLDER_STARTS)


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"
