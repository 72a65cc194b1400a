"""`--layer-memory DIR|REPO|none`: what each text means."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.layer_memory.base import Nothing
from squashproxy.layer_memory.choice import (
    LayerMemoryChoice,
    default_layer_memory,
    parse_layer_memory,
)
from squashproxy.layer_memory.open import open_layer_memory
from squashproxy.reference import Repository
from squashproxy.registry.client import RemoteRepository
from tests.layer_memory.remembered import LAYER, listing, result

FOLDERS = (
    *("/var/cache/layers", "./layers", "../layers", ".", "~/layers", "~", ".cache.d", "/a.b/c"),
    *("layers", "layers/of/mine", "user/layers", "None", "./registry.example.com/layers"),
)
REPOSITORIES: dict[str, Repository] = {
    "registry.example.com/layers": Repository("registry.example.com", "layers"),
    "registry.example.com:5000/a/b": Repository("registry.example.com:5000", "a/b"),
    "localhost/layers": Repository("localhost", "layers"),
    "127.0.0.1:5000/layers": Repository("127.0.0.1:5000", "layers"),
    "[::1]:5000/layers": Repository("[::1]:5000", "layers"),
    "docker.io/user/layers": Repository("docker.io", "user/layers"),
    "docker://user/layers": Repository("docker.io", "user/layers"),
}
NONSENSE: dict[str, str] = {
    "": "names nothing",
    " ": "names nothing",
    "a\0b": "names nothing",
    "registry.example.com": "is not clear: write ./registry.example.com for a folder, or HOST/REPO",
    "localhost:5000": "is not clear",
    "localhost": "is not clear",
    "registry.example.com/layers:tag": "names an image",
    "registry.example.com/Layers": "names are lower case",
    "registry.example.com/": "is not a repository name",
    "registry.example.com:port/layers": "is not a host name",
    "https://registry.example.com/layers": "is not a host name",
    "oci:layers/x": "no 'oci' can stand here",
    "docker://": "is not a repository name",
    f"registry.example.com/layers@{LAYER}": "names an image",
}


@pytest.mark.parametrize("text", FOLDERS)
def test_a_folder(text: str) -> None:
    assert parse_layer_memory(text) == LayerMemoryChoice(folder=Path(text))


@pytest.mark.parametrize(("text", "repository"), REPOSITORIES.items(), ids=list(REPOSITORIES))
def test_a_repository(text: str, repository: Repository) -> None:
    assert parse_layer_memory(text) == LayerMemoryChoice(repository=repository)


def test_none() -> None:
    assert parse_layer_memory("none") == LayerMemoryChoice()


@pytest.mark.parametrize(("text", "sentence"), NONSENSE.items(), ids=map(repr, NONSENSE))
def test_nonsense_gets_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_layer_memory(text)


@pytest.mark.parametrize("text", ["none", "/var/cache/layers", "registry.example.com/layers"])
def test_a_choice_is_shown_as_it_was_written(text: str) -> None:
    assert str(parse_layer_memory(text)) == text


DEFAULTS: dict[str, tuple[dict[str, str], str]] = {
    "the user's caches": ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/squashproxy/layers"),
    "caches at home": ({"HOME": "/h"}, "/h/.cache/squashproxy/layers"),
    "an empty variable": ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/squashproxy/layers"),
    "a path that is not absolute": (
        {"XDG_CACHE_HOME": "c", "HOME": "/h"}, "/h/.cache/squashproxy/layers",
    ),
    "no home": ({}, "none"),
    "a home that is none": ({"HOME": ""}, "none"),
}  # fmt: skip


@pytest.mark.parametrize(("environ", "place"), DEFAULTS.values(), ids=list(DEFAULTS))
def test_where_layers_are_remembered_by_default(environ: dict[str, str], place: str) -> None:
    assert str(default_layer_memory(environ)) == place


def no_connection(_: Repository) -> RemoteRepository:
    raise AssertionError("no registry is asked")


def test_with_none_nothing_is_remembered() -> None:
    memory = open_layer_memory(LayerMemoryChoice(), 3, no_connection, pytest.fail)
    assert isinstance(memory, Nothing)
    memory.keep_listing(LAYER, listing())
    memory.keep_result(result())
    assert memory.find_listing(LAYER) is None
    assert memory.find_results(LAYER) == ()


def test_a_folder_at_home_is_found_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    choice = parse_layer_memory("~/my layers")
    open_layer_memory(choice, 3, no_connection, pytest.fail).keep_listing(LAYER, listing())
    assert (tmp_path / "my layers" / "CACHEDIR.TAG").exists()
