"""The command line against two registries on loopback, with nothing in between replaced."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from squashproxy.oci.platform import Platform
from squashproxy.testing import (
    FakeRegistry,
    Fault,
    FaultKind,
    ImageBuilder,
    LayerBuilder,
    Packing,
    RegistryOptions,
    index_of,
)
from tests.cli.command_line import InProcess
from tests.model.node import compare_trees
from tests.pipeline.lab import Arrived, tree

BASE = LayerBuilder().directory("etc").file("etc/a", b"a" * 5000).file("etc/b", b"b" * 5000)
MIDDLE = LayerBuilder().directory("opt").file("opt/one", b"1" * 9000).hardlink("opt/two", "opt/one")
TOP = LayerBuilder().whiteout("opt/one").file("etc/a", b"new", mode=0o600).whiteout("etc/b")


@dataclass(frozen=True, slots=True)
class Registries:
    old: FakeRegistry
    new: FakeRegistry

    @property
    def source(self) -> str:
        return f"{self.old.host}/app:1"

    @property
    def target(self) -> str:
        return f"{self.new.host}/prod/app:1"


@pytest.fixture
def registries() -> Iterator[Registries]:
    with FakeRegistry() as old, FakeRegistry() as new:
        yield Registries(old, new)


def app(platform: Platform | None = None) -> ImageBuilder:
    builder = ImageBuilder(platform=platform or Platform("linux", "amd64"))
    builder.layer(BASE, history="base").layer(MIDDLE, Packing.ZSTD, history="middle")
    return builder.layer(TOP, history="top")


def copied(squashproxy: InProcess, *arguments: str) -> dict[str, Any]:
    outcome = squashproxy("copy", "--json", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("base", ["none", "1", "2", "auto"])
def test_a_copy_unpacks_to_the_same_tree(
    squashproxy: InProcess, registries: Registries, base: str
) -> None:
    app().push(registries.old, "app", "1")
    document = copied(
        squashproxy, "--base", base, "--compression", "gzip", registries.source, registries.target
    )
    (platform,) = document["platforms"]
    assert platform["layers_after"] == platform["base_layers"] + 1
    assert registries.new.tags("prod/app")["1"] == document["digest"]
    assert registries.new.open_uploads == 0
    arrived = Arrived(registries.new, "prod/app", "1").tree()
    assert compare_trees(tree(BASE, MIDDLE, TOP), arrived) == []


def test_a_second_copy_is_skipped_and_a_forced_one_gives_the_same_digest(
    squashproxy: InProcess, registries: Registries
) -> None:
    app().push(registries.old, "app", "1")
    first = copied(squashproxy, registries.source, registries.target)
    second = copied(squashproxy, registries.source, registries.target)
    forced = copied(squashproxy, "--force", registries.source, registries.target)
    assert [run["skipped"] for run in (first, second, forced)] == [False, True, False]
    assert first["digest"] == second["digest"] == forced["digest"]


def test_every_platform_of_an_index(squashproxy: InProcess, registries: Registries) -> None:
    platforms = [Platform("linux", "amd64"), Platform("linux", "arm64")]
    index_of([app(platform) for platform in platforms]).push(registries.old, "app", "1")
    document = copied(squashproxy, registries.source, registries.target)
    assert [entry["platform"] for entry in document["platforms"]] == ["linux/amd64", "linux/arm64"]
    one = copied(
        squashproxy, "--platform", "linux/arm64", registries.source, f"{registries.target}-arm"
    )
    assert [entry["platform"] for entry in one["platforms"]] == ["linux/arm64"]


def test_plan_moves_nothing_and_names_the_largest_hidden_file(
    squashproxy: InProcess, registries: Registries
) -> None:
    app().push(registries.old, "app", "1")
    outcome = squashproxy("plan", "--json", "--base", "none", registries.source, registries.target)
    assert (outcome.code, outcome.err) == (0, "")
    (platform,) = json.loads(outcome.out)["platforms"]
    hidden = {file["path"] for file in platform["largest_hidden"]}
    assert {"etc/a", "etc/b"} <= hidden
    assert {exchange.method for exchange in registries.new.requests} <= {"GET", "HEAD"}
    assert registries.new.tags("prod/app") == {}


def test_the_text_reports(squashproxy: InProcess, registries: Registries) -> None:
    app().push(registries.old, "app", "1")
    for verb, part in (("plan", "Nothing was moved"), ("copy", "Copied")):
        outcome = squashproxy(verb, registries.source, registries.target)
        assert (outcome.code, outcome.err) == (0, "")
        assert part in outcome.out
    again = squashproxy("copy", registries.source, registries.target)
    assert again.out.startswith("Nothing to do")


def test_tags_and_inspect(squashproxy: InProcess, registries: Registries) -> None:
    for tag in ("1", "2", "latest"):
        app().push(registries.old, "app", tag)
    repository = f"{registries.old.host}/app"
    assert squashproxy("tags", repository).out == "1\n2\nlatest\n"
    assert json.loads(squashproxy("tags", "--json", repository).out) == {
        "repository": repository,
        "tags": ["1", "2", "latest"],
    }
    document = copied(squashproxy, registries.source, registries.target)
    inspected = json.loads(squashproxy("inspect", "--json", registries.target).out)
    assert inspected["digest"] == document["digest"]
    (image,) = inspected["images"]
    assert image["squashed_from"] == document["source_digest"]
    assert "squashed    from" in squashproxy("inspect", registries.target).out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["copy", "{old}/app:absent", "{new}/app"], "absent", id="no-such-tag"),
        pytest.param(["copy", "{old}/nothing:1", "{new}/app"], "nothing", id="no-such-repository"),
        pytest.param(
            ["copy", "--platform", "linux/s390x", "{old}/app:1", "{new}/app"],
            "linux/s390x",
            id="no-such-platform",
        ),
        pytest.param(
            ["copy", "--base", "{old}/other:1", "{old}/app:1", "{new}/app"],
            "other",
            id="base-is-no-prefix",
        ),
        pytest.param(["copy", "--base", "9", "{old}/app:1", "{new}/app"], "9", id="base-too-long"),
        pytest.param(
            ["copy", "--max-unpacked", "100", "{old}/app:1", "{new}/app"], "100", id="limit"
        ),
        pytest.param(["copy", "127.0.0.1:1/app:1", "{new}/app"], "127.0.0.1:1", id="down"),
        pytest.param(["tags", "{old}/nothing"], "nothing", id="tags-of-nothing"),
        pytest.param(["inspect", "{old}/app:absent"], "absent", id="inspect-no-such-tag"),
        pytest.param(["plan", "{old}/app:absent"], "absent", id="plan-no-such-tag"),
    ],
)
def test_a_failure_is_a_sentence_and_leaves_nothing(
    squashproxy: InProcess, registries: Registries, arguments: list[str], part: str
) -> None:
    app().push(registries.old, "app", "1")
    ImageBuilder().layer(TOP).push(registries.old, "other", "1")
    hosts = {"old": registries.old.host, "new": registries.new.host}
    outcome = squashproxy(*(argument.format(**hosts) for argument in arguments))
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
    assert part in outcome.err
    assert registries.new.open_uploads == 0
    assert registries.new.tags("app") == {}


def test_a_bad_backup_template_is_wrong_usage_before_anything_moves(
    squashproxy: InProcess, registries: Registries
) -> None:
    app().push(registries.old, "app", "1")
    outcome = squashproxy("copy", "--backup", "{day}", registries.source, registries.target)
    assert (outcome.code, outcome.out) == (2, "")
    assert "{tag}" in outcome.err
    assert not {"POST", "PUT", "PATCH"} & {exchange.method for exchange in registries.new.requests}


def test_an_existing_tag_is_kept_alone_or_kept_under_another(
    squashproxy: InProcess, registries: Registries
) -> None:
    app().push(registries.old, "app", "1")
    before = ImageBuilder().layer(BASE).push(registries.new, "prod/app", "1")
    outcome = squashproxy("copy", "--no-clobber", registries.source, registries.target)
    assert outcome.code == 0
    assert "stays as it is" in outcome.out
    assert registries.new.tags("prod/app") == {"1": before}
    document = copied(squashproxy, "--backup", "{tag}-before", registries.source, registries.target)
    assert registries.new.tags("prod/app") == {"1": document["digest"], "1-before": before}


def test_a_damaged_blob_is_never_tagged(squashproxy: InProcess, registries: Registries) -> None:
    image = app().build()
    image.push(registries.old, "app", "1")
    broken = image.layers[2].digest
    registries.old.arm(Fault("GET", broken, FaultKind.CORRUPT, after_bytes=20, times=100))
    outcome = squashproxy("copy", registries.source, registries.target)
    assert (outcome.code, outcome.out) == (1, "")
    again, error = outcome.err.splitlines()
    assert "it is read once more from its start" in again
    assert f"instead of {broken}" in error
    assert registries.new.open_uploads == 0
    assert registries.new.tags("prod/app") == {}


def test_a_target_that_takes_no_pushes(squashproxy: InProcess) -> None:
    with FakeRegistry() as old, FakeRegistry(RegistryOptions(read_only=True)) as new:
        app().push(old, "app", "1")
        outcome = squashproxy("copy", f"{old.host}/app:1", f"{new.host}/app:1")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
    assert new.host in outcome.err


def test_bars_are_drawn_on_a_terminal_and_never_in_the_document(registries: Registries) -> None:
    app().push(registries.old, "app", "1")
    ours, theirs = pty.openpty()
    command = ["copy", "--json", registries.source, registries.target]
    with subprocess.Popen(
        [sys.executable, "-m", "squashproxy", *command], stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        document = json.loads(process.stdout.read())
        drawn = read_to_end(ours)
    assert process.returncode == 0
    assert document["digest"] == registries.new.tags("prod/app")["1"]
    assert "\x1b[" in drawn
    assert "kB" in drawn or "bytes" in drawn


def read_to_end(terminal: int) -> str:
    """What was written to a pseudo-terminal; Linux ends it with EIO."""
    pieces = []
    with open(terminal, "rb", buffering=0) as stream, suppress(OSError):
        while piece := stream.read(65536):
            pieces.append(piece)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_copy_leaves_nothing_half_made(registries: Registries, name: str) -> None:
    image = app().build()
    image.push(registries.old, "app", "1")
    fault = Fault("GET", image.layers[1].digest, FaultKind.HANG, after_bytes=40)
    hanging = registries.old.arm(fault)
    command = ["copy", "--base", "none", registries.source, registries.target]
    with subprocess.Popen(
        [sys.executable, "-m", "squashproxy", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert hanging.reached.wait(30)
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=30)
        hanging.release()
    assert (process.returncode, out) == (130, "")
    assert err.startswith("squashproxy: interrupted")
    assert err.count("\n") == 1
    assert registries.new.open_uploads == 0
    assert registries.new.tags("prod/app") == {}


class TestSquashedBases:
    """A base repository that holds the squashed form of what the source was built on."""

    @pytest.fixture
    def base_repo(self, registries: Registries, squashproxy: InProcess) -> str:
        base = ImageBuilder().layer(BASE).layer(MIDDLE, Packing.ZSTD)
        base.push(registries.old, "os", "12")
        target = f"{registries.new.host}/base/os"
        copied(squashproxy, "--base", "none", f"{registries.old.host}/os:12", f"{target}:12")
        return target

    def test_copy_verify_and_json(
        self, registries: Registries, squashproxy: InProcess, base_repo: str
    ) -> None:
        app().layer(BASE).push(registries.old, "app", "1")
        names = (registries.source, registries.target)
        (platform,) = copied(squashproxy, "--base-repo", base_repo, "--verify", *names)["platforms"]
        assert (platform["base_layers"], platform["layers_after"]) == (2, 2)
        layers = platform["layers"]
        base = Arrived(registries.new, "base/os", "12")
        assert [layer["action"] for layer in layers] == ["base", "base", "squashed", "squashed"]
        assert {layer["digest"] for layer in layers[:2]} == set(base.layers)
        assert [layer["packed_after"] for layer in layers[:2]] == [base.size, 0]
        assert squashproxy("verify", *names).code == 0

    def test_plan_says_which_base_and_why(
        self, registries: Registries, squashproxy: InProcess, base_repo: str
    ) -> None:
        app().push(registries.old, "app", "1")
        names = (registries.source, registries.target)
        outcome = squashproxy("plan", "--base-repo", base_repo, *names)
        words = " ".join(outcome.out.split())
        assert outcome.code == 0, outcome.err
        assert f"the squashed form of the first 2 layers, in {base_repo}:12" in words
        planned = json.loads(squashproxy("plan", "--json", "--base-repo", base_repo, *names).out)
        (platform,) = copied(squashproxy, "--base-repo", base_repo, *names)["platforms"]
        (plan,) = planned["platforms"]
        for figure in ("base_layers", "layers_before", "layers_after", "compressed_after"):
            assert plan[figure] == platform[figure]
        assert plan["upload_bytes"] == platform["uploaded_bytes"]
