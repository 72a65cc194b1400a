"""The page of `plan --html FILE`: where it may go, and what it may replace."""

from __future__ import annotations

import os
from pathlib import Path

from squashproxy.atomic_file import write_whole
from squashproxy.cli.common_options import CommonOptions
from squashproxy.errors import ArchiveError, UsageError
from squashproxy.location import STANDARD_STREAM
from squashproxy.pipeline.results import PlanResult
from squashproxy.report.page.document import PAGE_HEAD, is_page, render_page
from squashproxy.transports.writable import check_file

_STDOUT = 1


def parse_page(text: str) -> Path:
    """Parse the option. Raises UsageError if no page can be written there."""
    if text == STANDARD_STREAM:
        raise UsageError(
            "--html - names no file", advice="write --html FILE, or -q --html /dev/stdout"
        )
    path = Path(text)
    try:
        check_file(path)
    except ArchiveError as error:
        raise UsageError(f"--html {error}") from error
    _check_replaced(path)
    return path


def _check_replaced(path: Path) -> None:
    """Raise UsageError for a file that is neither empty nor an older page."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(PAGE_HEAD)
    if start and not is_page(start.decode("utf-8", "replace")):
        raise UsageError(
            f"--html {path} exists and is not the page of a plan, so it is not replaced",
            advice="name another file",
        )


def check_apart(common: CommonOptions, page: Path | None) -> None:
    """Raise UsageError if the page and the report would be written to the same place."""
    has_report = common.as_json or not common.quiet
    if page is None or not has_report or not page.exists() or page.samefile(os.devnull):
        return
    if os.path.samestat(page.stat(), os.fstat(_STDOUT)):
        raise UsageError(
            f"--html {page} and the report both want standard output",
            advice="leave out the report with -q, or write the page to a file",
        )


def write_page(page: Path, result: PlanResult) -> None:
    """Write the page. Raises UsageError if another file appeared there meanwhile, and OSError."""
    _check_replaced(page)
    write_whole(page, render_page(result))
