"""A small internet on loopback: names with addresses, and sockets that reach them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

PUBLIC = "93.184.216.34"


@dataclass
class Internet:
    """The addresses of names, a list for each time that they are resolved; the last one stays.

    Connections to all addresses end at 127.0.0.1. `connected` are those that were connected to.
    """

    names: Mapping[str, list[list[str]]]
    connected: list[str] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)

    def resolve(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        del args, kwargs
        answers = self.names.get(host)
        if answers is None:
            addresses = [host]  # only an address that is written as one
            if not host.replace(".", "").isdigit() and ":" not in host:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        else:
            self.lookups.append(host)
            addresses = answers[min(self.lookups.count(host), len(answers)) - 1]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port),
            )
            for address in addresses
        ]


def lay_out(monkeypatch: pytest.MonkeyPatch, names: Mapping[str, list[list[str]]]) -> Internet:
    """Let this process see such an internet until the end of the test."""
    internet = Internet(names)
    connect = socket.socket.connect

    def redirected(self: socket.socket, address: Any) -> None:
        internet.connected.append(address[0])
        connect(self, ("127.0.0.1", address[1]))

    monkeypatch.setattr(socket, "getaddrinfo", internet.resolve)
    monkeypatch.setattr(socket.socket, "connect", redirected)
    return internet
