"""The page as text: a template filled in, with everything that it needs inside."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from squashproxy import __version__
from squashproxy.analysis.secret_patterns import sentence_of
from squashproxy.pipeline.results import PlanResult
from squashproxy.printable import printable
from squashproxy.report.build_steps import step_text
from squashproxy.report.page.charts import chart_data
from squashproxy.report.screen import short_digest
from squashproxy.report.sizes import count_text, efficiency_text, size_text

if TYPE_CHECKING:
    from jinja2 import Template

_MARK = '<meta name="generator" content="squashproxy '
PAGE_HEAD = 4096
"""In so many bytes of its start a page says that it is one."""

_ECHARTS = "echarts/echarts.min.js"
_PARTS = ("drawing", "layers", "folders", "tables", "page")
"""The page's own script, in the order in which its parts need each other."""


def render_page(result: PlanResult) -> str:
    """The page of a plan, as HTML.

    Whatever comes from the image is escaped, and a policy in the page's head lets no script run but
    the two that belong to it, and nothing be loaded.
    """
    own = "\n".join(_read(f"script/{part}.js") for part in _PARTS)
    scripts = [_read(_ECHARTS), own]
    return _template().render(
        result=result,
        charts=chart_data(result),
        style=_read("colors.css") + _read("page.css"),
        scripts=scripts,
        policy=_policy(scripts),
        version=__version__,
    )


def is_page(start: str) -> bool:
    """Whether what begins with `start`, of PAGE_HEAD bytes, is a page that squashproxy wrote."""
    return _MARK in start


def _policy(scripts: list[str]) -> str:
    """A Content-Security-Policy; styles are allowed inline, since ECharts places things by them."""
    sums = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{text}'" for text in sums)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


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
        rule_sentence=sentence_of,
    )
    return environment.from_string(_read("page.html.jinja"))
