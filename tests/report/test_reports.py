"""Reports in a pipe: complete, at most 80 columns where tables are, no colour, no drawing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from squashproxy.cleanup.results import CleanupResult, RepositoryResult
from squashproxy.pipeline.inspect import ImageDetails, Inspection, LayerDetails
from squashproxy.promotion.results import ImageOutcome, ImageResult, PromoteResult
from squashproxy.report.cleanup import show_cleanup
from squashproxy.report.copy import show_copy
from squashproxy.report.inspect import show_inspection
from squashproxy.report.plan import show_plan
from squashproxy.report.promote import show_promotion
from squashproxy.report.screen import Screen
from tests.report.results import COPY, DIGEST, KNOWN, PLAN, PLATFORM, SKIPPED, SOURCE_DIGEST

IMAGE = ImageDetails(
    platform="linux/amd64",
    digest=DIGEST,
    media_type="application/vnd.oci.image.manifest.v1+json",
    created="2024-01-02T03:04:05Z",
    compressed=301_000_000,
    squashed_from=SOURCE_DIGEST,
    labels={"maintainer": "some[bold]one\x1b[31m"},
    annotations={"org.example.note": "hello"},
    layers=(LayerDetails(DIGEST, "application/vnd.oci.image.layer.v1.tar+gzip", 301_000_000),),
)
INSPECTION = Inspection(
    "registry.example.com/apps/web:1.4",
    DIGEST,
    "application/vnd.oci.image.index.v1+json",
    attestations=2,
    images=(IMAGE,),
)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def rendered(show: Callable[[Screen], None]) -> str:
    stream = io.StringIO()
    show(Screen(stream))
    return stream.getvalue()


REPORTS = [
    pytest.param(lambda screen: show_copy(screen, COPY), id="copy"),
    pytest.param(lambda screen: show_copy(screen, SKIPPED), id="copy-skipped"),
    pytest.param(lambda screen: show_plan(screen, PLAN), id="plan"),
    pytest.param(lambda screen: show_plan(screen, KNOWN), id="plan of known layers"),
    pytest.param(lambda screen: show_inspection(screen, INSPECTION), id="inspect"),
]


@pytest.mark.parametrize("show", REPORTS)
def test_a_pipe_gets_plain_short_lines(show: Callable[[Screen], None]) -> None:
    text = rendered(show)
    assert text.isascii()
    assert "\x1b" not in text
    for line in text.splitlines():
        assert line == line.rstrip()
        assert len(line) <= 80 or "sha256:" in line


def row(text: str, first: str) -> list[str]:
    """The cells of the table row that begins with `first`."""
    (line,) = [line for line in text.splitlines() if line.startswith(first)]
    return re.split(r"\s{2,}", line)


def test_copy_shows_before_after_and_saved() -> None:
    text = rendered(lambda screen: show_copy(screen, COPY))
    assert row(text, "linux/amd64") == ["linux/amd64", "before", "after", "saved"]
    assert row(text, "layers") == ["layers", "12", "2", "10"]
    assert row(text, "compressed") == ["compressed", "554 MB", "301 MB", "253 MB", "46 %"]
    assert row(text, "above base") == [
        "above base, unpacked",
        "1.28 GB",
        "700 MB",
        "580 MB",
        "45 %",
    ]
    assert "uploaded 250 MB, reused 51.0 MB, mounted 1 blob" in text
    assert "base        1 layer kept as base\n" in text
    assert "left out    580 MB unpacked, which upper layers hide\n" in text
    assert f"digest      {DIGEST}\n" in text
    assert "took        6.5 s; 1 MB = 1,000,000 bytes" in text


def test_copy_without_base_speaks_of_all_unpacked_bytes() -> None:
    flat = replace(COPY, platforms=(replace(PLATFORM, base_layers=0),))
    text = rendered(lambda screen: show_copy(screen, flat))
    assert row(text, "unpacked")[1] == "1.28 GB"
    assert "no layer kept as base" in text


def test_copy_counts_warnings_and_names_where_they_stand() -> None:
    text = rendered(lambda screen: show_copy(screen, replace(COPY, warnings=("one", "two"))))
    assert "2 warnings on standard error" in text


def test_copy_shows_every_platform() -> None:
    both = (PLATFORM, replace(PLATFORM, platform="linux/arm64/v8", fallbacks=2))
    text = rendered(lambda screen: show_copy(screen, replace(COPY, platforms=both)))
    assert row(text, "linux/amd64")
    assert row(text, "linux/arm64/v8")
    assert "2 extra readings of layers" in text


def test_a_skipped_copy_says_so_first() -> None:
    text = rendered(lambda screen: show_copy(screen, SKIPPED))
    assert text.startswith("Nothing to do: registry.example.com/apps/web:1.4 is up to date.\n")


def test_a_tag_left_alone_is_not_called_up_to_date() -> None:
    kept = replace(SKIPPED, warnings=("the tag exists and is left alone",))
    text = rendered(lambda screen: show_copy(screen, kept))
    assert text.startswith("Nothing to do: registry.example.com/apps/web:1.4 stays as it is.\n")


def test_plan_shows_layers_totals_and_what_would_move() -> None:
    text = rendered(lambda screen: show_plan(screen, PLAN))
    assert row(text, "1")[:7] == ["1", "base", "mount", "51.0 MB", "120 MB", "6,300", "20.0 MB"]
    assert row(text, "2")[:7] == [
        "2", "squashed", "absent", "503 MB", "1.28 GB", "18,331", "580 MB",
    ]  # fmt: skip
    assert "ADD file:0123" in row(text, "1")[7]
    assert "/bin/sh" not in text
    assert "compressed  554 MB -> 300 MB (46 % less)" in text
    assert "a copy      would upload 250 MB, reuse 0 B and mount 51.0 MB" in text
    assert "efficiency  57.1 %; upper layers hide 600 MB of 1.40 GB unpacked" in text
    assert "left out    580 MB unpacked, of what is hidden" in text
    assert "48.0 MB  layer 2, hidden by layer 3: var/cache/apt/pkgcache.bin" in text


def test_plan_shows_what_layers_become_where_that_differs() -> None:
    exact = replace(PLAN, platforms=(replace(KNOWN.platforms[0], estimated=False),))
    text = rendered(lambda screen: show_plan(screen, exact))
    assert row(text, "2")[3:6] == ["503 MB", "249 MB", "1.28 GB"]
    assert "~" not in text
    about = rendered(lambda screen: show_plan(screen, KNOWN))
    assert row(about, "2")[3:6] == ["503 MB", "~249 MB", "1.28 GB"]
    assert "compressed  554 MB -> ~300 MB (~46 % less)" in about
    assert "would upload ~250 MB, reuse" in about
    assert "~ marks estimates: known layers were not read" in about
    assert "  after  " not in rendered(lambda screen: show_plan(screen, PLAN))


def test_plan_adds_up_all_layers() -> None:
    text = rendered(lambda screen: show_plan(screen, PLAN))
    (line,) = [line for line in text.splitlines() if " all " in line]
    assert line.split() == ["all", "554", "MB", "1.40", "GB", "24,631", "600", "MB"]


def test_plan_names_secrets_by_rule_and_caches_by_folder() -> None:
    lines = rendered(lambda screen: show_plan(screen, PLAN)).splitlines()
    start = lines.index("Files that were deleted or replaced but still ship, and look secret:")
    assert lines[start + 1 : start + 3] == [
        "  ssh-key  layer 2, hidden by layer 3: root/.ssh/id_rsa",
        r"  dotenv   layer 1, hidden by layer 2: srv/\x1b[2J/.env",
    ]
    start = lines.index("Caches that were deleted but still ship:")
    assert lines[start + 1] == "  500 MB  layer 2, hidden by layer 3: var/cache/apt (70 files)"


def test_plan_shows_some_secrets_and_counts_the_others() -> None:
    (platform,) = PLAN.platforms
    many = tuple(replace(platform.suspects[0], path=f"{n}/id_rsa") for n in range(1000))
    plan = replace(PLAN, platforms=(replace(platform, suspects=many, secrets=1234),))
    text = rendered(lambda screen: show_plan(screen, plan))
    assert text.count("/id_rsa") == 20
    assert "  and 1,214 more; the JSON report lists up to 1,000\n" in text


def test_plan_of_an_image_without_suspects_does_not_speak_of_them() -> None:
    (platform,) = PLAN.platforms
    plan = replace(PLAN, platforms=(replace(platform, suspects=(), secrets=0),))
    assert "but still ship" not in rendered(lambda screen: show_plan(screen, plan))


def test_plan_without_a_target_asks_for_one() -> None:
    (platform,) = PLAN.platforms
    alone = replace(platform, reused_bytes=None, mountable_bytes=None, upload_bytes=None)
    plan = replace(PLAN, target=None, up_to_date=None, platforms=(alone,))
    text = rendered(lambda screen: show_plan(screen, plan))
    assert "name a target to know how much" in text


def test_an_up_to_date_target_is_told_before_the_layers() -> None:
    text = rendered(lambda screen: show_plan(screen, replace(PLAN, up_to_date=True)))
    assert text.index("up to date") < text.index("linux/amd64")


def test_names_from_an_image_cannot_move_the_cursor_nor_be_markup() -> None:
    plan = rendered(lambda screen: show_plan(screen, PLAN))
    assert r"tmp/evil\x1b[2J[name]" in plan
    inspection = rendered(lambda screen: show_inspection(screen, INSPECTION))
    assert r"maintainer=some[bold]one\x1b[31m" in inspection


def test_a_long_path_is_written_whole_into_a_pipe() -> None:
    (platform,) = PLAN.platforms
    path = "very/long/" * 30 + "file"
    hidden = (replace(platform.largest_hidden[0], path=path),)
    plan = replace(PLAN, platforms=(replace(platform, largest_hidden=hidden),))
    assert path in rendered(lambda screen: show_plan(screen, plan))


def test_inspect_shows_platform_layers_and_where_the_image_came_from() -> None:
    text = rendered(lambda screen: show_inspection(screen, INSPECTION))
    assert "linux/amd64: 1 layer, 301 MB" in text
    assert f"squashed    from {SOURCE_DIGEST}" in text
    assert "2 attestations" in text
    assert row(text, "1  ") == ["1", "abababababab", "vnd.oci.image.layer.v1.tar+gzip", "301 MB"]


def test_on_a_terminal_of_80_columns_no_figure_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    coloured = rendered(lambda screen: show_plan(screen, PLAN))
    assert "\x1b[1m" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert row(plain, "2 ")[:7] == [
        "2", "squashed", "absent", "503 MB", "1.28 GB", "18,331", "580 MB",
    ]  # fmt: skip
    assert max(map(len, plain.splitlines())) <= 80


IN_TARGET = {
    "less": (417_000_000, 300_000_000, 4, "300 MB instead of 417 MB for plain copies"),
    "more": (417_000_000, 1_003_000_000, 4, "586 MB more, since layers that images shared became"),
    "some images are not known": (9, 8, 3, "without 1 image whose layers are not on record"),
}


@pytest.mark.parametrize(("before", "after", "images", "said"), IN_TARGET.values(), ids=IN_TARGET)
def test_promote_says_what_the_target_holds(
    before: int, after: int, images: int, said: str
) -> None:
    image = ImageResult("apps", "old/a:1", DIGEST, "new/a:1", DIGEST, ImageOutcome.CURRENT)
    promoted = PromoteResult(
        False,
        (image,) * 4,
        (),
        (),
        (),
        None,
        1.0,
        distinct_before=before,
        distinct_after=after,
        distinct_images=images,
    )
    text = " ".join(rendered(lambda screen: show_promotion(screen, promoted)).split())
    assert said in text
    assert ("more, since" in text) == (after > before)


@pytest.mark.parametrize(("before", "after"), [(900, 400), (400, 900), (0, 0)])
def test_cleanup_says_what_squashed_images_hold(before: int, after: int) -> None:
    done = RepositoryResult("old", "new/a", (), 0, 50, None, before, after)
    result = CleanupResult(True, (done,), (), None, 1.0)
    text = " ".join(rendered(lambda screen: show_cleanup(screen, result, "undo")).split())
    said = f"the squashed images hold {after} B instead of {before} B for plain copies"
    assert (said in text) == (before > 0)
    assert ("500 B more, since" in text) == (after > before)


def test_on_a_narrow_terminal_names_go_on_in_the_next_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is copied out of a table must be whole; figures stay in their line."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "60")
    source = "registry.dev.example.com/apps/platform/web:2026-11-27-rc.1"
    target = "registry.example.com/production/platform/web:2026-11-27-rc.1"
    image = ImageResult("apps", source, DIGEST, target, DIGEST, ImageOutcome.COPIED, None)
    promoted = PromoteResult(False, (image,), (), (), (), None, 1.0)
    text = re.sub(r"\x1b\[\d*m", "", rendered(lambda screen: show_promotion(screen, promoted)))
    rows = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    assert "\u2026" not in text
    assert "copied" in text
    assert all(len(line) <= 60 for line in text.splitlines())
    assert "".join(row[0] for row in rows[2:]).startswith(source)
