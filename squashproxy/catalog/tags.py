"""What the tags of a repository point to, asked side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from squashproxy.digest import Digest
from squashproxy.errors import NotFound
from squashproxy.progress import Tally, untold
from squashproxy.registry.client import RemoteRepository
from squashproxy.state.manifests import ManifestMemory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

AT_ONCE = 16
"""Small requests that a survey has under way; a registry's `rate` is kept besides."""


def side_by_side(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    at_once: int = AT_ONCE,
    *,
    tally: Tally = untold,
    label: str = "",
) -> list[_Result]:
    """The result for each item, in their order; the first error ends the rest and is raised.

    They are counted by `tally`, under that label.
    """
    wanted = list(items)
    if len(wanted) < 2:
        return [function(item) for item in wanted]
    task = tally(label, len(wanted))

    def counted(item: _Item) -> _Result:
        result = function(item)
        task.advance(1)
        return result

    with ThreadPoolExecutor(min(at_once, len(wanted)), "squashproxy-survey") as pool:
        running = [pool.submit(counted, item) for item in wanted]
        try:
            return [each.result() for each in running]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            task.finish()


def resolve_tags(
    remote: RemoteRepository,
    tags: Iterable[str],
    memory: ManifestMemory,
    before: Mapping[str, Digest],
    tally: Tally = untold,
) -> dict[str, Digest]:
    """What each tag points to; those that vanish meanwhile are left out. One request a tag.

    Where it is likely that the manifest is known, since it is what the tag pointed to `before`, a
    HEAD is enough, which no registry counts as a pull; else the manifest is read at once, and it
    is in the memory then.
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
