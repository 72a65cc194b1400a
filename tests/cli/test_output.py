"""What a verb writes where: the report or one JSON document out, everything else to the side."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import squashproxy.cli.copy as copy_module
import squashproxy.cli.plan as plan_module
from squashproxy import __version__
from squashproxy.pipeline.results import CopyResult, PlanResult
from squashproxy.progress import Observer
from tests.cli.command_line import InProcess, run_process
from tests.report.results import COPY, PLAN, SKIPPED

SOURCE = "registry.dev.example.com/app:1"
TARGET = "registry.example.com/app:1"
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
        "platforms", "spooled_bytes",
    ]  # fmt: skip
    assert list(document["platforms"][0]) == [
        "platform", "source_digest", "digest", "layers_before", "layers_after", "base_layers",
        "compressed_before", "compressed_after", "unpacked_before", "unpacked_after",
        "hidden_bytes", "uploaded_bytes", "reused_bytes", "mounted_blobs", "spliced_bytes",
        "reencoded_bytes", "fallbacks",
    ]  # fmt: skip
    assert document["warnings"] == [WARNING]


def test_plan_json_holds_layers_and_hidden_files(squashproxy: InProcess) -> None:
    outcome = squashproxy("plan", "--json", SOURCE)
    (platform,) = json.loads(outcome.out)["platforms"]
    assert [layer["role"] for layer in platform["layers"]] == ["base", "squashed"]
    assert platform["largest_hidden"][0]["path"] == "var/cache/apt/pkgcache.bin"


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


def test_quiet_says_nothing_at_all(squashproxy: InProcess) -> None:
    outcome = squashproxy("copy", "-q", SOURCE, TARGET)
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
