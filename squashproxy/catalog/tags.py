"""Resolving the tags of a repository to digests, with several requests at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from squashproxy.digest import Digest
from squashproxy.errors import NotFound
from squashproxy.progress import Tally, silent_tally
from squashproxy.registry.client import RemoteRepository
from squashproxy.state.manifests import ManifestMemory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

AT_ONCE = 16
"""The number of small requests that run at once; a registry's `rate` limits them as well."""


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
    wanted = list(items)
    if len(wanted) < 2 or at_once < 2:
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
