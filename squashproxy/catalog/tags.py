"""Resolving the tags of a repository to digests, with several requests at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar, cast

from squashproxy.digest import Digest
from squashproxy.errors import NotFound
from squashproxy.progress import Tally, Task, silent_tally
from squashproxy.registry.client import RemoteRepository
from squashproxy.state.manifests import ManifestMemory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

AT_ONCE = 16
"""The number of small requests that run at once; a registry's `rate` limits them as well."""

_MOST_IN_BATCH = 32
"""Large enough that work on answers goes on for a while, small enough that a thread soon ends."""


def side_by_side(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    at_once: int = AT_ONCE,
    *,
    tally: Tally = silent_tally,
    label: str = "",
) -> list[_Result]:
    """Call a function for all items in several threads; return the results in their order.

    With `at_once` 1 that is done in this thread, and nothing is counted. The first error ends the
    other calls and is raised. `tally` counts the items under `label`.
    """

    def one_by_one(batch: Sequence[_Item]) -> list[_Result]:
        return [function(item) for item in batch]

    return _in_threads(_Work(one_by_one, list(items), 1), at_once, tally, label)


def batches_side_by_side(
    function: Callable[[Sequence[_Item]], Sequence[_Result]],
    items: Sequence[_Item],
    *,
    tally: Tally = silent_tally,
    label: str = "",
) -> list[_Result]:
    """As `side_by_side`, for a function that takes a batch of items and returns their results.

    Few items make small batches, so that every thread gets some.
    """
    size = max(1, min(_MOST_IN_BATCH, len(items) // (2 * AT_ONCE)))
    return _in_threads(_Work(function, items, size), AT_ONCE, tally, label)


@dataclass(frozen=True, slots=True)
class _Work(Generic[_Item, _Result]):
    """Items, and what is to be done with each batch of `size` of them."""

    function: Callable[[Sequence[_Item]], Sequence[_Result]]
    items: Sequence[_Item]
    size: int


def _in_threads(
    work: _Work[_Item, _Result], at_once: int, tally: Tally, label: str
) -> list[_Result]:
    if len(work.items) < 2 or at_once < 2:
        return list(work.function(work.items))
    task = tally(label, len(work.items))
    turns = _Turns(work, task)
    threads = min(at_once, len(work.items))
    with ThreadPoolExecutor(threads, "squashproxy-survey") as pool:
        running = [pool.submit(turns.work) for _ in range(threads)]
        try:
            for each in running:
                each.result()
        finally:
            turns.end()
            pool.shutdown(wait=False, cancel_futures=True)
            task.finish()
    return turns.results()


class _Turns(Generic[_Item, _Result]):
    """Batches of items of which several threads take one after another.

    A future for each of a hundred thousand items would take more memory than the items.
    """

    def __init__(self, work: _Work[_Item, _Result], task: Task) -> None:
        self._function = work.function
        self._items = work.items
        self._size = work.size
        self._task = task
        self._lock = Lock()
        self._next = 0
        self._results: list[_Result | None] = [None] * len(work.items)
        self._errors: dict[int, BaseException] = {}

    def work(self) -> None:
        """Take items until there are no more, or one has failed."""
        while (number := self._take()) is not None:
            batch = self._items[number : number + self._size]
            try:
                self._results[number : number + len(batch)] = self._function(batch)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                self._errors[number] = error
                return
            self._task.advance(len(batch))

    def end(self) -> None:
        """Let no further item be taken."""
        with self._lock:
            self._next = len(self._items)

    def results(self) -> list[_Result]:
        """All results. Raises the error of the first item that failed."""
        if self._errors:
            raise self._errors[min(self._errors)]
        return cast("list[_Result]", self._results)

    def _take(self) -> int | None:
        with self._lock:
            number = self._next
            if number >= len(self._items) or self._errors:
                return None
            self._next = number + self._size
            return number


def resolve_tags(
    remote: RemoteRepository,
    tags: Iterable[str],
    memory: ManifestMemory,
    before: Mapping[str, Digest],
    tally: Tally = silent_tally,
) -> dict[str, Digest]:
    """The digest of each tag, by one request for each; a tag that no longer exists is left out.

    If the manifest is probably cached, since the tag pointed to it `before`, a HEAD is enough,
    which no registry counts as a pull. Otherwise the manifest is read at once, and cached.
    """

    def resolve(tag: str) -> tuple[str, Digest | None]:
        known = before.get(tag)
        if known is not None and memory.find(known) is not None:
            found = remote.find_manifest(tag)
            return tag, None if found is None else found.digest
        try:
            return tag, remote.get_manifest(tag).digest
        except NotFound:
            return tag, None

    resolved = side_by_side(resolve, tags, tally=tally, label=f"{remote.name.path}: tags")
    return {tag: digest for tag, digest in resolved if digest is not None}
