"""The page at `/`, served by a real server, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from squashproxy.fleet.snapshot import Snapshot
from squashproxy.server.page.page import find_asset
from squashproxy.testing import FakeRegistry, Fault, FaultKind, LayerBuilder
from tests.browsing import Sheet, run_browser
from tests.pipeline.images import image_of, noise
from tests.pipeline.signatures.signed import RIGHT, sign_by_bundle
from tests.server.pull.signing import ENVIRON, RULE, signing
from tests.server.scripted_fleet import AWAY, BUSY, IDLE, ScriptedFleet
from tests.server.serving import UP, Served, app, run_serve, settings

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as running:
        yield running


Open = Callable[..., Sheet]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens the page of a server; it must ask for nothing elsewhere, and complain of nothing."""
    sheets: list[Sheet] = []

    def open_page(served: Served, width: int = 1280, **options: Any) -> Sheet:
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        sheet = Sheet(page, (served.url, "data:"))
        sheet.listen()
        sheets.append(sheet)
        page.goto(served.url)
        return sheet

    yield open_page
    for sheet in sheets:
        sheet.page.close()
        assert sheet.troubles == []


@pytest.mark.real
def test_an_empty_server_says_what_to_do(served: Served, opened: Open) -> None:
    page = opened(served).page
    expect(page.locator("#health")).to_have_text("healthy")
    expect(page.locator("#images-caption")).to_contain_text("Pull an image through this address")
    expect(page.locator("#jobs")).to_have_text("Nothing is being squashed.")
    expect(page.locator("#upstreams")).to_contain_text(f"{UP}up")


@pytest.mark.real
def test_what_was_squashed_is_in_the_table_and_the_charts(
    served: Served, upstream: FakeRegistry, opened: Open
) -> None:
    for number, name in enumerate(("web", "api", "jobs")):
        app(name, layers=4 + number, size=200_000 * (number + 1)).push(
            upstream, f"team/{name}", "1"
        )
        served.manifest(f"team/{name}", "1")
    page = opened(served).page
    rows = page.locator("#images tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first.locator("th")).to_have_text(f"{UP}/team/jobs:1")
    expect(rows.first).to_contain_text("6 → 2")
    page.get_by_role("button", name="image").click()
    expect(rows.first.locator("th")).to_have_text(f"{UP}/team/api:1")
    page.fill("#filter", "WEB")
    expect(rows).to_have_count(1)
    expect(page.locator("#savings path.line")).to_have_count(1)
    expect(page.locator("#savings circle")).to_have_count(3)
    expect(page.locator("#shrunk li")).to_have_count(3)
    expect(page.locator("#shrunk")).to_contain_text("web:1")
    expect(page.locator("#distinct")).to_contain_text("Each layer counted once: squashed")
    places = [float(dot.get_attribute("cx") or "") for dot in page.locator("#savings circle").all()]
    assert places == sorted(places)


@pytest.mark.real
def test_the_page_says_where_squashing_ended_more_sharing_than_it_saved(
    served: Served, upstream: FakeRegistry, opened: Open
) -> None:
    shared = [LayerBuilder().file(f"shared{seed}", noise(40_000, seed)) for seed in (1, 2)]
    for name in ("one", "two"):
        built = image_of(*shared, LayerBuilder().file(name, name.encode()))
        built.push(upstream, name, "1")
        served.manifest(name, "1")
    told = opened(served).page.locator("#distinct")
    expect(told).to_contain_text("more, since layers that images shared became different")


@pytest.mark.real
def test_the_page_says_what_is_signed_and_what_was_refused(
    upstream: FakeRegistry, tmp_path: Path, opened: Open
) -> None:
    sign_by_bundle(upstream, "signed", app().push(upstream, "signed", "1"))
    app().push(upstream, "unsigned", "1")
    with run_serve(signing(upstream, tmp_path, rules=[RULE]), ENVIRON) as served:
        for repo in ("signed", "unsigned"):
            served.manifest(repo, "1")
        page = opened(served).page
        expect(page.locator("#images tbody tr")).to_contain_text(", signed")
        told = page.locator("#images tbody td").last
        key = RIGHT.public.fingerprint
        expect(told).to_have_attribute("title", re.compile(f"by key {key}; signed with key {key}"))
        expect(page.locator("#errors li").first).to_contain_text("it has no signature")


@pytest.mark.real
def test_a_running_job_moves_and_ends(served: Served, upstream: FakeRegistry, opened: Open) -> None:
    app(size=2_000_000).push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=300_000, times=9))
    served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
    assert hang.reached.wait(10)
    page = opened(served).page
    expect(page.locator("#jobs li.running")).to_contain_text(f"{UP}/app:1")
    hang.release()
    expect(page.locator("#jobs")).to_have_text("Nothing is being squashed.", timeout=15_000)
    expect(page.locator("#images tbody tr")).to_have_count(1)


