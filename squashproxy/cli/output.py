"""The output of a command when it is done: a report for people, or one JSON document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from squashproxy.cli.common_options import CommonOptions
from squashproxy.report.as_json import to_json
from squashproxy.report.screen import Screen

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Result = TypeVar("_Result", bound="DataclassInstance")


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
        click.echo(to_json(result))
    elif not common.quiet:
        show(Screen(sys.stderr if aside else None), result)


def tell_addresses(common: CommonOptions, addresses: Sequence[str]) -> None:
    """Say on standard error where a server listens."""
    if not common.quiet:
        click.echo(f"squashproxy: listening on {', '.join(addresses)}", err=True)
