"""Documents of the repository, as far as tests read them: blocks of code, inline code and links."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_PIPES = frozenset(("|", "||", "&&", ";"))
_REDIRECTIONS = frozenset((">", ">>", "<"))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its document, the word behind its fence, and its text."""

    document: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command of a shell line; `into` is the file that takes its output."""

    document: str
    words: tuple[str, ...]
    into: str | None = None

    def __str__(self) -> str:
        return " ".join(self.words)

    @property
    def program(self) -> str:
        """The command's name without its folder."""
        return self.words[0].rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Document:
    """A Markdown file; `name` is its path from the root of the repository."""

    name: str
    text: str

    @property
    def folder(self) -> Path:
        """The folder that its relative links start from."""
        return (ROOT / self.name).parent

    @property
    def prose(self) -> str:
        """The text outside of fenced blocks."""
        return _BLOCK.sub("", self.text)

    @property
    def inline_code(self) -> list[str]:
        """The texts in backquotes."""
        return _INLINE.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """The targets of its links and images."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """Its headings, as links name them."""
        return {
            re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in _HEADING.findall(self.prose)
        }

    def blocks(self, *languages: str) -> list[Block]:
        """Its fenced blocks in some languages."""
        found = _BLOCK.findall(self.text)
        return [Block(self.name, word, text) for word, text in found if word in languages]


def tracked_files() -> list[Path]:
    """All files of the repository, also those that are not committed yet."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.splitlines() if (ROOT / name).is_file()]


@cache
def documents() -> dict[str, Document]:
    """Every Markdown file by its path, except tables that benchmarks wrote."""
    found = {
        str(path.relative_to(ROOT)): path.read_text()
        for path in tracked_files()
        if path.suffix == ".md"
    }
    return {name: Document(name, text) for name, text in sorted(found.items())}


def shell_blocks() -> list[Block]:
    """The blocks of all documents that show commands."""
    return [block for each in documents().values() for block in each.blocks("sh", "console")]


def commands_of(block: Block) -> Iterator[Command]:
    """The simple commands of a block, in order; of a console block, those behind a prompt."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        yield from _commands_of_line(block.document, line)


def _commands_of_line(document: str, line: str) -> Iterator[Command]:
    # A process substitution, as in `source <(command)`, is its command.
    line = re.sub(r"\bsource <\((.*?)\)", r"\1", line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    into: str | None = None
    tokens = iter(lexer)
    for token in tokens:
        if token in _PIPES:
            yield Command(document, tuple(words), into)
            words, into = [], None
        elif token in _REDIRECTIONS:
            target = next(tokens)
            into = target if token != "<" else into
        else:
            words.append(token)
    if words:
        yield Command(document, tuple(words), into)
