"""Everything that a command writes beside its log: lines, a report for people, a JSON document.

No other module writes to standard output, so text from outside reaches a terminal escaped only.
Log lines and errors pass through `diagnostics.py`, bars through `report/progress.py`, which escape
as well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from squashproxy.printable import printable
from squashproxy.report.as_json import to_json
from squashproxy.report.screen import Screen

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from squashproxy.cli.common_options import CommonOptions

_Result = TypeVar("_Result", bound="DataclassInstance")


def say(line: str, *, aside: bool = False) -> None:
    """Write one line to standard output, or to standard error if `aside`; what is no printable
    character is escaped, line feeds as well.

    Raises ReportLost where standard output is full.
    """
    click.echo(printable(line), err=aside)


def say_text(text: str, *, aside: bool = False) -> None:
    """Write a text of our own, as it is: a help text, a script."""
    click.echo(text, err=aside)


def write_document(document: Mapping[str, object]) -> None:
    """Write one JSON document, in ASCII."""
    click.echo(json.dumps(document, indent=2))


def write_result(result: DataclassInstance) -> None:
    """Write a result as one JSON document."""
    click.echo(to_json(result))


def write_report(
    common: CommonOptions,
    result: _Result,
    show: Callable[[Screen, _Result], None],
    *,
    aside: bool = False,
) -> None:
    """Write `result` to standard output as JSON or, unless `--quiet`, for people.

    `aside` sends the report for people to standard error, since standard output holds an archive.
    Raises ReportLost where standard output is full.
    """
    if common.as_json:
        write_result(result)
    elif not common.quiet:
        show(Screen(sys.stderr if aside else None), result)


def tell_addresses(common: CommonOptions, addresses: Sequence[str]) -> None:
    """Say on standard error where a server listens."""
    if not common.quiet:
        say(f"squashproxy: listening on {', '.join(addresses)}", aside=True)
