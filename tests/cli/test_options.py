"""Options reach the pipeline as the frozen objects that it works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import squashproxy.cli.commands.copy as copy_module
from squashproxy.cli import session
from squashproxy.config.values import parse_size
from squashproxy.oci.mediatypes import Compression
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.options import (
    BaseChoice,
    BaseKind,
    CompressionChoice,
    CopyOptions,
    Limits,
)
from squashproxy.reference import Repository, parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from tests.cli.command_line import InProcess
from tests.report.results import COPY

SOURCE = "registry.dev.example.com/app:1"
TARGET = "registry.example.com/app:1"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("1048576", 1 << 20, id="bytes"),
        pytest.param("1048576B", 1 << 20, id="bytes-with-unit"),
        pytest.param("500M", 500_000_000, id="decimal"),
        pytest.param("500MB", 500_000_000, id="decimal-with-B"),
        pytest.param("2GiB", 2 << 30, id="binary"),
        pytest.param("2Gi", 2 << 30, id="binary-without-B"),
        pytest.param("1.5 k", 1500, id="fraction-and-blank"),
        pytest.param("3tib", 3 << 40, id="lower-case"),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1iB", "1 MiBs", "0", "0.0001", "1e6", "\u0661"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `copy` asked of the pipeline."""
    calls: dict[str, Any] = {}

    def copy_image(source: object, sink: object, options: CopyOptions, **more: object) -> object:
        calls.update(source=source, sink=sink, options=options, **more)
        return COPY

    monkeypatch.setattr(copy_module, "copy_image", copy_image)
    return calls


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        pytest.param([], CopyOptions(), id="defaults"),
        pytest.param(
            ["--base", "none"], CopyOptions(base=BaseChoice(BaseKind.NONE)), id="base-none"
        ),
        pytest.param(
            ["--base", "2"], CopyOptions(base=BaseChoice(BaseKind.COUNT, 2)), id="base-count"
        ),
        pytest.param(
            ["--base", "example.com/base:1"],
            CopyOptions(
                base=BaseChoice(BaseKind.IMAGE, image=parse_reference("example.com/base:1"))
            ),
            id="base-image",
        ),
        pytest.param(
            ["--base-repo", "h.example.com/a", "--base-repo", "h.example.com/b"],
            CopyOptions(
                base_repos=(Repository("h.example.com", "a"), Repository("h.example.com", "b"))
            ),
            id="base-repos",
        ),
        pytest.param(
            ["--platform", "linux/amd64", "--platform", "linux/arm/v7"],
            CopyOptions(platforms=(Platform("linux", "amd64"), Platform("linux", "arm", "v7"))),
            id="platforms",
        ),
        pytest.param(
            ["--compression", "zstd:9"],
            CopyOptions(compression=CompressionChoice(Compression.ZSTD, 9)),
            id="compression",
        ),
        pytest.param(
            ["--strict", "--force", "--no-clobber"],
            CopyOptions(strict=True, force=True, no_clobber=True),
            id="flags",
        ),
        pytest.param(
            ["--backup", "{tag}-old"],
            CopyOptions(backup="{tag}-old", keeps_tags=True),
            id="backup",
        ),
        pytest.param(
            ["--memory", "1GiB", "--max-unpacked", "5G", "--max-entries", "9", "--max-ratio", "50"],
            CopyOptions(
                limits=Limits(memory=1 << 30, unpacked=5_000_000_000, entries=9, ratio=50.0)
            ),
            id="limits",
        ),
        pytest.param(["--jobs", "7"], CopyOptions(jobs=7), id="jobs"),
    ],
)
def test_copy_options(
    squashproxy: InProcess, asked: dict[str, Any], arguments: list[str], options: CopyOptions
) -> None:
    assert squashproxy("copy", *arguments, SOURCE, TARGET).code == 0
    assert asked["options"] == options
    assert asked["source"].name == SOURCE
    assert asked["sink"].name == TARGET


def test_connection_options(
    squashproxy: InProcess,
    asked: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    seen = []

    def client(options: ClientOptions, **_: object) -> RegistryClient:
        seen.append(options)
        return RegistryClient()

    monkeypatch.setattr(session, "RegistryClient", client)
    authfile = tmp_path / "auth.json"
    authfile.write_text("{}")
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    outcome = squashproxy(
        "copy", "--authfile", str(authfile), "--ca", str(authority), "--plain-http", "a:5000",
        "--plain-http", "b", "--insecure", "c", SOURCE, TARGET,
    )  # fmt: skip
    assert outcome.code == 0
    options, quick = seen
    assert (quick.retries, quick.authfile) == (1, authfile)
    assert options.authfile == authfile
    assert options.ca == authority
    assert options.plain_http == frozenset({"a:5000", "b"})
    assert options.insecure == frozenset({"c"})
    assert asked
