"""Every verb against every profile of a registry (issue 26): from end to end, over real sockets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from squashproxy.registry.auth.credentials import variable_for
from squashproxy.testing import Bearer, BuiltImage, FakeRegistry, ImageBuilder, LayerBuilder
from squashproxy.testing.profiles import PROFILES, Profile
from tests.cli.command_line import InProcess
from tests.server.serving import UP, run_serve, settings

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
_LARGE = 9 << 20
"""Three chunks of an upload: what some registries say of the second one is wrong."""


def build(name: str, size: int = 20_000) -> BuiltImage:
    """An image whose third layer hides a part of the second one."""
    content = random.Random(name)
    base = LayerBuilder().directory("etc").file("etc/base", b"base")
    hidden = content.randbytes(size // 2)
    middle = LayerBuilder().file("data", content.randbytes(size)).file("hidden", hidden)
    top = LayerBuilder().whiteout("hidden").file("etc/name", name.encode())
    return ImageBuilder().layer(base).layer(middle).layer(top).build()


IMAGES = {name: build(name) for name in ("v1", "v2", "v3")}
LARGE = build("large", _LARGE)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts a registry that behaves by a profile, and logs in to it."""

    identities: dict[str, dict[str, str]] = {}

    @contextmanager
    def start(profile: Profile) -> Iterator[FakeRegistry]:
        with FakeRegistry(profile.options) as registry:
            for repository in ("apps/web", "prod/web", "prod/apps/web"):
                registry.create(repository)
            auth = profile.options.auth
            if isinstance(auth, Bearer) and auth.refresh_token is not None:
                identities[registry.host] = {"identitytoken": auth.refresh_token}
                monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": identities}))
            elif profile.login is not None:
                monkeypatch.setenv(variable_for(registry.host), ":".join(profile.login))
            yield registry

    return start


def configured(folder: Path, text: str) -> str:
    path = folder / "sp.yml"
    path.write_text(f"state: state\n{text}")
    return str(path)


@every_profile
@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
def test_copy(squashproxy: InProcess, started: Any, profile: Profile, mode: str) -> None:
    """Within one registry, so that blobs are mounted, too; with an upload of several chunks."""
    with started(profile) as registry:
        LARGE.push(registry, "apps/web", "v1")
        source, target = f"{registry.host}/apps/web:v1", f"{registry.host}/prod/web:v1"
        outcome = squashproxy("copy", "--mode", mode, source, target)
        assert outcome.code == 0, outcome.err
        again = squashproxy("copy", "--json", "--mode", mode, source, target)
        assert again.code == 0, again.err
        assert json.loads(again.out)["skipped"]
        assert registry.open_uploads == 0
        if mode == "copy":
            assert registry.tags("prod/web") == {"v1": LARGE.digest}
        else:
            assert registry.tags("prod/web")["v1"] != LARGE.digest
            assert squashproxy("verify", source, target).code == 0


@every_profile
def test_copy_to_another_registry_with_referrers(
    squashproxy: InProcess, started: Any, profile: Profile
) -> None:
    with FakeRegistry() as plain, started(profile) as registry:
        IMAGES["v1"].push(plain, "apps/web", "v1")
        source, target = f"{plain.host}/apps/web:v1", f"{registry.host}/prod/web:v1"
        assert squashproxy("copy", "--provenance", source, target).code == 0
        onward = f"{plain.host}/onward:v1"
        outcome = squashproxy("copy", "--mode", "copy", "--referrers", target, onward)
        assert outcome.code == 0, outcome.err
        assert plain.tags("onward")["v1"] == registry.tags("prod/web")["v1"]
        statements = [one for one in plain.manifests("onward") if one != plain.tags("onward")["v1"]]
        assert statements


@every_profile
def test_promote(squashproxy: InProcess, started: Any, profile: Profile, tmp_path: Path) -> None:
    with started(profile) as source, started(profile) as target:
        for tag, image in IMAGES.items():
            image.push(source, "apps/web", tag)
        config = configured(
            tmp_path,
            f"promote:\n  - name: apps\n    from: '{source.host}/apps/web'\n"
            f"    to: '{target.host}/prod/web'\n    tags: {{include: ['v*'], newest: 2}}\n",
        )
        outcome = squashproxy("promote", config)
        assert outcome.code == 0, outcome.err
        assert len(target.tags("prod/web")) == 2
        target.forget_requests()
        assert squashproxy("promote", config).code == 0
        asked = [one.method for one in target.requests if not one.path.startswith("/token")]
        assert set(asked) <= {"GET", "HEAD"}


def cleaning(registry: FakeRegistry, folder: Path, action: str) -> str:
    """A configuration that keeps `v2` of `apps/web`, which holds all images."""
    for tag, image in IMAGES.items():
        image.push(registry, "apps/web", tag)
    return configured(
        folder,
        f"cleanup:\n  - name: old\n    repositories: ['{registry.host}/apps/web']\n"
        f"    keep: {{tags: [v2]}}\n    action: {action}\n",
    )


@every_profile
def test_cleanup(squashproxy: InProcess, started: Any, profile: Profile, tmp_path: Path) -> None:
    with started(profile) as registry:
        config = cleaning(registry, tmp_path, "delete")
        outcome = squashproxy("cleanup", "--apply", config)
        if not profile.options.deletes:
            assert outcome.code != 0
            assert "deletes nothing" in outcome.out + outcome.err
            assert registry.tags("apps/web").keys() == IMAGES.keys()
            return
        assert outcome.code == 0, outcome.out + outcome.err
        assert registry.tags("apps/web") == {"v2": IMAGES["v2"].digest}
        assert registry.manifests("apps/web") == {IMAGES["v2"].digest}
        assert squashproxy("cleanup", "--apply", config).code == 0


@every_profile
def test_cleanup_that_squashes(
    squashproxy: InProcess, started: Any, profile: Profile, tmp_path: Path
) -> None:
    with started(profile) as registry:
        config = cleaning(registry, tmp_path, "squash")
        outcome = squashproxy("cleanup", "--apply", config)
        assert outcome.code == 0, outcome.out + outcome.err
        tags = registry.tags("apps/web")
        assert tags["v2"] == IMAGES["v2"].digest
        assert tags["v1"] != IMAGES["v1"].digest


@every_profile
def test_serve(started: Any, profile: Profile, tmp_path: Path) -> None:
    with started(profile) as registry:
        digest = IMAGES["v1"].push(registry, "apps/web", "v1")
        login = profile.login
        environ = {} if login is None else {variable_for(UP): ":".join(login)}
        with run_serve(settings(registry, tmp_path), environ) as served:
            answer = served.manifest("apps/web", "v1")
            assert answer.status_code == 200
            assert answer.headers["X-Squashproxy-Source"] in ("squashed", "cached")
            assert len(answer.json()["layers"]) == 2
            for layer in answer.json()["layers"]:
                assert served.blob("apps/web", layer["digest"]).status_code == 200
            original = served.manifest("apps/web", digest)
            assert original.content == IMAGES["v1"].manifest.data


def test_every_habit_has_a_source() -> None:
    assert len(PROFILES) == 13
    for profile in PROFILES.values():
        assert profile.habits
        for habit in profile.habits:
            assert habit.what
            assert habit.source
