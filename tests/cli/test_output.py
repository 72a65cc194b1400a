"""What a verb writes where: the report or one JSON document out, everything else to the side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import squashproxy.cli.commands.copy as copy_module
import squashproxy.cli.commands.plan as plan_module
from squashproxy import __version__
from squashproxy.pipeline.results import CopyResult, PlanResult
from squashproxy.progress import Observer
from squashproxy.testing import FakeRegistry, ImageBuilder
from tests.cli.command_line import InProcess, run_process
from tests.disk import files_of_at_most
from tests.report.results import COPY, PLAN, SKIPPED

SOURCE = "registry.dev.example.com/app:1"
TARGET = "registry.example.com/app:1"
SECRETS = "2 files that were deleted or replaced still ship and look secret"
WARNING = "the image came with 2 attestations, which were dropped"


@pytest.fixture(autouse=True)
def _pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_image(*_: object, observer: Observer, **__: object) -> CopyResult:
        observer.start("layer 0123", 10).finish("reused")
        observer.warn(WARNING)
        return replace(COPY, warnings=(WARNING,))

    def plan_image(*_: object, **__: object) -> PlanResult:
        return replace(PLAN, warnings=(WARNING,))

    monkeypatch.setattr(copy_module, "copy_image", copy_image)
    monkeypatch.setattr(plan_module, "plan_image", plan_image)


def test_copy_json_is_the_result_with_the_fields_of_the_contract(squashproxy: InProcess) -> None:
    outcome = squashproxy("copy", "--json", SOURCE, TARGET)
    document = json.loads(outcome.out)
    assert list(document) == [
        "source", "source_digest", "target", "digest", "skipped", "warnings", "seconds",
        "platforms", "spooled_bytes", "referrers", "signed_by", "signatures",
    ]  # fmt: skip
    assert list(document["platforms"][0]) == [
        "platform", "source_digest", "digest", "layers_before", "layers_after", "base_layers",
        "compressed_before", "compressed_after", "unpacked_before", "unpacked_after",
        "hidden_bytes", "uploaded_bytes", "reused_bytes", "mounted_blobs", "spliced_bytes",
        "reencoded_bytes", "fallbacks", "mode", "fetched_bytes", "layers",
        "new_layers",
    ]  # fmt: skip
    assert document["warnings"] == [WARNING]


def test_plan_json_holds_layers_and_hidden_files(squashproxy: InProcess) -> None:
    outcome = squashproxy("plan", "--json", SOURCE)
    (platform,) = json.loads(outcome.out)["platforms"]
    assert [layer["role"] for layer in platform["layers"]] == ["base", "squashed"]
    assert platform["largest_hidden"][0]["path"] == "var/cache/apt/pkgcache.bin"
    assert platform["hidden_folders"][0] == {
        "path": "var/cache/apt",
        "hidden_bytes": 500_000_000,
        "files": 70,
    }
    assert list(platform["suspects"][0]) == [
        "rule", "kind", "path", "size", "files", "layer", "hidden_by",
    ]  # fmt: skip
    assert (platform["total_hidden"], platform["secrets"]) == (600_000_000, 2)


class TestFailOver:
    """A gate for pipelines: the whole report, then a sentence for each threshold that is passed."""

    def test_what_is_within_its_limits_succeeds(self, squashproxy: InProcess) -> None:
        outcome = squashproxy(
            "plan", "--fail-over", "hidden>600MB", "--fail-over", "secrets>2", SOURCE
        )
        assert outcome.code == 0
        assert "forbids" not in outcome.err

    @pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
    def test_each_threshold_passed_is_a_sentence_behind_the_report(
        self, squashproxy: InProcess, more: list[str]
    ) -> None:
        allowed = squashproxy("plan", *more, SOURCE)
        gates = ("hidden>20MB", "efficiency < 0.9", "secrets>=1", "secrets>9")
        options = [word for gate in gates for word in ("--fail-over", gate)]
        outcome = squashproxy("plan", *more, *options, SOURCE)
        assert outcome.code == 1
        assert outcome.out == allowed.out
        found = [line.partition("linux/amd64: ")[2] for line in outcome.err.splitlines()[1:]]
        assert found == [
            (
                "upper layers hide 600 MB (600,000,000 bytes); "
                "the threshold 'hidden>20MB' forbids that"
            ),
            "the efficiency is 57.1 %; the threshold 'efficiency < 0.9' forbids that",
            f"{SECRETS}; the threshold 'secrets>=1' forbids that",
        ]
        assert outcome.err.count("squashproxy: registry.dev.example.com/apps/web:1.4, ") == 3

    def test_quiet_leaves_only_the_sentences(self, squashproxy: InProcess) -> None:
        outcome = squashproxy("plan", "-q", "--fail-over", "secrets>1", SOURCE)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)

    @pytest.mark.parametrize(
        ("gate", "named"),
        [
            pytest.param("hidden=1", "efficiency<0.9", id="no-such-operator"),
            pytest.param("waste>1MB", "hidden, efficiency or secrets", id="no-such-figure"),
            pytest.param("hidden>", "hidden>20MB", id="no-limit"),
            pytest.param("hidden>much", "500M or 2GiB", id="no-size"),
            pytest.param("efficiency<90", "from 0 to 1", id="no-share"),
            pytest.param("secrets>1.5", "whole number", id="no-whole-number"),
        ],
    )
    def test_what_cannot_be_read_says_what_can(
        self, squashproxy: InProcess, gate: str, named: str
    ) -> None:
        outcome = squashproxy("plan", "--fail-over", gate, SOURCE)
        assert (outcome.code, outcome.out) == (2, "")
        assert named in outcome.err
        assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["copy", "plan"])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_a_warning_is_one_line_on_standard_error(
    squashproxy: InProcess, verb: str, more: list[str]
) -> None:
    assert squashproxy(verb, *more, SOURCE, TARGET).err == f"squashproxy: warning: {WARNING}\n"


def test_a_warning_as_a_json_line(squashproxy: InProcess) -> None:
    outcome = squashproxy("copy", "--log-format", "json", SOURCE, TARGET)
    line = json.loads(outcome.err)
    assert (line["level"], line["message"]) == ("warning", WARNING)


def test_a_gate_lets_nothing_pass_that_was_not_measured(
    squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that are encrypted, for one, have no plan."""
    monkeypatch.setattr(plan_module, "plan_image", lambda *_, **__: replace(PLAN, platforms=()))
    outcome = squashproxy("plan", "--fail-over", "secrets>0", SOURCE)
    assert outcome.code == 1
    assert "no image could be measured" in outcome.err


