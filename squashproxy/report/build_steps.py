"""Build steps from an image's history, for people."""

from __future__ import annotations

from squashproxy.printable import printable

_SHELL_PREFIXES = ("/bin/sh -c #(nop)", "/bin/sh -c", "RUN /bin/sh -c")


def step_text(created_by: str) -> str:
    """The build step in one line, without the shell that ran it."""
    text = " ".join(printable(created_by).split())
    for prefix in _SHELL_PREFIXES:
        text = text.removeprefix(prefix).strip()
    return text
