"""The tree of errors is what its module says: names, parents, exit codes, what is temporary."""

from __future__ import annotations

import re

import pytest

from squashproxy import errors
from squashproxy.errors import (
    BadReference,
    PartlyFailed,
    RegistryError,
    SquashproxyError,
    TreesDiffer,
    UsageError,
)
from squashproxy.reference import check_tag

DRAWN = re.compile(r"^    ([│├└─ ]*)([A-Z]\w+)(?: {2,}(.*))?$", re.MULTILINE)
TEMPORARY = {"Unreachable", "TooManyRequests", "ServerFault"}


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
