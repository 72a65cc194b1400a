"""Cancellation: a value that is passed down to work that runs, and checked between two chunks."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.errors import SquashproxyError


class Cancelled(SquashproxyError):
    """The work was given up on request; its upload sessions are cancelled."""


@dataclass(slots=True)
class Cancellation:
    """Set to end work, and checked by the code that does the work. Usable from several threads."""

    is_stopping: bool = False
    """No new work begins; work that runs may finish."""
    is_cancelled: bool = False
    """Work that runs is to end soon, too."""

    def stop(self) -> None:
        """Let no new work begin."""
        self.is_stopping = True

    def cancel(self) -> None:
        """Let no new work begin, and end the work that runs soon."""
        self.is_stopping = True
        self.is_cancelled = True

    def check(self) -> None:
        """Raise Cancelled if the work is to end."""
        if self.is_cancelled:
            raise Cancelled("it was cancelled, since the process ends; the next run does it")
