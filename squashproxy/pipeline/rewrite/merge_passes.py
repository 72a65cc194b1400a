"""The passes of a merge that one result takes: one, and another for each upload that was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from squashproxy.span import Span
from squashproxy.squash.merge import Merge


@dataclass(slots=True)
class MergePasses:
    """Passes with the same layers and facts, so their spans are the same.

    `merge` is the last pass. `on_begin` is called before each.
    """

    merge: Merge
    on_begin: Callable[[], None]
    _is_begun: bool = False

    def iter_spans(self) -> Iterator[Span]:
        """Begin a pass, the first or another one. Raises what the merge raises."""
        if self._is_begun:
            self.merge = self.merge.another()
        self._is_begun = True
        self.on_begin()
        return self.merge.iter_spans()
