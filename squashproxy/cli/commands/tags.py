"""`squashproxy tags`."""

from __future__ import annotations

import click

from squashproxy.cli.common_options import CommonOptions, argument, common_options
from squashproxy.cli.group import examples
from squashproxy.cli.output import say, write_document
from squashproxy.cli.session import open_session
from squashproxy.reference import Repository, parse_repository


@click.command(
    epilog=examples(
        "squashproxy tags registry.example.com/apps/web",
    )
)
@click.argument("repository", metavar="REPO", type=argument(parse_repository))
@common_options
def tags(common: CommonOptions, repository: Repository) -> None:
    """List the tags of REPO, one per line, in the registry's order."""
    with open_session(common) as session:
        if not common.as_json:
            for tag in session.iter_tags(repository):
                say(tag)
            return
        names = list(session.iter_tags(repository))
    write_document({"repository": str(repository), "tags": names})