@pytest.mark.real
def test_errors_are_told_and_run_no_script(
    served: Served, upstream: FakeRegistry, opened: Open
) -> None:
    app().push(upstream, "app", "1")
    upstream.arm(Fault("GET", "/blobs/", status=404, times=99))
    served.manifest("app", "1")
    page = opened(served).page
    expect(page.locator("#errors li").first).to_contain_text(f"{UP}/app:1")
    expect(page.locator("#health")).to_contain_text("error")
    script = (
        f"import('/assets/parts.js').then(m => document.body.append(m.make('p', '', {EVIL!r})))"
    )
    page.evaluate(script)
    expect(page.locator("body > p").last).to_have_text(EVIL)


@pytest.mark.real
def test_a_server_that_is_gone_and_comes_back(
    upstream: FakeRegistry, tmp_path: Path, browser: Browser
) -> None:
    section = settings(upstream, tmp_path)
    with run_serve(section) as first:
        page = browser.new_page()
        page.goto(first.url)
        expect(page.locator("#health")).to_have_text("healthy")
        address = first.host
    expect(page.locator("#banner")).to_contain_text("cannot be reached", timeout=15_000)
    expect(page.locator("#upstreams")).to_contain_text(UP)
    section["serve"]["listen"] = address
    with run_serve(section):
        expect(page.locator("#health")).to_have_text("healthy", timeout=15_000)
        expect(page.locator("#banner")).to_be_hidden()
        page.close()


@pytest.mark.real
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(
    served: Served, upstream: FakeRegistry, opened: Open, scheme: str
) -> None:
    app().push(upstream, "a-team/with-a-long-name/and-an-application", "1")
    served.manifest("a-team/with-a-long-name/and-an-application", "1")
    page = opened(served, 360, color_scheme=scheme).page
    expect(page.locator("#images tbody tr")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.fixture
def replica(upstream: FakeRegistry, tmp_path: Path, fleet: ScriptedFleet) -> Iterator[Served]:
    """A server whose jobs are done by workers."""
    with FakeRegistry() as store:
        section = settings(upstream, tmp_path, store={"registry": f"{store.host}/cache"})
        with run_serve(section, fleet=fleet) as server:
            yield server


@pytest.fixture
def fleet() -> ScriptedFleet:
    return ScriptedFleet(BUSY)


@pytest.mark.real
def test_without_a_fleet_nothing_is_said_of_one(served: Served, opened: Open) -> None:
    page = opened(served).page
    expect(page.locator("#health")).to_have_text("healthy")
    expect(page.locator("#fleet-section")).to_be_hidden()


@pytest.mark.real
def test_the_fleet_is_shown_whole(replica: Served, opened: Open) -> None:
    page = opened(replica).page
    cards = page.locator("#fleet")
    expect(cards).to_contain_text("workers1, with 1 of 4 places in use")
    expect(cards).to_contain_text("queue interactive3 waiting, the oldest for 42 s")
    expect(cards).to_contain_text("queue bulk1,200 waiting, the oldest for 1 h 30 min")
    expect(cards).to_contain_text("5,000 jobs, 7 of them again")
    expect(cards).to_contain_text("the schedules run on host-b:7:aa")
    expect(cards).to_contain_text("docker.ioworkers waited 13 min for its rate")
    expect(cards).not_to_contain_text("ghcr.io")
    jobs = page.locator("#fleet-jobs")
    expect(jobs.locator("li.running")).to_contain_text(
        "on host-a:12:3f · 30.0 MB moved · attempt 2"
    )
    expect(jobs.locator("li.waiting").first).to_contain_text("waits for 12 s in interactive")
    expect(jobs).to_contain_text("a worker of version 4.1 for interactive jobs")
    expect(jobs).to_contain_text("and 1,201 more")
    expect(jobs.locator("li.parked")).to_contain_text("(job poison:1, tried 3 times)")
    expect(jobs.locator("li.failed")).to_contain_text("up.example has no manifest")


@pytest.mark.real
def test_a_broker_that_is_away_and_comes_back(
    replica: Served, fleet: ScriptedFleet, opened: Open
) -> None:
    page = opened(replica).page
    expect(page.locator("#health")).to_have_text("1 job is parked")
    fleet.snapshot_now = None
    expect(page.locator("#health")).to_contain_text("the broker is away", timeout=15_000)
    expect(page.locator("#fleet")).to_contain_text(AWAY)
    expect(page.locator("#fleet-jobs")).to_be_empty()
    expect(page.locator("#errors")).to_contain_text("are handed out as they are")
    fleet.snapshot_now = Snapshot()
    expect(page.locator("#health")).to_contain_text("no worker runs", timeout=15_000)
    fleet.snapshot_now = IDLE
    expect(page.locator("#fleet")).to_contain_text("workers1, with 0 of 4 places", timeout=15_000)


@pytest.mark.real
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_fleet_is_no_wider_than_the_screen(
    replica: Served, opened: Open, scheme: str
) -> None:
    page = opened(replica, 360, color_scheme=scheme).page
    expect(page.locator("#fleet-jobs li.running")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_assets_are_sent_once(served: Served) -> None:
    first = served.get("/assets/page.js")
    assert first.headers["Content-Type"].startswith("text/javascript")
    again = served.get("/assets/page.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_no_inline_style_or_script_is_allowed(served: Served) -> None:
    policy = served.get("/").headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy


def test_there_is_nothing_else() -> None:
    for path in ("/index.html", "/assets/../service.py", "/assets/", "/favicon.ico"):
        assert find_asset(path) is None
