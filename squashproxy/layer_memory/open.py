"""Opening the memory of layers that was chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from squashproxy.layer_memory.base import LayerMemory, Nothing
from squashproxy.layer_memory.choice import LayerMemoryChoice
from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from squashproxy.layer_memory.repository import Repository as RepositoryStore
from squashproxy.reference import Repository
from squashproxy.registry.client import RemoteRepository


def open_layer_memory(
    choice: LayerMemoryChoice,
    engine: int,
    connect: Callable[[Repository], RemoteRepository],
    warn: Callable[[str], None],
) -> LayerMemory:
    """Open the memory; nothing is read, made or asked yet.

    `engine` is the number in pipeline/stamp.py; results of another one do not count. `connect`
    gives a repository, best by a client with few retries: a memory that is slow to answer holds
    copies up. `warn` is called with a sentence, from any thread.
    """
    if choice.repository is not None:
        return RememberedLayers(RepositoryStore(connect(choice.repository), warn), engine)
    if choice.folder is not None:
        return RememberedLayers(Folder(_expanded(choice.folder), warn), engine)
    return Nothing()


def _expanded(folder: Path) -> Path:
    """The folder with `~` replaced; as it is where nobody knows whose home that is."""
    try:
        return folder.expanduser()
    except RuntimeError:
        return folder
