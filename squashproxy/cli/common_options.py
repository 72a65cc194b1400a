"""The options that every command has.

Options and arguments are read by the package's own parsers. They raise ValueError, of whose text
click would show nothing, so each stands in `value_of` or `argument`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from squashproxy.automation.options import RunOptions
from squashproxy.cli.diagnostics import Diagnostics
from squashproxy.cli.interrupts import Interrupts
from squashproxy.config.values import parse_duration, parse_size
from squashproxy.errors import UsageError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import parse_host
from squashproxy.registry.options import ClientOptions

_P = ParamSpec("_P")
_T = TypeVar("_T")
_MAX_JOBS = 64


@dataclass(frozen=True, slots=True)
class CommonOptions:
    """The values of the options that every command has."""

    as_json: bool = False
    quiet: bool = False
    authfile: Path | None = None
    ca: Path | None = None
    plain_http: frozenset[str] = frozenset()
    insecure: frozenset[str] = frozenset()
    jobs: int = CopyOptions().jobs
    retry_for: float = ClientOptions().retry_for
    least_speed: float = ClientOptions().least_speed
    interrupts: Interrupts = field(default_factory=Interrupts)

    @property
    def client(self) -> ClientOptions:
        """The options of registry clients."""
        return ClientOptions(
            authfile=self.authfile,
            ca=self.ca,
            plain_http=self.plain_http,
            insecure=self.insecure,
            retry_for=self.retry_for,
            least_speed=self.least_speed,
        )

    @property
    def run(self) -> RunOptions:
        """The options of runs of rules."""
        return RunOptions(self.client, self.jobs)


def _parse_speed(text: str) -> float:
    return 0.0 if text.strip() == "0" else float(parse_size(text))


def value_of(option: str, parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """A parser of an option's value, whose ValueError becomes a UsageError about the option."""
    return _as_usage(parse, f"{option} ")


def argument(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """A parser of an argument, whose ValueError, which quotes the value, becomes a UsageError."""
    return _as_usage(parse, "")


def _as_usage(parse: Callable[[str], _T], about: str) -> Callable[[str], _T]:
    def read(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise UsageError(f"{about}{error}") from error

    return read


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def common_options(
    function: Callable[Concatenate[CommonOptions, _P], None],
) -> Callable[..., None]:
    """Give a command the common options; it gets them as its first argument, as CommonOptions.

    Standard error is set up as the options say before the command begins.
    """

    def run(*args: Any, **values: Any) -> None:
        diagnostics = click.get_current_context().ensure_object(Diagnostics)
        diagnostics.verbosity += values.pop("verbose")
        diagnostics.quiet = values["quiet"]
        diagnostics.json_lines = values.pop("log_format") == "json"
        diagnostics.start_logging()
        common = CommonOptions(
            as_json=values.pop("as_json"),
            quiet=values.pop("quiet"),
            authfile=values.pop("authfile"),
            ca=values.pop("ca"),
            plain_http=frozenset(values.pop("plain_http")),
            insecure=frozenset(values.pop("insecure")),
            jobs=values.pop("jobs"),
            retry_for=values.pop("retry_for"),
            least_speed=values.pop("least_speed"),
            interrupts=diagnostics.interrupts,
        )
        function(common, *args, **values)

    wrapped: Callable[..., None] = update_wrapper(run, function)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


_OPTIONS = (
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Write the result as one JSON document, and nothing else, to standard output.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress, warnings or report."),
    click.option(
        "-v", "--verbose", count=True, help="Say what is done; -vv also shows an error's traceback."
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Form of warnings, log lines and errors on standard error.",
    ),
    click.option(
        "--authfile",
        type=_FILE,
        metavar="FILE",
        help="Credentials, as docker login and podman login write them.",
    ),
    click.option(
        "--ca", type=_FILE, metavar="FILE", help="Certificates (PEM) to trust besides the system's."
    ),
    click.option(
        "--plain-http",
        type=value_of("--plain-http:", parse_host),
        multiple=True,
        metavar="HOST",
        help="Speak plain HTTP to this host. Repeatable; loopback needs none.",
    ),
    click.option(
        "--insecure",
        type=value_of("--insecure:", parse_host),
        multiple=True,
        metavar="HOST",
        help="Do not verify this host's certificate. Repeatable.",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(1, _MAX_JOBS),
        default=CopyOptions().jobs,
        show_default=True,
        metavar="N",
        help="How many transfers may run at once.",
    ),
    click.option(
        "--retry-for",
        type=value_of("--retry-for:", parse_duration),
        default="5m",
        show_default=True,
        metavar="DURATION",
        help="How long to wait for a registry that went away, without a byte from it.",
    ),
    click.option(
        "--least-speed",
        type=value_of("--least-speed:", _parse_speed),
        default="1KiB",
        show_default=True,
        metavar="SIZE",
        help="Bytes a second that an answer must bring, or it is asked for again; 0 for any.",
    ),
)