class TestPage:
    """`plan --html FILE`: beside the report, never instead of it."""

    @pytest.mark.parametrize("more", [[], ["--json"], ["-q"]], ids=["text", "json", "quiet"])
    def test_the_page_is_written_and_the_report_stays_the_same(
        self, squashproxy: InProcess, tmp_path: Path, more: list[str]
    ) -> None:
        alone = squashproxy("plan", *more, SOURCE)
        page = tmp_path / "plan.html"
        assert squashproxy("plan", *more, "--html", str(page), SOURCE) == alone
        assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
        assert list(tmp_path.iterdir()) == [page]

    def test_a_gate_that_fails_does_not_keep_the_page_away(
        self, squashproxy: InProcess, tmp_path: Path
    ) -> None:
        page = tmp_path / "plan.html"
        outcome = squashproxy("plan", "--html", str(page), "--fail-over", "secrets>0", SOURCE)
        assert outcome.code == 1
        assert page.exists()

    def test_a_folder_that_is_not_there_is_told_before_anything_is_read(
        self, squashproxy: InProcess, tmp_path: Path
    ) -> None:
        outcome = squashproxy("plan", "--html", str(tmp_path / "no/plan.html"), SOURCE)
        assert (outcome.code, outcome.out) == (2, "")
        assert "there is no folder" in outcome.err
        assert squashproxy("plan", "--html", str(tmp_path), SOURCE).code == 2

    def test_it_replaces_an_older_page_and_nothing_else(
        self, squashproxy: InProcess, tmp_path: Path
    ) -> None:
        page, image = tmp_path / "plan.html", tmp_path / "app.tar"
        image.write_bytes(b"the only copy of an image")
        for _ in range(2):
            assert squashproxy("plan", "--html", str(page), SOURCE).code == 0
        outcome = squashproxy("plan", "--html", str(image), SOURCE)
        assert (outcome.code, outcome.out) == (2, "")
        assert "is not the page of a plan, so it is not replaced" in outcome.err
        assert image.read_bytes() == b"the only copy of an image"
        page.write_text("<!DOCTYPE html>\n<p>my own")
        assert squashproxy("plan", "--html", str(page), SOURCE).code == 2

    def test_what_appears_while_the_image_is_read_is_not_replaced_either(
        self, squashproxy: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = tmp_path / "plan.html"

        def plan_image(*_: object, **__: object) -> PlanResult:
            page.write_text("precious")
            return PLAN

        monkeypatch.setattr(plan_module, "plan_image", plan_image)
        outcome = squashproxy("plan", "--html", str(page), SOURCE)
        assert outcome.code == 2
        assert outcome.out.startswith("Plan for"), "the report does not depend on the page"
        assert page.read_text() == "precious"

    def test_it_may_go_nowhere(self, squashproxy: InProcess) -> None:
        assert squashproxy("plan", "--html", "/dev/null", SOURCE).code == 0

    def test_page_and_report_do_not_share_standard_output(self, squashproxy: InProcess) -> None:
        for page, words in (("-", "names no file"), ("/dev/stdout", "both want standard output")):
            outcome = squashproxy("plan", "--json", "--html", page, SOURCE)
            assert (outcome.code, outcome.out) == (2, "")
            assert words in outcome.err

    def test_a_full_disk_is_one_sentence(self, squashproxy: InProcess, tmp_path: Path) -> None:
        page = tmp_path / "plan.html"
        with files_of_at_most(1000):
            outcome = squashproxy("plan", "--html", str(page), SOURCE)
        assert outcome.code == 1
        assert outcome.out.startswith("Plan for")
        assert outcome.err.splitlines()[1:] == [f"squashproxy: {page}: file too large"]


@pytest.mark.parametrize("verb", ["copy", "plan"])
def test_quiet_says_nothing_at_all(squashproxy: InProcess, verb: str) -> None:
    outcome = squashproxy(verb, "-q", SOURCE, TARGET)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_verbose_tells_each_piece_of_work(squashproxy: InProcess) -> None:
    outcome = squashproxy("copy", "-v", SOURCE, TARGET)
    assert "squashproxy: layer 0123: reused, 0 B\n" in outcome.err


def test_the_text_report_is_all_of_standard_output(squashproxy: InProcess) -> None:
    outcome = squashproxy("copy", SOURCE, TARGET)
    assert outcome.out.startswith("Copied registry.dev.example.com/apps/web:1.4\n")
    assert "\x1b" not in outcome.out


def test_a_skipped_copy_succeeds(squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_module, "copy_image", lambda *_, **__: SKIPPED)
    outcome = squashproxy("copy", SOURCE, TARGET)
    assert outcome.code == 0
    assert outcome.out.startswith("Nothing to do")


def test_the_version(squashproxy: InProcess) -> None:
    outcome = squashproxy("--version")
    assert (outcome.code, outcome.out) == (0, f"squashproxy {__version__}\n")


def test_the_version_with_libraries(squashproxy: InProcess) -> None:
    lines = squashproxy("--version", "-v").out.splitlines()
    assert lines[0] == f"squashproxy {__version__}"
    assert {"zlib", "zlib-ng", "requests"} <= {line.split()[0] for line in lines}


def test_the_version_needs_none_of_the_heavy_modules() -> None:
    code = (
        "import sys; from squashproxy.cli.main import run; run(['--version']); "
        "print(sorted({'requests', 'rich', 'zlib_ng', 'logging.config'} & set(sys.modules)))"
    )
    assert run_process([], code=code).out == f"squashproxy {__version__}\n[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["promote"],
        ["cleanup"],
        ["serve"],
        ["run"],
        ["config"],
        ["config", "check"],
        ["config", "schema"],
    ],
    ids=" ".join,
)
def test_the_help_of_a_command_needs_none_of_the_heavy_modules(arguments: list[str]) -> None:
    code = (
        f"import sys; from squashproxy.cli.main import run; print(run([*{arguments}, '--help'])); "
        "print(sorted({'pydantic', 'aiohttp', 'requests', 'rich'} & set(sys.modules)))"
    )
    assert run_process([], code=code).out.splitlines()[-2:] == ["0", "[]"]


