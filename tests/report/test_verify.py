"""The report of a comparison: the verdict, differences by kind, and no more than fit."""

from __future__ import annotations

import io
from dataclasses import replace

from squashproxy.report.screen import Screen
from squashproxy.report.verify import show_verification
from squashproxy.verify.results import Difference, PlatformVerify, VerifyResult

NAME = "registry.example.com/app"
SAME = PlatformVerify("linux/amd64", "sha256:a", "sha256:b", 1234, 0, ())
RESULT = VerifyResult(f"{NAME}:1", "sha256:a", f"{NAME}:2", "sha256:b", True, 1.26, (), (SAME,))


def shown(result: VerifyResult) -> str:
    stream = io.StringIO()
    show_verification(Screen(stream), result)
    return stream.getvalue()


def differing(*differences: Difference) -> VerifyResult:
    platform = replace(SAME, differences_count=len(differences), differences=differences)
    return replace(RESULT, identical=False, platforms=(platform,))


def test_the_same_trees() -> None:
    assert shown(RESULT) == (
        f"A {NAME}:1\n"
        f"B {NAME}:2\n"
        "\n"
        "linux/amd64: the same tree; 1,234 paths compared by type, mode, owner, time, attributes, "
        "links and content\n"
        "\n"
        "1.3 s\n"
    )


def test_differences_stand_together_by_kind_what_matters_first() -> None:
    result = differing(
        Difference("a", "mtime", "one", "two"),
        Difference("b", "missing", "file", "absent"),
        Difference("c", "extra", "absent", "fifo"),
        Difference("d", "mtime", "three", "four"),
        Difference("", "platform", "linux/amd64", "absent"),
    )
    assert shown(result).splitlines()[3:-2] == [
        "linux/amd64: 5 differences (1,234 paths compared)",
        "not the same platforms: 1",
        "  A: linux/amd64, B: absent",
        "only in A: 1",
        "  /b (file)",
        "only in B: 1",
        "  /c (fifo)",
        "another time of modification: 2",
        "  /a: one in A, two in B",
        "  /d: three in A, four in B",
    ]


def test_fifty_are_shown_and_the_others_counted() -> None:
    found = [Difference(f"f{number}", "mode", "0644", "0600") for number in range(53)]
    lines = shown(differing(*found)).splitlines()
    assert sum(line.startswith("  /") for line in lines) == 50
    assert "another mode: 53" in lines
    assert "and 3 more differences; the JSON report lists all" in lines


def test_a_path_cannot_move_the_cursor() -> None:
    text = shown(differing(Difference("\x1b[31m\n", "target", "\x1b]0;x\x07", "y")))
    assert "\x1b" not in text
    assert "  /\\x1b[31m\\n: \\x1b]0;x\\x07 in A, y in B\n" in text
