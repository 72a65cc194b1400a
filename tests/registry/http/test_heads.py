"""Answers that are no HTTP, that have no end, or that are cut: one of our errors, and soon."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from squashproxy.errors import FormatError, RegistryError, Unreachable
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.registry.scripted import sending

Connect = Callable[..., RegistryClient]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def opened(connect: Connect, host: str) -> RemoteRepository:
    client = connect(ClientOptions(retries=1, retry_for=0.0, plain_http=frozenset({host})))
    return client.repository(Repository(host, "app"))


WHOLE: dict[str, bytes] = {
    "as it should be": OK + b"Content-Length: 2\r\n\r\n{}",
    "no length": OK + b"\r\n{}",
    "a length of thousands of digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -5\r\n\r\n{}",
    "a length of words": OK + b"Content-Length: two\r\n\r\n{}",
    "the length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "an unknown transfer encoding": OK + b"Transfer-Encoding: wibble\r\n\r\n{}",
    "chunks and a length": OK
    + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks with trailers": CHUNKED + b"2\r\n{}\r\n0\r\nA: b\r\n\r\n",
    "an interim answer": b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" + OK + b"\r\n{}",
    **{
        f"an interim answer {status}": b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status
        + OK
        + b"Content-Length: 2\r\n\r\n{}"
        for status in (102, 103, 104, 199)
    },
    "many interim answers": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 50
    + b"HTTP/1.1 100 Continue\r\n\r\n"
    + b"HTTP/1.1 102 Processing\n\n"
    + OK
    + b"\r\n{}",
    "white space behind everything": b"HTTP/1.1 200 OK \r\nTransfer-Encoding: chunked \t\r\n\r\n"
    b"2 \r\n{}\r\n0 \r\n\r\n",
    "a line of white space": OK + b"A: b\r\n \t \r\nContent-Length: 2\r\n\r\n{}",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "a folded line": OK + b"A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
def test_what_can_be_read_is_read(connect: Connect, answer: bytes) -> None:
    with FakeRegistry() as registry:
        registry.arm(Fault("GET", "/manifests/", FaultKind.RAW, body=answer))
        assert opened(connect, registry.host).get_manifest("v1").data == b"{}"
        assert len(registry.requests) == 1


@pytest.mark.parametrize("space", ["", " ", "\t", " \t  "], ids=repr)
def test_white_space_around_a_value_is_no_part_of_it(connect: Connect, space: str) -> None:
    away = f"HTTP/1.1 307 X{space}\r\nLocation:{space}/v2/app/manifests/v2{space}\r\n\r\n".encode()
    with FakeRegistry() as registry:
        registry.put_manifest("app", "v2", b"{}", "")
        registry.arm(Fault("GET", "/manifests/v1", FaultKind.RAW, body=away))
        assert opened(connect, registry.host).get_manifest("v1").data == b"{}"


BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the connection was closed"),
    "a greeting": (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer is not valid HTTP"),
    "a status of letters": (b"HTTP/1.1 abc OK\r\n\r\n", "its answer is not valid HTTP"),
    "a status of thousands of digits": (
        b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n",
        "its answer is not valid HTTP",
    ),
    "status 0": (b"HTTP/1.1 000 OK\r\n\r\n", "its answer is not valid HTTP"),
    "another version": (b"HTTP/2.0 200 OK\r\n\r\n{}", "its answer is not valid HTTP"),
    "many headers": (OK + b"A: b\r\n" * 200 + b"\r\n{}", "its answer is not valid HTTP"),
    "a long header": (OK + b"A: " + b"x" * 70_000 + b"\r\n\r\n{}", "is not valid HTTP"),
    "two lengths": (OK + b"Content-Length: 2, 3\r\n\r\n{}", "its answer is not valid HTTP"),
    "two length headers": (
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "its answer is not valid HTTP",
    ),
    "a length beyond all memory": (
        OK + b"Content-Length: 100000000000000000000\r\n\r\n{}",
        "the connection was closed",
    ),
    "a chunk of a size that is none": (CHUNKED + b"zz\r\n{}", "the connection was closed"),
    "a chunk of a negative size": (CHUNKED + b"-5\r\n{}", "the connection was closed"),
    "a chunk beyond all memory": (CHUNKED + b"f" * 60_000 + b"\r\n{}", "connection was closed"),
    "a chunk's size without end": (CHUNKED + b"f" * 70_000, "is not valid HTTP"),
    "a head that ends in the status": (b"HTTP/1.1 200", "the connection was closed"),
    "a head that ends in a name": (OK + b"Content-Ty", "the connection was closed"),
    "a head that ends in a value": (OK + b"Content-Length: 1", "the connection was closed"),
    "a head that ends between lines": (OK + b"A: b\r\n", "the connection was closed"),
    "a head that ends in its last line": (OK + b"A: b\r\n\r", "the connection was closed"),
    "a redirect that is cut": (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/v",
        "the connection was closed",
    ),
    "an interim answer that is cut": (b"HTTP/1.1 100 Continue\r\nA", "the connection was closed"),
    "another interim answer that is cut": (b"HTTP/1.1 103 X\r\nA: b\r\n", "connection was closed"),
    "an interim answer alone": (b"HTTP/1.1 102 Processing\r\n\r\n", "the connection was closed"),
    "another protocol": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + OK + b"\r\n{}",
        "its answer is not valid HTTP",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_a_broken_connection(
    connect: Connect, answer: bytes, reason: str
) -> None:
    """So it is asked for again."""
    with FakeRegistry() as registry:
        registry.arm(Fault("GET", "/manifests/", FaultKind.RAW, body=answer, times=2))
        with pytest.raises(Unreachable, match=reason):
            opened(connect, registry.host).get_manifest("v1")
        assert len(registry.requests) == 2


ENDLESS: dict[str, tuple[bytes, bytes, str]] = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "not valid HTTP"),
    "other interim answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n", "not valid HTTP"),
    "fields of another interim answer": (b"HTTP/1.1 103 X\r\n", b"A: b\r\n", "not valid HTTP"),
    "a field of another interim answer": (b"HTTP/1.1 103 X\r\n", b"b" * 1000, "not valid HTTP"),
    "fields of interim answers": (b"HTTP/1.1 100 Continue\r\n", b"A: b\r\n", "not valid HTTP"),
    "a status line": (b"", b"H" * 1000, "not valid HTTP"),
    "fields": (OK, b"A: b\r\n", "not valid HTTP"),
    "a field": (OK + b"A: ", b"b" * 1000, "not valid HTTP"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"A: b\r\n", "not valid HTTP"),
    "a trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nA: ", b"b" * 1000, "not valid HTTP"),
    "a chunk's size": (CHUNKED, b"0" * 1000, "not valid HTTP"),
    "a body": (OK + b"\r\n", b"x" * 10_000, "larger than 4194304 bytes"),
    "a body in chunks": (
        CHUNKED,
        b"10\r\n%s\r\n" % (b"x" * 16) * 1000,
        "larger than 4194304 bytes",
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("start", "piece", "sentence"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_end_has_one(
    connect: Connect, start: bytes, piece: bytes, sentence: str
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)

    with sending(answer) as host, pytest.raises((RegistryError, FormatError), match=sentence):
        opened(connect, host).get_manifest("v1")