def test_a_copy_needs_neither_the_library_for_proxies_nor_that_for_configurations() -> None:
    with FakeRegistry() as registry:
        ImageBuilder().push(registry, "app", "v1")
        name = f"docker://{registry.host}/app"
        code = (
            "import sys; from squashproxy.cli.main import run; "
            f"print(run(['copy', '--quiet', '{name}:v1', '{name}:v2'])); "
            "print(sorted({'requests', 'pydantic', 'rich'} & set(sys.modules)))"
        )
        outcome = run_process([], code=code)
    assert outcome.out.splitlines()[-2:] == ["0", "[]"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script(squashproxy: InProcess, shell: str) -> None:
    outcome = squashproxy("completion", shell)
    assert outcome.code == 0
    assert "_SQUASHPROXY_COMPLETE" in outcome.out


@pytest.mark.parametrize(
    ("words", "position", "offered"),
    [
        pytest.param("squashproxy ", 1, ["copy", "plan", "tags"], id="verbs"),
        pytest.param("squashproxy co", 1, ["copy", "completion"], id="begun-verb"),
        pytest.param(
            "squashproxy copy --ba", 2, ["--base", "--base-repo", "--backup"], id="option"
        ),
        pytest.param("squashproxy copy --log-format ", 3, ["text", "json"], id="value"),
    ],
)
def test_completion_offers(words: str, position: int, offered: list[str]) -> None:
    environ = {
        "_SQUASHPROXY_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(position),
    }
    outcome = run_process([], environ)
    assert outcome.err == ""
    found = [line.partition(",")[2] for line in outcome.out.splitlines()]
    assert set(offered) <= set(found)
    assert "-h" not in found
