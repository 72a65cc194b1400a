"""`squashproxy config`: look at a configuration before it is used."""

from __future__ import annotations

import os
from pathlib import Path

import click

from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.group import examples
from squashproxy.cli.output import say, write_document


@click.group(epilog=examples("squashproxy config check squashproxy.yml"))
def config() -> None:
    """Check a configuration, or print its schema."""


@config.command(epilog=examples("squashproxy config check squashproxy.yml"))
@click.argument("file", type=click.Path(path_type=Path))
@common_options
def check(common: CommonOptions, file: Path) -> None:
    """Say whether FILE is a valid configuration, and what looks unintended."""
    from squashproxy.config.files import missing_files  # noqa: PLC0415 - loads pydantic
    from squashproxy.config.read import read_configuration  # noqa: PLC0415 - loads pydantic
    from squashproxy.config.summary import summary_of  # noqa: PLC0415 - loads pydantic
    from squashproxy.config.warnings import warnings_of  # noqa: PLC0415 - loads pydantic

    configuration = read_configuration(file, os.environ)
    warnings = [*warnings_of(configuration), *missing_files(configuration)]
    if common.as_json:
        document = {"file": str(file), "valid": True, "warnings": warnings}
        write_document(document)
        return
    if common.quiet:
        return
    say(f"{file} is valid")
    for key, sentence in summary_of(configuration):
        say(f"{key:<9}  {sentence}")
    for sentence in warnings:
        say(f"warning: {sentence}")


@config.command(epilog=examples("squashproxy config schema > squashproxy.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from squashproxy.config.schema import configuration_schema  # noqa: PLC0415 - loads pydantic

    write_document(configuration_schema())
