"""The tree of errors is what its module says: names, parents, exit codes, what is temporary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import squashproxy
from squashproxy import errors
from squashproxy.cli.main import squashproxy as command_line
from squashproxy.config.schema import configuration_schema
from squashproxy.errors import (
    SETTINGS,
    BadReference,
    PartlyFailed,
    RegistryError,
    SquashproxyError,
    TreesDiffer,
    UsageError,
)
from squashproxy.reference import check_tag

DRAWN = re.compile(r"^    ([│├└─ ]*)([A-Z]\w+)(?: {2,}(.*))?$", re.MULTILINE)
TEMPORARY = {"TemporaryRegistryError", "Unreachable", "TooManyRequests", "ServerFault"}


def every_class() -> list[type[SquashproxyError]]:
    found, waiting = [], [SquashproxyError]
    while waiting:
        cls = waiting.pop()
        found.append(cls)
        waiting += cls.__subclasses__()
    return [cls for cls in found if cls.__module__ == errors.__name__]


PUBLIC = [cls for cls in every_class() if not cls.__name__.startswith("_")]
each_class = pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)


def drawn() -> dict[str, tuple[str, str]]:
    """Each name in the drawn tree: its parent's name and what is said of it."""
    tree: dict[str, tuple[str, str]] = {}
    path: list[str] = []
    assert errors.__doc__ is not None
    for match in DRAWN.finditer(errors.__doc__):
        depth = len(match[1]) // 4
        path[depth:] = [match[2]]
        tree[match[2]] = (path[depth - 1] if depth else "", match[3] or "")
    return tree


def parent(cls: type[SquashproxyError]) -> str:
    """The nearest public ancestor in the tree."""
    names = [base.__name__ for base in cls.__mro__[1:] if issubclass(base, SquashproxyError)]
    return next((name for name in names if not name.startswith("_")), "")


def test_the_drawn_tree_is_the_tree() -> None:
    assert {name: above for name, (above, _) in drawn().items()} == {
        cls.__name__: parent(cls) for cls in PUBLIC
    }


def test_a_reference_is_a_value_so_its_parser_raises_valueerror_too() -> None:
    with pytest.raises(ValueError, match="is not a tag; one has") as caught:
        check_tag("-")
    assert isinstance(caught.value, BadReference)
    assert (caught.value.exit_code, caught.value.temporary) == (2, False)


def test_the_drawn_tree_says_what_is_temporary() -> None:
    assert {name for name, (_, words) in drawn().items() if "temporary" in words} == TEMPORARY


def test_the_drawn_tree_says_the_exit_codes() -> None:
    found = {
        name: int(match[1])
        for name, (_, words) in drawn().items()
        if (match := re.match(r"exit code (\d)", words))
    }
    assert found == {"SquashproxyError": 1, "UsageError": 2, "PartlyFailed": 3, "TreesDiffer": 4}


@each_class
def test_each_has_a_docstring_of_its_own(cls: type[SquashproxyError]) -> None:
    assert cls.__dict__.get("__doc__")


@each_class
def test_exit_codes(cls: type[SquashproxyError]) -> None:
    codes: dict[type[SquashproxyError], int] = {UsageError: 2, PartlyFailed: 3, TreesDiffer: 4}
    own = [code for kind, code in codes.items() if issubclass(cls, kind)]
    assert cls.exit_code == (own or [1])[0]


@each_class
def test_what_is_temporary(cls: type[SquashproxyError]) -> None:
    assert cls("sentence").temporary == (cls.__name__ in TEMPORARY)


@each_class
def test_the_text_is_the_sentence(cls: type[SquashproxyError]) -> None:
    assert str(cls("what, where, what to do")) == "what, where, what to do"


def test_every_error_of_the_module_is_in_the_tree() -> None:
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert raised == {cls.__name__ for cls in every_class()}


def test_what_a_registry_answered_stays_with_the_error() -> None:
    error = errors.TooManyRequests("slow down", status=429, retry_after=2.5)
    assert (error.status, error.retry_after) == (429, 2.5)
    silent = RegistryError("no answer")
    assert (silent.status, silent.retry_after) == (None, None)


WORDED = {
    "a setting": ("raise {max-ratio}", "raise --max-ratio", "raise `max_ratio`"),
    "two settings": (
        "leave {base-repo} out, or give {base}",
        "leave --base-repo out, or give --base",
        "leave `base_repos` out, or give `base`",
    ),
    "a setting without a key": (
        "raise {memory} if you trust it",
        "raise --memory if you trust it",
        "raise `memory` if you trust it",
    ),
    "a template's words": ("write {tag}-{digest}", "write {tag}-{digest}", "write {tag}-{digest}"),
    "a path with braces": ("look into /srv/{a}/{b-c}", "look into /srv/{a}/{b-c}", None),
    "the beginning of a setting": ("see {max} and {base-}", "see {max} and {base-}", None),
    "a setting in capitals": ("see {BASE} and ${HOME}", "see {BASE} and ${HOME}", None),
    "a setting without braces": ("see base", "see base", None),
    "nothing in braces": ("see {} and { base }", "see {} and { base }", None),
    "an open brace": ("see {base", "see {base", None),
    "setting and path": ("give {ca} for {ours}", "give --ca for {ours}", "give `ca` for {ours}"),
}


@pytest.mark.parametrize(("advice", "as_option", "as_key"), WORDED.values(), ids=list(WORDED))
def test_an_advice_names_known_settings_and_leaves_other_braces_alone(
    advice: str, as_option: str, as_key: str | None
) -> None:
    error = SquashproxyError("a fact", advice=advice)
    assert error.worded(lambda setting: f"--{setting}") == f"a fact; {as_option}"
    assert str(error) == f"a fact; {as_key or as_option}"


def test_a_fact_names_no_settings() -> None:
    error = SquashproxyError("{base} is no folder", advice="name another")
    assert str(error) == "{base} is no folder; name another"


TEMPLATE_WORDS = {"tag", "digest", "path", "name", "repo"}
"""Words that users write in braces, which messages repeat."""

PYDANTIC_WORDS = {"sentence", "expected", "ge", "le"}
"""Words that pydantic fills in, in messages about the configuration."""


def braced_words() -> Iterator[str]:
    """Each word in braces in the package's texts; docstrings are not printed."""
    for file in Path(squashproxy.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text())
        docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node not in docstrings:
                yield from re.findall(r"\{([a-z][a-z-]*)\}", str(node.value))


def test_each_setting_in_an_advice_is_known_and_each_known_one_is_named() -> None:
    assert set(braced_words()) - TEMPLATE_WORDS - PYDANTIC_WORDS == SETTINGS


def keys_of(schema: dict[str, Any] | list[Any]) -> Iterator[str]:
    """Each key that a part of the configuration's schema allows."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            yield from keys_of(part)


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_each_setting_is_a_key_of_the_configuration_or_is_said_to_be_none(setting: str) -> None:
    text = str(SquashproxyError("a fact", advice=f"raise {{{setting}}}"))
    named = re.findall(r"`(\w+)`", text)
    assert len(named) == 1
    assert (named[0] in set(keys_of(configuration_schema()))) != ("no configuration" in text)


def test_each_setting_is_an_option_of_some_command() -> None:
    context = click.Context(command_line)
    commands = [
        command_line.get_command(context, name) for name in command_line.list_commands(context)
    ]
    options = {
        option
        for command in commands
        if command is not None
        for parameter in command.params
        for option in parameter.opts
    }
    assert {f"--{setting}" for setting in SETTINGS} - options == set()
