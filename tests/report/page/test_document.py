"""The page of a plan as text: complete without its script, and closed to what images bring."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from squashproxy.atomic_file import write_whole
from squashproxy.pipeline.results import HiddenFolder, PlanResult
from squashproxy.report.page.charts import folder_trees, layer_bars
from squashproxy.report.page.document import render_page
from tests.disk import files_of_at_most
from tests.report.results import KNOWN, PLAN

EVIL = "</script><img src=x onerror=alert(1)>"


class Outline(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def evil_plan() -> PlanResult:
    """A plan whose every text from the image tries to break out of the page."""
    (platform,) = PLAN.platforms
    layers = tuple(replace(layer, created_by=EVIL, digest=EVIL) for layer in platform.layers)
    return replace(
        PLAN,
        source=EVIL,
        target=EVIL,
        warnings=(EVIL,),
        platforms=(
            replace(
                platform,
                platform=EVIL,
                base_reason=EVIL,
                layers=layers,
                largest_hidden=(replace(platform.largest_hidden[0], path=EVIL),),
                hidden_folders=(HiddenFolder(f"{EVIL}/{EVIL}", 5, 1), HiddenFolder("a", 4, 1)),
                suspects=tuple(replace(suspect, path=EVIL) for suspect in platform.suspects),
            ),
        ),
    )


def cells(page: str, table: str) -> list[list[str]]:
    """The body of a table, row by row."""
    (body,) = re.findall(rf'<table id="{table}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    return [
        [unescape(re.sub("<[^>]+>", "", cell)).strip() for cell in re.findall("<td.*?</td>", row)]
        for row in re.findall("<tr>.*?</tr>", body, re.DOTALL)
    ]


def test_it_holds_all_figures_without_its_script() -> None:
    page = render_page(PLAN)
    (platform,) = PLAN.platforms
    figures = dict(re.findall(r'<data data-figure="(\w+)" value="([^"]*)">', page))
    for name, value in figures.items():
        assert float(value) == getattr(platform, name), name
    assert {"efficiency", "total_hidden", "total_unpacked", "hidden_bytes", "secrets"} <= set(
        figures
    )
    assert ">57.1 %<" in page
    assert cells(page, "layers-1")[0] == [
        "1", "base", "abababababab", "51.0 MB", "\N{EN DASH}", "120 MB", "6,300", "20.0 MB", "410",
        "mount", "ADD file:0123 in /",
    ]  # fmt: skip
    assert cells(page, "files-1")[0] == ["var/cache/apt/pkgcache.bin", "48.0 MB", "2", "3"]
    assert cells(page, "secrets-1")[0] == ["root/.ssh/id_rsa", "ssh-key", "2.60 kB", "2", "3"]
    assert "<dt>ssh-key</dt><dd>A private key for SSH" in page
    assert cells(page, "caches-1") == [["var/cache/apt", "apt-cache", "500 MB", "70", "2", "3"]]
    assert cells(page, "folders-1")[1] == ["/", "90.0 MB", "8,000"]


def sum_of(text: str) -> str:
    """A source of a policy, by its sum."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_estimates_are_marked_and_explained() -> None:
    page = render_page(KNOWN)
    pruned = cells(page, "layers-1")[1]
    assert pruned[:6] == ["2", "pruned", "abababababab", "503 MB", "~249 MB", "1.28 GB"]
    assert ">~300 MB<" in page
    assert ">~250 MB<" in page
    assert "known layers were not read" in page
    assert "known layers were not read" not in render_page(PLAN)


def test_the_bars_are_shares_of_the_longest() -> None:
    base, upper = layer_bars(PLAN.platforms[0].layers)
    assert (base.shown, base.hidden) == ("7.81", "1.56")
    assert (upper.shown, upper.hidden) == ("54.69", "45.31")
    assert render_page(PLAN).count('<rect class="waste"') == 2


def test_a_plan_of_many_layers_and_folders_is_a_small_page() -> None:
    """What is listed is bounded, however much an image hides (LISTED, 200 folders)."""
    (platform,) = PLAN.platforms
    folders = tuple(
        HiddenFolder(f"usr/lib/python3/dist-packages/package{n % 40}/part{n}/__pycache__", n, n)
        for n in range(1, 201)
    )
    files = platform.largest_hidden * 10
    many = replace(
        platform, layers=platform.layers * 10, hidden_folders=folders, largest_hidden=files
    )
    assert len(render_page(replace(PLAN, platforms=(many,))).encode()) < 100_000


def test_what_is_not_known_is_a_dash() -> None:
    (platform,) = PLAN.platforms
    foreign = replace(
        platform.layers[0], unpacked=None, entries=None, hidden_bytes=None, hidden_entries=None
    )
    plan = replace(PLAN, platforms=(replace(platform, layers=(foreign,)),))
    assert cells(render_page(plan), "layers-1")[0][4:8] == ["\N{EN DASH}"] * 4
    (bar,) = layer_bars((foreign,))
    assert (bar.is_read, bar.shown, bar.hidden) == (False, "0.00", "0.00")
    assert "not read" in render_page(plan)


