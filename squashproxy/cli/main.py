"""The entry point. Only here does an error become a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType

import click
from click.shell_completion import shell_complete

from squashproxy import __version__
from squashproxy.cli.diagnostics import Diagnostics, wants_json_lines
from squashproxy.cli.group import CommandGroup, examples
from squashproxy.cli.interrupts import EXIT_CODE
from squashproxy.cli.output import say, say_text
from squashproxy.cli.permissions import missing_permission
from squashproxy.cli.standard_streams import secure_standard_streams
from squashproxy.errors import SquashproxyError, reason_of

_PROGRAM = "squashproxy"
_COMPLETE_VARIABLE = "_SQUASHPROXY_COMPLETE"
_FAILED = 1
_USAGE = 2


@click.group(
    cls=CommandGroup,
    name=_PROGRAM,
    epilog=examples(
        "squashproxy copy registry.dev.example.com/app:1 registry.example.com/app:1",
    ),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.option("--version", "show_version", is_flag=True, help="Print the version.")
@click.option("-v", "--verbose", count=True, help="With --version: name the libraries too.")
@click.pass_context
def squashproxy(context: click.Context, *, show_version: bool, verbose: int) -> None:
    """Squash container images while they move between registries, files and pipes.

    What upper layers deleted or replaced is left out; the layers of the base stay shared. No
    daemon, no root, no disk.
    """
    context.ensure_object(Diagnostics).verbosity = verbose
    if show_version:
        say(f"{_PROGRAM} {__version__}")
        if verbose:
            versions = import_module("squashproxy.cli.versions")
            for line in versions.iter_versions():
                say(line)
    elif context.invoked_subcommand is None:
        say_text(context.get_help(), aside=True)
        context.exit(_USAGE)
    else:
        import_module("squashproxy.cli.allocator").share_freed_memory()


def main() -> None:
    """Run the process's command line and exit."""
    secure_standard_streams()
    diagnostics = Diagnostics(json_lines=wants_json_lines(sys.argv[1:]))
    sys.excepthook = lambda kind, error, trace: _tell_bug(diagnostics, kind, error, trace)
    diagnostics.interrupts.listen()
    instruction = os.environ.get(_COMPLETE_VARIABLE)
    if instruction:
        sys.exit(shell_complete(squashproxy, {}, _PROGRAM, _COMPLETE_VARIABLE, instruction))
    code = run(sys.argv[1:], diagnostics)
    if code == EXIT_CODE:
        _leave()
    sys.exit(code)


def _leave() -> None:
    """End the process now: threads may still wait for servers that stall."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(EXIT_CODE)


def run(arguments: Sequence[str], diagnostics: Diagnostics | None = None) -> int:
    """Run one command line; return its exit code (REFERENCE.md, exit codes).

    Errors of the tree in errors.py, of click and of the system are handled. Any other exception
    is a bug and passes through.
    """
    if diagnostics is None:
        diagnostics = Diagnostics(json_lines=wants_json_lines(arguments))
    try:
        return _invoke(arguments, diagnostics)
    except SquashproxyError as error:
        for sentence in error.sentences(_as_option):
            diagnostics.fail(sentence, error)
        return error.exit_code
    except click.ClickException as error:
        diagnostics.fail(_usage_sentence(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        diagnostics.fail(
            "interrupted: what was under way was cancelled; run the same command again to finish"
        )
        return EXIT_CODE
    except BrokenPipeError:
        return _FAILED
    except OSError as error:
        diagnostics.fail(_system_sentence(error), error)
        return _FAILED


def _invoke(arguments: Sequence[str], diagnostics: Diagnostics) -> int:
    try:
        with squashproxy.make_context(_PROGRAM, list(arguments), obj=diagnostics) as context:
            squashproxy.invoke(context)
    except click.exceptions.Exit as request:
        return request.exit_code
    finally:
        sys.stdout.flush()
    return 0


def _as_option(setting: str) -> str:
    return f"--{setting}"


def _usage_sentence(error: click.ClickException) -> str:
    """Click's message as a sentence in our form, with the command that prints the help."""
    message = error.format_message().strip().rstrip(".")
    message = message[:1].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else _PROGRAM
    return f"{message}; see '{path} --help'"


def _system_sentence(error: OSError) -> str:
    reason = reason_of(error)
    if error.filename is None:
        return reason
    if isinstance(error, PermissionError):
        reason = f"{reason}: {missing_permission(Path(os.fsdecode(error.filename)))}"
    return f"{error.filename}: {reason}"


def _tell_bug(
    diagnostics: Diagnostics,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Report an exception that nothing caught, in place of the interpreter's traceback."""
    detail = f"{kind.__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    diagnostics.fail(
        f"this is a bug ({detail}); run it again with -vv and report the traceback",
        error.with_traceback(trace),
    )
