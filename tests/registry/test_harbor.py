"""What Harbor's own API tells and does: it takes passwords, where `/v2/` takes tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from squashproxy.errors import Unauthorized
from squashproxy.reference import Repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.deletions import Deletion
from squashproxy.testing import Bearer, FakeRegistry, ImageBuilder, RegistryOptions

REPO = "team/tools/web"
TOKENS = Bearer("ann", "s3cret")
Connect = Callable[..., RegistryClient]


def opened(connect: Connect, registry: FakeRegistry) -> RemoteRepository:
    return connect().repository(Repository(registry.host, REPO))


def image(number: int) -> ImageBuilder:
    return ImageBuilder(fields={"author": f"{number}"})


@pytest.mark.parametrize("harbor", [True, False])
def test_a_harbor_is_known_by_its_ping(harbor: bool, connect: Connect) -> None:
    with FakeRegistry(RegistryOptions(harbor=harbor)) as registry:
        assert opened(connect, registry).is_harbor() == harbor


def test_all_pages_of_artifacts_are_read_with_their_dates(connect: Connect) -> None:
    with FakeRegistry(RegistryOptions(harbor=True)) as registry:
        digests = [image(number).push(registry, REPO, f"v{number}") for number in range(230)]
        registry.note_times(digests[200], "2026-02-03T04:05:06.789Z", "2026-03-04T05:06:07.000Z")
        found = {each.digest: each for each in opened(connect, registry).iter_harbor_artifacts()}
        assert list(found) == digests
        assert found[digests[200]].pushed == "2026-02-03T04:05:06.789Z"
        assert found[digests[200]].pulled == "2026-03-04T05:06:07.000Z"
        asked = [each.path for each in registry.requests]
        assert len(asked) == 3
        assert all("/projects/team/repositories/tools%252Fweb/artifacts?" in path for path in asked)


def test_a_tag_goes_alone(connect: Connect) -> None:
    with FakeRegistry(RegistryOptions(harbor=True)) as registry:
        digest = image(1).push(registry, REPO, "v1")
        image(1).push(registry, REPO, "v2")
        remote = opened(connect, registry)
        assert remote.delete_manifest("v1") is Deletion.NOT_OFFERED
        assert remote.delete_harbor_tag("v1") is Deletion.DONE
        assert registry.tags(REPO) == {"v2": digest}
        assert remote.delete_harbor_tag("v1") is Deletion.GONE


def test_the_password_goes_where_tokens_count_for_nothing(
    connect: Connect, environ: dict[str, str]
) -> None:
    with FakeRegistry(RegistryOptions(harbor=True, auth=TOKENS)) as registry:
        environ[variable_for(registry.host)] = "ann:s3cret"
        image(1).push(registry, REPO, "v1")
        remote = opened(connect, registry)
        assert remote.find_manifest("v1") is not None
        assert len(list(remote.iter_harbor_artifacts())) == 1
        assert remote.delete_harbor_tag("v1") is Deletion.DONE
        attempts = [each.headers.get("authorization", "-").split()[0] for each in registry.requests]
        assert attempts[-2:] == ["Basic", "Basic"]
        assert "Bearer" in attempts


@pytest.mark.parametrize(
    ("login", "sentence"),
    [("", "docker login 127.0.0.1"), ("ann:wrong", "check the credentials of 'ann'")],
    ids=["none", "wrong"],
)
def test_without_a_valid_password_it_is_told(
    login: str, sentence: str, connect: Connect, environ: dict[str, str]
) -> None:
    with FakeRegistry(RegistryOptions(harbor=True, auth=TOKENS)) as registry:
        if login:
            environ[variable_for(registry.host)] = login
        image(1).push(registry, REPO, "v1")
        with pytest.raises(Unauthorized, match=sentence):
            list(opened(connect, registry).iter_harbor_artifacts())


def test_a_public_project_tells_its_dates_to_everyone(connect: Connect) -> None:
    auth = Bearer("ann", "s3cret", anonymous_pull=True)
    with FakeRegistry(RegistryOptions(harbor=True, auth=auth)) as registry:
        image(1).push(registry, REPO, "v1")
        remote = opened(connect, registry)
        assert len(list(remote.iter_harbor_artifacts())) == 1
        with pytest.raises(Unauthorized):
            remote.delete_harbor_tag("v1")
        assert registry.tags(REPO)
