"""Asking work that runs to end: a value that is passed down and asked between two chunks."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.errors import SquashproxyError


class Cancelled(SquashproxyError):
    """The work was given up on request; its upload sessions are cancelled."""


@dataclass(slots=True)
class Cancellation:
    """Set by whoever ends the work, asked by whoever does it. Usable from several threads."""

    is_stopping: bool = False
    """Nothing new begins; what runs may finish."""
    is_cancelled: bool = False
    """What runs ends soon, too."""

    def stop(self) -> None:
        """Let nothing new begin."""
        self.is_stopping = True

    def cancel(self) -> None:
        """Let nothing new begin, and what runs end soon."""
        self.is_stopping = True
        self.is_cancelled = True

    def check(self) -> None:
        """Raise Cancelled once the work is to end."""
        if self.is_cancelled:
            raise Cancelled("it was cancelled, since the process ends; the next run does it")
