"""Writing a page, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from squashproxy.atomic_file import AtomicFile, resolved, write_all


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, and replace a file that is there.

    If that fails, nothing of the new file is left. A pipe or device is written to directly. Raises
    OSError, which names `path`.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(resolved(path), text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, text: str) -> None:
    with AtomicFile(path.parent) as file:
        write_all(file.stream, text.encode())
        file.publish(path)
