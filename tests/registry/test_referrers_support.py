"""Whether a registry lists referrers is asked by a question whose answer is defined."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import FormatError, ReferrersUnknown, RegistryError, ServerFault
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions

Connect = Callable[..., RegistryClient]
FIRST = digest_of(b"first")
SECOND = digest_of(b"second")
LISTED = Descriptor(mediatypes.OCI_MANIFEST, digest_of(b"a signature"), 11)
INDEX = json.dumps({"schemaVersion": 2, "manifests": [LISTED.to_json()]}).encode()
REFUSALS = [400, 404, 405, 501]


def opened(client: RegistryClient, registry: FakeRegistry, repo: str = "app") -> RemoteRepository:
    if repo == "app":
        registry.put_manifest(repo, "v1", b"{}", mediatypes.OCI_MANIFEST)
    return client.repository(Repository(registry.host, repo))


def asked(registry: FakeRegistry) -> list[str]:
    return [each.path.rpartition("/")[2] for each in registry.requests]


def test_a_registry_with_the_api_says_so_once(client: RegistryClient) -> None:
    with FakeRegistry() as registry:
        remote = opened(client, registry)
        assert remote.lists_referrers()
        assert remote.lists_referrers()
        assert opened(client, registry, "other").lists_referrers(), "it is the registry's"
        assert len(registry.requests) == 1


@pytest.mark.parametrize("status", REFUSALS)
def test_a_registry_without_the_api_refuses_a_digest_that_nothing_has(
    client: RegistryClient, status: int
) -> None:
    with FakeRegistry() as registry:
        registry.arm(Fault("GET", "/referrers/", status=status, times=9))
        remote = opened(client, registry)
        assert not remote.lists_referrers()
        assert remote.list_referrers(FIRST) is None
        assert remote.list_referrers(SECOND) is None
        nobody, *others = asked(registry)
        assert others == [FIRST, SECOND], "each digest is asked, the registry once"
        assert nobody not in others


def test_the_first_refusal_asks_the_registry(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(referrers=False)) as registry:
        remote = opened(client, registry)
        assert remote.list_referrers(FIRST) is None
        assert remote.list_referrers(SECOND) is None
        assert len(registry.requests) == 3


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_for_one_digest_is_not_an_empty_list(client: RegistryClient, status: int) -> None:
    """Otherwise what refers to it would lose its subject without a word (issue 23)."""
    with FakeRegistry() as registry:
        remote = opened(client, registry)
        registry.arm(Fault("GET", f"/referrers/{FIRST}", status=status, times=9))
        with pytest.raises(ReferrersUnknown) as raised:
            remote.list_referrers(FIRST)
        assert f"lists referrers, but not those of {FIRST} in app (HTTP {status})" in str(
            raised.value
        )
        assert raised.value.status == status
        assert remote.list_referrers(SECOND) == ()
        with pytest.raises(ReferrersUnknown):
            remote.list_referrers(FIRST)
        assert len(registry.requests) == 4, "the registry itself was asked once"


def test_a_list_says_that_the_registry_has_the_api(client: RegistryClient) -> None:
    with FakeRegistry() as registry:
        remote = opened(client, registry)
        fault = Fault("GET", f"/referrers/{FIRST}", FaultKind.ANSWER, status=200, body=INDEX)
        registry.arm(fault)
        registry.arm(Fault("GET", f"/referrers/{SECOND}", status=404))
        listed = remote.list_referrers(FIRST)
        assert listed is not None
        assert [each.digest for each in listed] == [LISTED.digest]
        with pytest.raises(ReferrersUnknown):
            remote.list_referrers(SECOND)
        assert asked(registry) == [FIRST, SECOND]


def test_registries_are_told_apart(client: RegistryClient) -> None:
    with FakeRegistry() as one, FakeRegistry(RegistryOptions(referrers=False)) as other:
        assert opened(client, one).lists_referrers()
        assert not opened(client, other).lists_referrers()


def test_a_repository_that_is_not_there_says_nothing_of_its_registry(
    client: RegistryClient,
) -> None:
    """NAME_UNKNOWN is an answer of registries with the API as well."""
    unknown = b'{"errors": [{"code": "NAME_UNKNOWN"}]}'
    with FakeRegistry() as registry:
        registry.arm(Fault("GET", "/nowhere/referrers/", status=404, body=unknown))
        assert not opened(client, registry, "nowhere").lists_referrers()
        assert opened(client, registry).lists_referrers()


def test_a_registry_that_fails_says_nothing(connect: Connect) -> None:
    with FakeRegistry() as registry:
        remote = opened(connect(), registry)
        registry.arm(Fault("GET", "/referrers/", status=500, times=5))
        with pytest.raises(ServerFault):
            remote.lists_referrers()
        assert remote.lists_referrers()


NO_INDEXES: dict[str, bytes] = {
    "a web page": b"<html><title>Sign in</title></html>",
    "nothing in it": b"{}",
    "errors": b'{"errors": [{"code": "NOT_FOUND"}]}',
    "another list": b'{"manifests": "x"}',
    "no descriptors": b'{"manifests": [5]}',
    "no digest": b'{"manifests": [{"size": 1}]}',
    "another size": b'{"manifests": [{"digest": "%s", "size": 1e999}]}' % FIRST.encode(),
}


@pytest.mark.parametrize("body", NO_INDEXES.values(), ids=NO_INDEXES)
def test_what_is_no_index_is_an_error(client: RegistryClient, body: bytes) -> None:
    with FakeRegistry() as registry:
        remote = opened(client, registry)
        registry.arm(Fault("GET", "/referrers/", FaultKind.ANSWER, status=200, body=body, times=2))
        with pytest.raises(FormatError, match=r"the list of referrers of sha256:.* in .*/app"):
            remote.lists_referrers()
        with pytest.raises(FormatError, match=f"the list of referrers of {FIRST}"):
            remote.list_referrers(FIRST)
        assert remote.lists_referrers(), "nothing was learnt"


def test_a_second_page_that_is_refused_is_an_error(client: RegistryClient) -> None:
    with FakeRegistry() as registry:
        remote = opened(client, registry)
        link = (("Link", "<?page=2>; rel=next"),)
        fault = Fault("GET", "/referrers/", FaultKind.ANSWER, status=200, headers=link, body=INDEX)
        registry.arm(fault)
        registry.arm(Fault("GET", "page=2", status=400))
        with pytest.raises(RegistryError, match="refused the list of referrers"):
            remote.list_referrers(FIRST)
