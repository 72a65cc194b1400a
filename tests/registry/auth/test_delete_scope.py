"""The right to delete, as token services call it (issue 26)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from squashproxy.errors import SquashproxyError, Unauthorized
from squashproxy.oci import mediatypes
from squashproxy.reference import Repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.deletions import Deletion
from squashproxy.testing import Bearer, FakeRegistry, Fault, RegistryOptions

BEARER = Bearer("ann", "s3cret")
QUAY = replace(
    BEARER,
    known_actions=frozenset({"pull", "push", "*"}),
    delete_actions=frozenset({"pull", "push"}),
)
NO_PUSH = replace(QUAY, known_actions=frozenset({"pull", "*"}), delete_actions=frozenset({"*"}))
UNNAMED = replace(QUAY, delete_actions=frozenset({"delete"}))
SERVICES: dict[str, tuple[Bearer, int, str]] = {
    "it knows delete": (BEARER, 1, "pull,delete"),
    "it answers 400 to delete, and the challenge names push": (QUAY, 2, "pull,push"),
    "it answers 400 to delete and push, and knows *": (NO_PUSH, 2, "*"),
    "it answers 400 to delete, which the challenge names": (UNNAMED, 2, "*"),
}


def fill(registry: FakeRegistry) -> None:
    for name in ("a", "b", "c"):
        registry.put_manifest(name, "v1", b'{"schemaVersion": 2}', mediatypes.OCI_MANIFEST)


def scopes(registry: FakeRegistry) -> list[tuple[str, ...]]:
    return list(registry.token_scopes)


@pytest.mark.parametrize("reads_first", [True, False])
@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_what_is_deleted_with(
    client: RegistryClient,
    environ: dict[str, str],
    service: tuple[Bearer, int, str],
    reads_first: bool,
) -> None:
    """Learned once: for the next repository one request to the token service is enough."""
    auth, most, action = service
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        fill(registry)
        environ[variable_for(registry.host)] = "ann:s3cret"
        for name in ("a", "b", "c"):
            remote = client.repository(Repository(registry.host, name))
            if reads_first:
                assert remote.find_manifest("v1") is not None
            before = len(registry.requests)
            assert remote.delete_manifest("v1") is Deletion.DONE
            assert scopes(registry)[-1] == (f"repository:{name}:{action}",)
            asked = [one for one in registry.requests[before:] if one.path.startswith("/token")]
            if name == "a":
                assert len(asked) <= most + 1
            else:
                assert len(asked) == 1
        assert not registry.tags("b")


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_other_statuses_mean_the_same(
    client: RegistryClient, environ: dict[str, str], status: int
) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        fill(registry)
        environ[variable_for(registry.host)] = "ann:s3cret"
        registry.arm(Fault("GET", r"/token.*delete", status=status, times=99))
        remote = client.repository(Repository(registry.host, "a"))
        assert remote.find_manifest("v1") is not None
        assert remote.delete_manifest("v1") is Deletion.DONE
        assert scopes(registry) == [("repository:a:pull",), ("repository:a:*",)]


def test_a_token_that_lacks_the_right_leads_to_another_action(
    client: RegistryClient, environ: dict[str, str]
) -> None:
    """Services may leave out an action that they do not know, in place of an error."""
    auth = replace(BEARER, delete_actions=frozenset({"pull", "push"}))
    auth = replace(auth, actions=frozenset({"pull", "push"}))
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        fill(registry)
        environ[variable_for(registry.host)] = "ann:s3cret"
        for name in ("a", "b"):
            remote = client.repository(Repository(registry.host, name))
            assert remote.delete_manifest("v1") is Deletion.DONE
        assert scopes(registry) == [
            ("repository:a:pull,delete",),
            ("repository:a:pull,push",),
            ("repository:b:pull,push",),
        ]


def test_who_may_not_delete_is_told_so_each_time(
    client: RegistryClient, environ: dict[str, str]
) -> None:
    auth = replace(QUAY, actions=frozenset({"pull"}))
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        fill(registry)
        environ[variable_for(registry.host)] = "ann:s3cret"
        remote = client.repository(Repository(registry.host, "a"))
        counts = []
        for _ in range(3):
            before = len(registry.requests)
            with pytest.raises(Unauthorized, match="the deletion of v1 from a"):
                remote.delete_manifest("v1")
            counts.append(len(registry.requests) - before)
        assert max(counts) <= 12
        assert registry.tags("a")


def test_a_wrong_password_is_the_credentials_fault(
    client: RegistryClient, environ: dict[str, str]
) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        fill(registry)
        environ[variable_for(registry.host)] = "ann:wrong"
        remote = client.repository(Repository(registry.host, "a"))
        with pytest.raises(SquashproxyError, match="check the credentials of 'ann'"):
            remote.delete_manifest("v1")
        asked = [one for one in registry.requests if one.path.startswith("/token")]
        assert len(asked) == 1
