"""Random stacks of layers, each from one seed, with the tree that they must give.

A stack is data: lists of steps and the style of each layer. Any steps may be taken out and the
rest still means something, which is what makes a failing stack small enough to read.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tests.model.filesystem import ROOT, FileSystem
from tests.model.inode import Inode
from tests.model.layers import SECOND, Place, Style, write_layer
from tests.model.node import Kind, Node

_EPOCH = 1_700_000_000
_NAMES = (
    *(b"a", b"b", b"c", b"d", b"e"),
    *(b"name with space", b"foo.wh.bar", b"..data", "caf\u00e9".encode(), b"\xff\xfe"),
    *(b"n" * 101, b"p" * 150),
)
_MODES = (0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1777, 0o000, 0o444)
_OWNERS = ((0, 0), (1000, 1000), (33, 0), (0, 42), (3_000_000, 3_000_001))
_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
_XATTRS = (
    ("user.note", b"kept"),
    ("user.note", b"=\n\x00\xff"),
    ("user.longer", bytes(range(1, 200))),
    ("security.capability", _CAPABILITY),
)
_KINDS = (
    *[Kind.FILE] * 6,
    *[Kind.DIRECTORY] * 6,
    *[Kind.SYMLINK] * 2,
    *(Kind.FIFO, Kind.CHARACTER, Kind.BLOCK),
)


class Verb(Enum):
    """What a step does."""

    CREATE = "create"
    REPLACE = "replace"
    WRITE = "write"
    CHMOD = "chmod"
    CHOWN = "chown"
    TOUCH = "touch"
    XATTR = "xattr"
    REMOVE = "remove"
    LINK = "link"
    RENAME = "rename"


_VERBS = (
    *[Verb.CREATE] * 9,
    *[Verb.REPLACE] * 3,
    *[Verb.LINK] * 5,
    *[Verb.REMOVE] * 4,
    *[Verb.RENAME] * 3,
    *[Verb.WRITE] * 2,
    *(Verb.CHMOD, Verb.CHOWN, Verb.TOUCH, Verb.XATTR),
)
_FIRST_VERBS = (*[Verb.CREATE] * 12, *[Verb.LINK] * 4, Verb.XATTR)


@dataclass(frozen=True, slots=True)
class Step:
    """One step; the fields that its verb does not need are left at their defaults."""

    verb: Verb
    path: bytes
    mtime: int
    new: bytes = b""
    inode: Inode | None = None
    content: bytes = b""
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    xattr: tuple[str, bytes | None] = ("", None)

    def apply(self, system: FileSystem) -> bool:
        """Take the step; false where the state does not allow it."""
        actions: dict[Verb, Callable[[], bool]] = {
            Verb.CREATE: lambda: system.create(self.path, self._fresh()),
            Verb.REPLACE: lambda: system.replace(self.path, self._fresh()),
            Verb.WRITE: lambda: system.write(self.path, self.content, self.mtime),
            Verb.CHMOD: lambda: system.chmod(self.path, self.mode),
            Verb.CHOWN: lambda: system.chown(self.path, *self.owner),
            Verb.TOUCH: lambda: system.touch(self.path, self.mtime),
            Verb.XATTR: lambda: system.set_xattr(self.path, *self.xattr),
            Verb.REMOVE: lambda: system.remove(self.path, self.mtime),
            Verb.LINK: lambda: system.link(self.path, self.new, self.mtime),
            Verb.RENAME: lambda: system.rename(self.path, self.new, self.mtime),
        }
        return actions[self.verb]()

    def _fresh(self) -> Inode:
        assert self.inode is not None
        return self.inode.copy()

    def __str__(self) -> str:
        words = [self.verb.value, repr(self.path)]
        if self.new:
            words += ["to", repr(self.new)]
        if self.inode is not None:
            words += ["as", self.inode.kind.value]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Stack:
    """The steps of each layer, base first, and how each is written."""

    layers: tuple[tuple[tuple[Step, ...], Style], ...]

    def build(self) -> Built:
        """Take the steps and write the layers."""
        system = FileSystem()
        tars: list[bytes] = []
        trees: list[dict[bytes, Node]] = []
        for number, (steps, style) in enumerate(self.layers):
            system.begin_layer()
            if number == 0:
                system.upper.add(ROOT)
            for step in steps:
                step.apply(system)
            tars.append(write_layer(system, style))
            trees.append(system.tree())
        return Built(tuple(tars), tuple(trees))

    def __str__(self) -> str:
        lines = []
        for number, (steps, style) in enumerate(self.layers):
            lines.append(f"layer {number}, {style}:")
            lines += [f"    {step}" for step in steps]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Built:
    """Uncompressed layer tars, base first, and the tree seen after each."""

    tars: tuple[bytes, ...]
    trees: tuple[dict[bytes, Node], ...]


def random_stack(seed: int, *, disputed: bool = True) -> Stack:
    """The stack of a seed: the same on every machine, 2 to 6 layers.

    With `disputed` some stacks are written as unpackers differ on, so that only the model's own
    reader may judge them: parent directories that did not change are left out, or a directory
    made anew has a whiteout beside it.
    """
    return _Author(random.Random(seed), disputed=disputed).stack()


class _Author:
    def __init__(self, dice: random.Random, *, disputed: bool) -> None:
        self.dice = dice
        self.system = FileSystem()
        self.tick = 0
        self.fine = dice.random() < 0.3
        self.root = dice.random() < 0.5
        self.implied = dice.random() < 0.2 and disputed
        self.beside = dice.random() < 0.2 and disputed
        self.pool = dice.sample(_NAMES, dice.randint(3, 6))

    def stack(self) -> Stack:
        count = self.dice.randint(2, 6)
        layers = []
        for number in range(count):
            self.system.begin_layer()
            if number == 0:
                steps = tuple(self._steps(_FIRST_VERBS, self.dice.randint(4, 40)))
            else:
                steps = tuple(self._steps(_VERBS, self.dice.randint(1, 14)))
            layers.append((steps, self._style()))
        return Stack(tuple(layers))

    def _steps(self, verbs: Sequence[Verb], count: int) -> Iterator[Step]:
        for _ in range(count):
            step = self._step(self.dice.choice(verbs))
            if step.apply(self.system):
                yield step

    def _style(self) -> Style:
        dice = self.dice
        return Style(
            prefix=dice.choice((b"", b"./", b"/")),
            whiteouts=dice.choice(list(Place)),
            order=dice.getrandbits(32) if dice.random() < 0.5 else None,
            explicit=dice.random() < 0.3 and not self.beside,
            gnu=dice.random() < 0.4,
            root=self.root,
            beside=self.beside,
            parents=not self.implied,
            bare_links=dice.random() < 0.5,
            chained=dice.random() < 0.3,
        )

    def _step(self, verb: Verb) -> Step:
        dice = self.dice
        step = Step(verb, self._known(), self._time())
        match verb:
            case Verb.CREATE:
                step = replace(step, path=self._free(), inode=self._inode())
            case Verb.REPLACE:
                step = replace(step, inode=self._inode())
            case Verb.LINK | Verb.RENAME:
                step = replace(step, new=self._free())
            case Verb.WRITE:
                step = replace(step, content=self._content())
            case Verb.CHMOD:
                step = replace(step, mode=dice.choice(_MODES))
            case Verb.CHOWN:
                step = replace(step, owner=dice.choice(_OWNERS))
            case Verb.XATTR:
                name, value = dice.choice(_XATTRS)
                step = replace(step, xattr=(name, value if dice.random() < 0.7 else None))
            case _:
                pass
        return step

    def _known(self) -> bytes:
        return self.dice.choice(sorted(self.system.names.keys() - {ROOT}) or [ROOT])

    def _free(self) -> bytes:
        """A free path, preferably one that was deleted before, since such names hide things."""
        gone = sorted(self.system.lower.keys() - self.system.names.keys())
        if gone and self.dice.random() < 0.4:
            return self.dice.choice(gone)
        names = self.system.names
        directories = sorted(name for name in names if self.system.is_directory(name))
        parent = self.dice.choice(directories)
        name = self.dice.choice(self.pool)
        return parent + b"/" + name if parent else name

    def _inode(self) -> Inode:
        dice = self.dice
        kind = dice.choice(_KINDS)
        uid, gid = dice.choice(_OWNERS)
        inode = Inode(kind, dice.choice(_MODES), uid, gid, self._time())
        match kind:
            case Kind.FILE:
                inode.content = self._content()
                if dice.random() < 0.15:
                    inode.xattrs = dict([dice.choice(_XATTRS)])
            case Kind.DIRECTORY:
                inode.mode = dice.choice((0o755, 0o700, 0o1777, 0o2775))
            case Kind.SYMLINK:
                inode.mode = 0o777
                inode.target = dice.choice([*self.pool, b"../" + self.pool[0], b"/no/where"])
            case Kind.CHARACTER | Kind.BLOCK:
                inode.device = (dice.randint(1, 9), dice.randint(0, 300))
            case _:
                pass
        return inode

    def _content(self) -> bytes:
        size = self.dice.choice((0, 1, 20, 511, 512, 513, 1500))
        return self.dice.randbytes(8).hex().encode() * (size // 16 + 1) if size else b""

    def _time(self) -> int:
        self.tick += 1
        return (_EPOCH + self.tick) * SECOND + (self.tick * 1_001 if self.fine else 0)


def shrink(stack: Stack, fails: Callable[[Stack], bool]) -> Stack:
    """The smallest stack found by taking out layers and steps one by one, while it still fails."""
    while smaller := next(filter(fails, _smaller(stack)), None):
        stack = smaller
    return stack


def _smaller(stack: Stack) -> Iterator[Stack]:
    layers = stack.layers
    for number, (steps, style) in enumerate(layers):
        before, after = layers[:number], layers[number + 1 :]
        if len(layers) > 1:
            yield Stack((*before, *after))
        for index in range(len(steps)):
            rest = steps[:index] + steps[index + 1 :]
            yield Stack((*before, (rest, style), *after))
        if style != (plain := Style(parents=style.parents, beside=style.beside)):
            yield Stack((*before, (steps, plain), *after))
