"""Addresses, logins and limits that ClientOptions gives a client for each host."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from squashproxy.errors import Unauthorized
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import Basic, FakeRegistry, RegistryOptions

APP = Repository("hub.example", "app")


def test_a_host_may_have_its_api_elsewhere() -> None:
    with FakeRegistry() as registry:
        digest = registry.put_blob("app", b"content")
        options = ClientOptions(urls={"hub.example": registry.url})
        with RegistryClient(options, environ={}) as client:
            assert client.repository(APP).find_blob(digest) == 7


def test_a_login_comes_before_every_other_place() -> None:
    with FakeRegistry(RegistryOptions(auth=Basic("me", "word"))) as registry:
        registry.put_blob("app", b"content")
        urls = {"hub.example": registry.url}
        wrong = {"SQUASHPROXY_AUTH_HUB_EXAMPLE": "you:other"}
        right = ClientOptions(urls=urls, logins={"hub.example": ("me", "word")})
        with RegistryClient(right, environ=wrong) as client:
            assert list(client.repository(APP).iter_tags()) == []
        with (
            RegistryClient(ClientOptions(urls=urls), environ=wrong) as client,
            pytest.raises(Unauthorized),
        ):
            list(client.repository(APP).iter_tags())


def test_a_login_is_not_shown() -> None:
    assert "word" not in repr(ClientOptions(logins={"hub.example": ("me", "word")}))


def test_every_answer_is_heard() -> None:
    heard: list[tuple[str, int]] = []

    def listen(host: str, status: int, headers: Mapping[str, str]) -> None:
        assert headers
        heard.append((host, status))

    with FakeRegistry() as registry:
        options = ClientOptions(urls={"hub.example": registry.url})
        with RegistryClient(options, environ={}, listener=listen) as client:
            assert client.repository(APP).find_manifest("1") is None
    assert heard == [("hub.example", 404), ("hub.example", 404)]
