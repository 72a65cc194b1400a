"""`plan --html` in a real browser: drawn, sorted, in both schemes, on a phone, and harmless."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder
from tests.browsing import Sheet, run_browser
from tests.cli.command_line import run_process

pytestmark = pytest.mark.real

EVIL = "</script><img src=x onerror=alert(1)>"
FIGURES = (
    "efficiency", "total_hidden", "total_unpacked", "hidden_bytes", "unpacked_before",
    "compressed_before", "compressed_after", "upload_bytes", "reused_bytes", "mountable_bytes",
    "secrets",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """The page, and the same plan as JSON."""

    page: Path
    platform: dict[str, Any]


class PlanSheet(Sheet):
    """The page of a plan, opened."""

    def color(self, selector: str, name: str = "backgroundColor") -> str:
        return str(self.page.eval_on_selector(selector, f"e => getComputedStyle(e).{name}"))

    def column(self, table: str, number: int) -> list[str]:
        return self.page.locator(f"#{table} tbody tr td:nth-child({number})").all_inner_texts()


def build() -> ImageBuilder:
    base = LayerBuilder().directory("etc").file("etc/passwd", b"x" * 900)
    base.file("root/.netrc", b"machine x")
    middle = LayerBuilder().file("srv/.env", b"A=1").file(f"srv/{EVIL}", b"x" * 70_000)
    for number in range(30):
        middle.file(f"var/cache/apt/archives/{number:02}.deb", b"x" * (2000 + 997 * number % 5000))
        middle.file(f"opt/{EVIL}/{number % 4}/{number}", b"x" * 3000)
    upper = LayerBuilder().whiteout("var/cache/apt").whiteout("srv").whiteout("root/.netrc")
    upper.file("etc/passwd", b"new").whiteout("opt")
    image = ImageBuilder()
    for layer, step in ((base, EVIL), (middle, "RUN install"), (upper, "RUN clean")):
        image.layer(layer, history=step)
    return image


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    page = tmp_path_factory.mktemp("page") / "plan.html"
    with FakeRegistry() as old, FakeRegistry() as new:
        build().push(old, "app", "1")
        references = (f"{old.host}/app:1", f"{new.host}/app:1")
        outcome = run_process(["plan", "--json", "--html", str(page), *references])
    assert (outcome.code, outcome.err) == (0, "")
    (platform,) = json.loads(outcome.out)["platforms"]
    return Report(page, platform)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as running:
        yield running


Open = Callable[..., PlanSheet]


@pytest.fixture
def opened(browser: Browser, report: Report) -> Iterator[Open]:
    """Opens the page; whatever a test does with it, it must be no trouble."""
    sheets: list[PlanSheet] = []

    def open_page(width: int = 1200, **options: Any) -> PlanSheet:
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        sheet = PlanSheet(page, ("file:",))
        sheet.listen()
        sheets.append(sheet)
        page.goto(report.page.as_uri())
        return sheet

    yield open_page
    for sheet in sheets:
        sheet.page.wait_for_timeout(50)
        sheet.page.close()
        assert sheet.troubles == []


def test_its_figures_are_those_of_the_json(opened: Open, report: Report) -> None:
    page = opened().page
    for name in FIGURES:
        value = page.get_attribute(f'[data-figure="{name}"]', "value")
        assert value is not None
        assert float(value) == report.platform[name], name
    rows = page.locator("#layers-1 tbody tr")
    assert rows.count() == len(report.platform["layers"])
    for row, layer in zip(rows.all(), report.platform["layers"], strict=True):
        found = [cell.get_attribute("data-sort") for cell in row.locator("td[data-sort]").all()]
        after = layer["compressed_after"]
        assert found.pop(2) == str(-1 if after is None else after)
        names = ("compressed", "unpacked", "entries", "hidden_bytes", "hidden_entries")
        assert found[1:] == [str(layer[name]) for name in names]


def test_the_bars_show_every_layer(opened: Open, report: Report) -> None:
    page = opened().page
    bars = page.locator(".bars li")
    assert bars.count() == len(report.platform["layers"])
    widths = [
        float((rect.get_attribute("width") or "").rstrip("%"))
        for rect in page.locator(".bars rect").all()
    ]
    longest = max(layer["unpacked"] for layer in report.platform["layers"])
    unpacked = sum(layer["unpacked"] for layer in report.platform["layers"])
    assert sum(widths) == pytest.approx(100 * unpacked / longest, abs=0.1)


def test_the_map_is_drawn_and_says_its_sizes(opened: Open) -> None:
    page = opened().page
    tiles = page.locator(".treemap svg > g")
    assert tiles.count() >= 3
    box = page.locator(".treemap svg").bounding_box()
    assert box is not None
    areas = [tile.bounding_box() for tile in page.locator(".treemap svg > g > rect.tile").all()]
    covered = sum(area["width"] * area["height"] for area in areas if area is not None)
    assert covered == pytest.approx(box["width"] * box["height"], rel=0.03)
    assert "% of what is hidden" in (tiles.first.get_attribute("aria-label") or "")


def test_a_folder_is_entered_and_left(opened: Open) -> None:
    page = opened().page
    figure = page.locator("figure.treemap")
    figure.locator("g.folder").first.click()
    assert figure.locator(".trail button").all_inner_texts()[0] == "all folders"
    figure.locator(".trail button").first.press("Enter")
    assert figure.locator(".trail button").count() == 0


def test_the_map_can_be_walked_with_the_keyboard_alone(opened: Open) -> None:
    page = opened().page
    figure = page.locator("figure.treemap")
    figure.locator("g.folder").first.focus()
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert figure.locator(".said").inner_text() == name
    page.keyboard.press("Enter")
    assert figure.locator(".trail button").count() == 2
    assert page.evaluate("document.activeElement.closest('.treemap') !== null")
    page.keyboard.press("Escape")
    assert figure.locator(".trail button").count() == 0
    page.keyboard.press("Space")
    assert figure.locator(".trail button").count() in (0, 2)


def test_a_click_on_a_header_sorts_and_another_turns_it_round(opened: Open) -> None:
    sheet = opened()
    header = sheet.page.locator("#files-1 th", has_text="Path")
    assert header.get_attribute("aria-sort") == "none"
    header.locator("button").click()
    ascending = sheet.column("files-1", 1)
    assert header.get_attribute("aria-sort") == "ascending"
    assert ascending == sorted(ascending)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert sheet.column("files-1", 1) == sorted(ascending, reverse=True)


def test_figures_sort_by_value_the_largest_first_also_from_the_keyboard(opened: Open) -> None:
    sheet = opened()
    header = sheet.page.locator("#layers-1 th", has_text="Unpacked")
    header.locator("button").focus()
    sheet.page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    cells = sheet.page.locator("#layers-1 tbody tr td:nth-child(6)").all()
    values = [int(cell.get_attribute("data-sort") or "") for cell in cells]
    assert values == sorted(values, reverse=True)
    assert sheet.page.locator("#layers-1 th[aria-sort=none]").count() == 10


def test_dark_and_light_differ_and_charts_follow(opened: Open) -> None:
    sheet = opened(color_scheme="light")
    light = sheet.color("body"), sheet.color("body", "color")
    bar = sheet.color(".bars rect.waste", "fill")
    sheet.page.emulate_media(color_scheme="dark")
    dark = sheet.color("body"), sheet.color("body", "color")
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    assert sheet.color(".bars rect.waste", "fill") != bar


@pytest.mark.parametrize("width", [320, 360, 768, 1600])
def test_no_width_makes_the_page_scroll_sideways(opened: Open, width: int) -> None:
    page = opened(width).page
    page.wait_for_selector("figure svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_window_that_grows_gets_a_chart_that_fits(opened: Open) -> None:
    page = opened(1200).page
    page.set_viewport_size({"width": 500, "height": 900})
    page.wait_for_function("document.querySelector('.treemap svg').clientWidth < 500")
    assert page.evaluate("document.documentElement.scrollWidth") <= 500


def test_names_from_the_image_are_text_and_nothing_else(opened: Open) -> None:
    page = opened().page
    assert page.locator("img").count() == 0
    page.locator("summary").click()
    assert page.get_by_text(EVIL, exact=False).count() >= 3
    box = page.locator(".treemap .canvas")
    for x in range(40, 1000, 160):
        box.hover(position={"x": x, "y": 120})
    assert page.locator("img").count() == 0


def test_on_paper_it_is_light_and_complete(opened: Open) -> None:
    sheet = opened(color_scheme="dark")
    sheet.page.emulate_media(media="print")
    assert sheet.color("body") == "rgb(255, 255, 255)"
    assert len(sheet.page.pdf(format="A4")) > 20_000


def test_without_its_script_the_tables_are_all_there(opened: Open, report: Report) -> None:
    page = opened(java_script_enabled=False).page
    assert page.locator("figure.treemap:visible").count() == 0
    assert page.locator(".bars li:visible").count() == len(report.platform["layers"])
    assert page.locator("#layers-1 tbody tr").count() == len(report.platform["layers"])
    assert page.locator("#secrets-1 tbody tr").count() == report.platform["secrets"] == 2
