"""Habits of registries as the command line meets them (issue 26)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.testing import (
    Bearer,
    FakeRegistry,
    Fault,
    FaultKind,
    ImageBuilder,
    LayerBuilder,
    RegistryOptions,
)
from tests.cli.command_line import InProcess


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """`apps/empty` holds a blob and was never tagged, as after an upload that broke off."""
    with FakeRegistry(RegistryOptions(lists_empty=False)) as registry:
        image = ImageBuilder().layer(LayerBuilder().file("a", b"a")).build()
        for tag in ("keep", "old"):
            image.push(registry, "apps/full", tag)
        registry.put_blob("apps/empty", b"left behind")
        yield registry


def cleanup_of(folder: Path, pattern: str, keep: str = "keep: {tags: ['keep']}") -> str:
    path = folder / "sp.yml"
    path.write_text(
        f"state: state\ncleanup:\n  - name: old\n    repositories: ['{pattern}']\n"
        f"    {keep}\n    action: delete\n"
    )
    return str(path)


def promote_of(folder: Path, pattern: str, target: FakeRegistry) -> str:
    path = folder / "sp.yml"
    path.write_text(
        f"state: state\npromote:\n  - name: apps\n    from: '{pattern}'\n"
        f"    to: '{target.host}/prod/{{repo}}'\n"
    )
    return str(path)


@pytest.mark.parametrize("path", ["apps/*", "apps/empty"], ids=["a glob", "by name"])
@pytest.mark.parametrize("keep", ["keep: {tags: ['keep']}", "keep: {newest: 1}"])
def test_cleanup_finds_nothing_to_do_there(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, keep: str, path: str
) -> None:
    config = cleanup_of(tmp_path, f"{registry.host}/{path}", keep)
    for _ in range(2):
        outcome = squashproxy("cleanup", "--apply", config)
        assert outcome.code == 0, outcome.err
    assert len(registry.tags("apps/full")) == (1 if path == "apps/*" else 2)


def test_promote_finds_nothing_to_do_there(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    with FakeRegistry() as target:
        config = promote_of(tmp_path, f"{registry.host}/apps/*", target)
        outcome = squashproxy("promote", config)
        assert outcome.code == 0, outcome.err
        assert target.tags("prod/apps/full").keys() | target.tags("prod/full").keys() == {
            "keep",
            "old",
        }


def test_promote_finds_nothing_to_do_in_one_that_is_named(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    with FakeRegistry() as target:
        config = promote_of(tmp_path, f"{registry.host}/apps/empty", target)
        outcome = squashproxy("promote", config)
        assert outcome.code == 0, outcome.err


def test_a_name_that_a_rule_gives_and_nobody_knows_is_still_a_problem(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    """It may be a typing error."""
    outcome = squashproxy("cleanup", cleanup_of(tmp_path, f"{registry.host}/apps/fulll"))
    assert outcome.code != 0
    assert "has no repository apps/fulll" in outcome.err + outcome.out


def test_another_refusal_is_still_a_problem(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.arm(Fault("GET", "/apps/empty/tags", status=403, times=99))
    outcome = squashproxy("cleanup", "--apply", cleanup_of(tmp_path, f"{registry.host}/apps/*"))
    assert outcome.code == 3, outcome.err


IMAGE = (
    ImageBuilder()
    .layer(LayerBuilder().file("base", b"base"))
    .layer(LayerBuilder().file("hidden", bytes(range(256)) * 100).file("data", b"data"))
    .layer(LayerBuilder().whiteout("hidden"))
    .build()
)
PAGE = b"<html><title>Company login</title></html>"


@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
@pytest.mark.parametrize("names", [True, False], ids=["names it", "does not name it"])
def test_a_copy_makes_good_what_a_mount_only_promised(
    squashproxy: InProcess, mode: str, names: bool
) -> None:
    options = RegistryOptions(lying_mounts=True, names_missing=names, missing_status=404)
    with FakeRegistry(options) as registry:
        IMAGE.push(registry, "app", "v1")
        source, target = f"{registry.host}/app:v1", f"{registry.host}/prod:v1"
        outcome = squashproxy("copy", "--mode", mode, source, target)
        assert outcome.code == 0, outcome.err
        assert squashproxy("verify", source, target).code == 0
        assert registry.open_uploads == 0


def test_a_blob_that_a_registry_loses_is_named(squashproxy: InProcess) -> None:
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "v1")
        lost = IMAGE.layers[0].digest
        new.before_each(
            lambda method, path: (
                new.drop_blob("app", lost)
                if method == "PUT" and "/manifests/" in path and lost in new.blobs("app")
                else None
            )
        )
        outcome = squashproxy("copy", f"{old.host}/app:v1", f"{new.host}/app:v1")
        assert outcome.code == 1
        assert f"does not hold layer 1 of 2 ({lost}) (HTTP 400); push it again" in outcome.err
        assert new.tags("app") == {}


@pytest.mark.parametrize("redirect", [True, False], ids=["after a redirect", "at once"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_sign_in_page_is_one_sentence(squashproxy: InProcess, side: str, redirect: bool) -> None:
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "v1")
        walled = old if side == "source" else new
        at = "^/login" if redirect else ""
        page = (("Content-Type", "text/html; charset=utf-8"),)
        walled.arm(Fault(path_pattern=at, status=200, headers=page, body=PAGE, times=99))
        walled.arm(Fault(status=302, headers=(("Location", "/login"),), times=99))
        outcome = squashproxy("copy", f"{old.host}/app:v1", f"{new.host}/app:v1")
        assert outcome.code == 1
        (line,) = outcome.err.strip().splitlines()
        assert f"{walled.host} answered with a web page ('Company login'), not as a" in line
        assert line.endswith("a login or a proxy is before it")


@pytest.mark.parametrize("config", [{"credsStore": "absent"}, None], ids=["store", "for the host"])
def test_a_public_image_is_copied_without_its_helper(
    squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch, config: dict[str, str] | None
) -> None:
    auth = Bearer("ann", "s3cret", anonymous_pull=True)
    with FakeRegistry(RegistryOptions(auth=auth)) as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "v1")
        document: object = config or {"credHelpers": {old.host: "absent"}}
        monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps(document))
        outcome = squashproxy("copy", f"{old.host}/app:v1", f"{new.host}/app:v1")
        assert outcome.code == 0, outcome.err
        warned = f"is not installed, so {old.host} is asked without credentials; install it"
        assert outcome.err.count(warned) == 1
        refused = squashproxy("copy", f"{new.host}/app:v1", f"{old.host}/app:v2")
        assert refused.code == 1
        assert "it asks for credentials, and the credential helper" in refused.err


def test_what_is_broken_for_another_host_is_not_told(
    squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {
        "auths": {"other.example.com": {"auth": "%"}},
        "credHelpers": {"third.example.com": "absent"},
    }
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps(broken))
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "v1")
        outcome = squashproxy("copy", f"{old.host}/app:v1", f"{new.host}/app:v1")
        assert (outcome.code, outcome.err) == (0, "")


def test_a_proxy_that_compresses_all_answers_changes_no_image(squashproxy: InProcess) -> None:
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "v1")
        packed = (("Content-Encoding", "gzip"),)
        for digest, blob in IMAGE.blobs.items():
            body = gzip.compress(blob)
            old.arm(Fault("GET", digest, FaultKind.ALTER, headers=packed, body=body, times=9))
        body = gzip.compress(IMAGE.manifest.data)
        old.arm(Fault("GET", "/manifests/", FaultKind.ALTER, headers=packed, body=body, times=9))
        source, target = f"{old.host}/app:v1", f"{new.host}/app:v1"
        outcome = squashproxy("copy", "--mode", "copy", source, target)
        assert outcome.code == 0, outcome.err
        assert new.tags("app") == {"v1": IMAGE.digest}