def test_without_a_target_it_says_nothing_of_one() -> None:
    (platform,) = PLAN.platforms
    alone = replace(platform, reused_bytes=None, mountable_bytes=None, upload_bytes=None)
    page = render_page(replace(PLAN, target=None, up_to_date=None, platforms=(alone,)))
    assert "To upload" not in page
    assert "Target</dt>" not in page


def test_an_image_that_cannot_be_squashed_has_a_page_too() -> None:
    assert "Nothing in this image can be squashed" in render_page(replace(PLAN, platforms=()))


def test_each_platform_has_its_part_and_a_way_to_it() -> None:
    (platform,) = PLAN.platforms
    both = (platform, replace(platform, platform="linux/arm64/v8"))
    outline = Outline(render_page(replace(PLAN, platforms=both)))
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in outline.tags if tag == "a"]
    assert links == ["#platform-1", "#platform-2"]
    assert {"platform-1", "platform-2"} <= set(ids)
    assert outline.count("script") == 2


def test_the_same_plan_gives_the_same_page() -> None:
    assert render_page(PLAN) == render_page(PLAN)


def test_names_from_an_image_never_become_elements() -> None:
    page = render_page(evil_plan())
    calm, hostile = Outline(render_page(PLAN)), Outline(page)
    assert EVIL not in page
    assert hostile.count("img") == 0
    assert hostile.count("script") == calm.count("script") == 2
    assert EVIL.split("/", maxsplit=1)[0] in json.loads(hostile.scripts[0])[0][0]["name"]
    assert not [attrs for _, attrs in hostile.tags if any(key.startswith("on") for key in attrs)]


def test_what_could_move_a_cursor_or_turn_the_text_is_escaped() -> None:
    (platform,) = PLAN.platforms
    path = "a\u202egnp.exe\x1b[2J"
    hidden = (replace(platform.largest_hidden[0], path=path),)
    page = render_page(replace(PLAN, platforms=(replace(platform, largest_hidden=hidden),)))
    assert cells(page, "files-1")[0][0] == "a\\u202egnp.exe\\x1b[2J"


def test_its_policy_lets_its_own_script_run_and_nothing_be_loaded() -> None:
    outline = Outline(render_page(PLAN))
    (policy,) = [
        attrs["content"] or ""
        for tag, attrs in outline.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == sum_of(outline.scripts[1])
    assert "unsafe" not in policy
    assert not [attrs for _, attrs in outline.tags if "style" in attrs]
    assert not [attrs for _, attrs in outline.tags if "src" in attrs]
    assert outline.count("link") == 0


class TestFolders:
    """The treemap's tree: areas are leaves, and they add up."""

    def tree(self, *folders: tuple[str, int]) -> Any:
        (platform,) = PLAN.platforms
        listed = tuple(HiddenFolder(path, size, 1) for path, size in folders)
        plan = replace(PLAN, platforms=(replace(platform, hidden_folders=listed),))
        return folder_trees(plan)[0]

    def total(self, nodes: Any) -> int:
        return sum(
            self.total(node["children"]) if "children" in node else node["value"] for node in nodes
        )

    def test_a_chain_of_folders_is_one(self) -> None:
        (node,) = self.tree(("usr/share/doc", 5))
        assert (node["name"], node["value"]) == ("usr/share/doc", 5)

    def test_a_folders_own_files_stand_beside_its_folders(self) -> None:
        (usr,) = self.tree(("usr", 1), ("usr/lib", 2), ("usr/bin", 3))
        assert usr["name"] == "usr"
        assert [node["name"] for node in usr["children"]] == ["lib", "bin", "files"]
        assert self.total([usr]) == 6

    def test_files_of_the_root_are_named(self) -> None:
        assert self.tree(("/", 7)) == [{"name": "files", "value": 7, "files": 1}]

    def test_nothing_is_lost(self) -> None:
        folders = [(f"{n % 3}/{n % 5}/{n}", n) for n in range(1, 100)]
        assert self.total(self.tree(*folders, ("0", 5), ("1/1", 6))) == 99 * 100 // 2 + 11


class TestWriting:
    def test_a_file_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        page = tmp_path / "plan.html"
        write_whole(page, "old")
        write_whole(page, "new é")
        assert page.read_text("utf-8") == "new é"
        assert list(tmp_path.iterdir()) == [page]

    def test_a_link_keeps_pointing_to_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("real")
        write_whole(tmp_path / "link", "x")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "x"

    def test_a_circle_of_links_is_an_error_of_the_system(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("a")
        with pytest.raises(OSError, match="symbolic links"):
            write_whole(tmp_path / "a", "x")

    def test_a_full_disk_leaves_what_was_there(self, tmp_path: Path) -> None:
        page = tmp_path / "plan.html"
        page.write_text("old")
        with files_of_at_most(1), pytest.raises(OSError, match="too large") as caught:
            write_whole(page, "new")
        assert caught.value.filename == str(page)
        assert page.read_text() == "old"
        assert list(tmp_path.iterdir()) == [page]

    def test_a_pipe_is_written_to(self) -> None:
        reading, writing_end = os.pipe()
        write_whole(Path(f"/proc/self/fd/{writing_end}"), "page")
        os.close(writing_end)
        with os.fdopen(reading) as stream:
            assert stream.read() == "page"
