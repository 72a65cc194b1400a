"""Which names of hosts mean the same one."""

from __future__ import annotations

import pytest

from squashproxy.host import host_key, is_loopback


@pytest.mark.parametrize(
    ("one", "other"),
    {
        "upper case": ("REGISTRY.example.com", "registry.example.com"),
        "the port that is meant anyway": ("registry.example.com:443", "registry.example.com"),
        "both": ("Registry.Example.com:443", "registry.example.com"),
        "plain HTTP's port": ("registry.example.com:80", "registry.example.com"),
        "loopback by name": ("LOCALHOST:5000", "127.0.0.1:5000"),
        "loopback in the other family": ("[::1]:5000", "127.0.0.1:5000"),
        "a long form of an address": ("[2001:DB8:0:0:0:0:0:1]:5000", "[2001:db8::1]:5000"),
        "Docker Hub": ("index.docker.io", "docker.io"),
        "Docker Hub in capitals": ("Docker.IO", "registry-1.docker.io"),
    }.values(),
)
def test_spellings_of_one_host(one: str, other: str) -> None:
    assert host_key(one) == host_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.example.com", "b.example.com"),
        ("a:5000", "a:5001"),
        ("a:4430", "a"),
        ("127.0.0.1:1", "a:1"),
    ],
)
def test_other_hosts_are_other_hosts(one: str, other: str) -> None:
    assert host_key(one) != host_key(other)


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_names_of_this_machine(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["localhost.example.com", "10.0.0.1", "2130706433", "", "a b"])
def test_names_of_others(name: str) -> None:
    assert not is_loopback(name)
