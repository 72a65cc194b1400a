"""The package's own words: its docstrings, and the sentences that it shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from squashproxy.cli.group import COMMANDS
from tests.documents.markdown import ROOT

_COMMAND = "|".join(sorted(COMMANDS))
_THIRD_PERSON = re.compile(
    rf"\bsquashproxy(?:'s\b| (?!{_COMMAND}|audit\b|configuration\b)[a-z])"  # names of formats
    r"|\b(?:by|for|from|in|into|of|pipe|than|that|to|with) squashproxy\b",
)


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "squashproxy").rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def test_no_module_docstring_begins_with_a_question() -> None:
    beginnings = {path: ast.get_docstring(module) or "" for path, module in modules()}
    asking = [path for path, text in beginnings.items() if re.match("(What|Which|Where) ", text)]
    assert not asking, "a docstring starts with the thing itself"


def test_no_sentence_speaks_of_the_program_as_of_somebody() -> None:
    found = [
        f"{path}:{line}: {text}"
        for path, module in modules()
        for line, text in _literals(module)
        if _THIRD_PERSON.search(text)
    ]
    assert not found, "the person who runs a command is told what happened, not what a tool did"


def _literals(module: ast.Module) -> Iterator[tuple[int, str]]:
    """The texts in a module that are not docstrings, with their lines."""
    docstrings = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in docstrings:
                continue
            yield node.lineno, node.value
