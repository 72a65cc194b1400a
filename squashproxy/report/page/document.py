"""The page as text: a template, filled in with the plan, the style and the script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from squashproxy import __version__
from squashproxy.pipeline.results import PlanResult
from squashproxy.printable import printable
from squashproxy.report.build_steps import step_text
from squashproxy.report.page.charts import folder_trees, layer_bars
from squashproxy.report.screen import short_digest
from squashproxy.report.signing import signing_text
from squashproxy.report.sizes import ESTIMATED_NOTE, count_text, efficiency_text, size_text
from squashproxy.squash.secret_patterns import sentence_of

if TYPE_CHECKING:
    from jinja2 import Template

_MARK = '<meta name="generator" content="squashproxy '
PAGE_HEAD = 4096
"""A page names its generator within this many bytes of its start."""

_PARTS = ("sizes", "layout", "svg", "treemap", "tables", "page")
"""The page's script, in the order in which its parts need each other; together one module."""


def render_page(result: PlanResult) -> str:
    """The page of a plan, as HTML that needs no other file.

    Text from the image is escaped. A policy in the page's head allows only the page's own script
    and style.
    """
    script = "\n".join(_read(f"script/{part}.js") for part in _PARTS)
    style = f"\n{_read('colors.css')}{_read('page.css')}\n"
    return _template().render(
        result=result,
        folders=folder_trees(result),
        estimated=ESTIMATED_NOTE,
        style=style,
        script=script,
        policy=_policy(script, style),
        version=__version__,
    )


def is_page(start: str) -> bool:
    """Whether a file that begins with `start`, of PAGE_HEAD bytes, is a page of `render_page`."""
    return _MARK in start


def _policy(script: str, style: str) -> str:
    """A Content-Security-Policy that names script and style by their hashes (CSP level 3)."""
    return (
        f"default-src 'none'; script-src {_source_of(script)}; style-src {_source_of(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source_of(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_bytes().decode()


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - nobody else waits for it

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        size=size_text,
        count=count_text,
        efficiency=efficiency_text,
        printable=printable,
        short=short_digest,
        step=step_text,
        bars=layer_bars,
        rule_sentence=sentence_of,
        signing=signing_text,
    )
    return environment.from_string(_read("page.html.jinja"))
