"""Brokers that cannot be used: a sentence for each, and no password in any."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from squashproxy.errors import UsageError
from squashproxy.fleet.broker import Broker, address_of
from squashproxy.fleet.errors import BrokerAway, BrokerRefused, FleetError
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.messages import celery_app
from squashproxy.fleet.settings import FleetSettings
from tests.fleet.redis_server import RedisServer, free_port, redis_server

SECRET = "s3cret/of:ours@"  # with what no URL takes as it is


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@dataclass
class Place:
    """What a case needs to make its broker."""

    folder: Path
    stack: ExitStack
    authority: trustme.CA

    def server(self, *options: str) -> RedisServer:
        return self.stack.enter_context(redis_server(self.folder, options))

    def tls_server(
        self, *names: str, clients: str = "no", versions: str = "TLSv1.2 TLSv1.3"
    ) -> int:
        """A server that speaks TLS, with a certificate for some names; its port."""
        certificate = self.authority.issue_cert(*names or ("127.0.0.1", "localhost"))
        pem, key, ca = (self.folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
        certificate.cert_chain_pems[0].write_to_path(pem)
        certificate.private_key_pem.write_to_path(key)
        self.authority.cert_pem.write_to_path(ca)
        port = free_port()
        self.server(
            *("--tls-port", str(port), "--tls-cert-file", str(pem), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(ca), "--tls-auth-clients", clients),
            *("--tls-protocols", versions),
        )
        return port

    def speaking(self, answer: Callable[[bytes], bytes]) -> int:
        """Something that answers what it is sent; its port."""
        return self.stack.enter_context(speaking(answer))


@contextmanager
def speaking(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            while (asked := connection.recv(65536)) and (told := answer(asked)):
                connection.sendall(told)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def nobody(place: Place) -> FleetSettings:  # noqa: ARG001 - a case
    return FleetSettings(f"redis://:{'x'}@127.0.0.1:{free_port()}/0", password=SECRET)


def unknown_name(place: Place) -> FleetSettings:  # noqa: ARG001 - a case
    return FleetSettings("redis://broker.invalid:6379/0")


def wrong_password(place: Place) -> FleetSettings:
    server = place.server("--requirepass", "another")
    return FleetSettings(server.url, password=SECRET)


def no_password(place: Place) -> FleetSettings:
    return FleetSettings(place.server("--requirepass", "another").url)


def needless_password(place: Place) -> FleetSettings:
    return FleetSettings(f"redis://u:pw@127.0.0.1:{place.server().port}/0")


def forbidden(place: Place) -> FleetSettings:
    server = place.server("--user", "worker", "on", ">pw", "~*", "+ping")
    return FleetSettings(f"redis://worker:pw@127.0.0.1:{server.port}/0")


def old(place: Place) -> FleetSettings:
    info = b"redis_version:5.0.14\r\nredis_mode:standalone\r\n"

    def answer(asked: bytes) -> bytes:
        if b"PING" in asked:
            return b"+PONG\r\n"
        if b"INFO\r\n" in asked.replace(b"SETINFO", b""):
            return b"$%d\r\n%s\r\n" % (len(info), info)
        return b"+OK\r\n" * asked.count(b"SETINFO")

    return FleetSettings(f"redis://127.0.0.1:{place.speaking(answer)}/0")


def no_such_database(place: Place) -> FleetSettings:
    return FleetSettings(f"redis://127.0.0.1:{place.server('--databases', '2').port}/2")


def cluster(place: Place) -> FleetSettings:
    port = str(free_port())
    return FleetSettings(place.server("--cluster-enabled", "yes", "--cluster-port", port).url)


def untrusted(place: Place) -> FleetSettings:
    return FleetSettings(f"rediss://127.0.0.1:{place.tls_server()}/0")


def another_name(place: Place) -> FleetSettings:
    port = place.tls_server("broker.example.com")
    return FleetSettings(f"rediss://127.0.0.1:{port}/0", ca=place.folder / "ca.pem")


def wants_certificates(versions: str) -> Callable[[Place], FleetSettings]:
    def make(place: Place) -> FleetSettings:
        port = place.tls_server(clients="yes", versions=versions)
        return FleetSettings(f"rediss://127.0.0.1:{port}/0", ca=place.folder / "ca.pem")

    return make


def ends_the_handshake(place: Place) -> FleetSettings:
    port = place.speaking(lambda _: b"")
    return FleetSettings(f"rediss://127.0.0.1:{port}/0")


def speaks_another_protocol(place: Place) -> FleetSettings:
    port = place.speaking(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n")
    return FleetSettings(f"rediss://127.0.0.1:{port}/0")


def no_tls(place: Place) -> FleetSettings:
    return FleetSettings(f"rediss://127.0.0.1:{place.server().port}/0", lease=2.0)


def a_web_server(place: Place) -> FleetSettings:
    port = place.speaking(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n")
    return FleetSettings(f"redis://127.0.0.1:{port}/0")


def tls_unasked(place: Place) -> FleetSettings:
    return FleetSettings(f"redis://127.0.0.1:{place.tls_server()}/0")


@pytest.fixture
def place(tmp_path: Path, stack: ExitStack, authority: trustme.CA) -> Place:
    return Place(tmp_path, stack, authority)


CASES = {
    "nobody listens": (nobody, BrokerAway, r"cannot be reached: connection refused; is it up\?"),
    "an unknown name": (unknown_name, BrokerAway, "cannot be reached: .*; is it up"),
    "a wrong password": (wrong_password, BrokerRefused, "does not accept the password; mend that"),
    "no password": (no_password, BrokerRefused, "does not accept the password; mend that"),
    "a needless password": (needless_password, BrokerRefused, "does not accept the password"),
    "a user without rights": (forbidden, BrokerRefused, "does not allow its user what the fleet"),
    "an old server": (old, BrokerRefused, "is Redis 5.0.14; use 6.2 or newer, or Valkey"),
    "a cluster": (cluster, BrokerRefused, "is a cluster, and the fleet needs one server"),
    "a database that is not there": (
        *(no_such_database, BrokerRefused),
        "has no database of the number in `engine.broker`; write a lower one",
    ),
    "an unknown authority": (
        *(untrusted, BrokerRefused),
        "is not trusted: .*; give its authority as `engine.ca`",
    ),
    "a certificate of another name": (another_name, BrokerRefused, "is not trusted: .*mismatch"),
    "a server that wants a certificate": (
        # Its alert may get lost, and then the connection has only ended.
        *(wants_certificates("TLSv1.3"), (BrokerRefused, BrokerAway)),
        "(asks|does it ask) for a client's certificate.*tls-auth-clients",
    ),
    "a server that wants a certificate, with TLS 1.2": (
        *(wants_certificates("TLSv1.2"), BrokerRefused),
        "asks for a client's certificate, and there is none for it; set `tls-auth-clients no`",
    ),
    "an end in the midst of TLS": (
        ends_the_handshake,
        BrokerAway,
        "closed; is it up, or does it ask",
    ),
    "another protocol than TLS": (speaks_another_protocol, BrokerRefused, "does not speak TLS; if"),
    "TLS where there is none": (no_tls, BrokerAway, "is it up, and does it speak TLS"),
    "no TLS where there is some": (tls_unasked, BrokerAway, "If it speaks TLS, write rediss://"),
    "a web server": (a_web_server, (BrokerAway, BrokerRefused), "the broker redis://127.0.0.1"),
}


@pytest.mark.parametrize(("make", "kind", "sentence"), CASES.values(), ids=list(CASES))
def test_a_broker_of_no_use_is_a_sentence(
    make: Callable[[Place], FleetSettings],
    kind: type[FleetError],
    sentence: str,
    place: Place,
) -> None:
    broker = Broker(make(place))
    with pytest.raises(kind, match=sentence) as caught:
        broker.check()
    broker.close()
    for secret in (SECRET, "another", "pw", ":x@"):
        assert secret not in str(caught.value).replace("password", "")


def test_an_authority_that_is_given_is_trusted(
    tmp_path: Path, stack: ExitStack, authority: trustme.CA
) -> None:
    port = Place(tmp_path, stack, authority).tls_server()
    broker = Broker(FleetSettings(f"rediss://localhost:{port}/0", ca=tmp_path / "ca.pem"))
    assert broker.check() == []
    broker.close()


AUTHORITIES = {
    "missing": (None, "cannot be read: no such file or directory; mend its name or its rights"),
    "empty": (b"", "holds no PEM certificate; name one that does"),
    "something else": (b"not a certificate", "holds no PEM certificate; name one that does"),
}


@pytest.mark.parametrize(("data", "sentence"), AUTHORITIES.values(), ids=list(AUTHORITIES))
def test_an_authority_that_is_none_is_not_the_fault_of_the_broker(
    data: bytes | None, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(UsageError, match=sentence) as caught:
        Broker(FleetSettings("rediss://127.0.0.1:1/0", ca=file))
    assert str(file) in str(caught.value)


def test_a_password_given_apart_needs_no_escaping(tmp_path: Path, stack: ExitStack) -> None:
    server = stack.enter_context(redis_server(tmp_path, ("--requirepass", SECRET)))
    broker = Broker(FleetSettings(server.url, password=SECRET))
    assert broker.check() == []
    broker.close()


def test_a_broker_that_evicts_is_warned_of(tmp_path: Path, stack: ExitStack) -> None:
    options = ("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")
    server = stack.enter_context(redis_server(tmp_path, options))
    broker = Broker(FleetSettings(server.url))
    (warning,) = broker.check()
    assert "evicts keys when it is full (maxmemory-policy is allkeys-lru)" in warning
    broker.close()


ADDRESSES = {
    "redis://h": "redis://h:6379",
    "redis://:secret@h:1/3": "redis://h:1",
    "rediss://user:secret@[::1]:1/3": "rediss://[::1]:1",
}


@pytest.mark.parametrize(("url", "shown"), ADDRESSES.items(), ids=list(ADDRESSES))
def test_a_broker_is_named_without_its_secrets(url: str, shown: str) -> None:
    assert address_of(url) == shown
    assert "secret" not in repr(Broker(FleetSettings(url)))


LOGINS = {
    "none": ("redis://h:1/2", None, (None, None)),
    "a password": ("redis://:pw@h:1/2", None, (None, "pw")),
    "a user": ("redis://me@h:1/2", None, ("me", None)),
    "a semicolon": ("redis://me:a;b@h:1/2", None, ("me", "a;b")),
    "a semicolon after what looks like a port": ("redis://:1234;b@h:1/2", None, (None, "1234;b")),
    "a semicolon, escaped": ("redis://me:a%3Bb@h:1/2", None, ("me", "a;b")),
    "a colon and an at sign": ("redis://me:a:b@c@h:1/2", None, ("me", "a:b@c")),
    "a per cent sign that escapes nothing": ("redis://me:a%zz@h:1/2", None, ("me", "a%zz")),
    "a plus and a comma": ("redis://me:a+b,c@h:1/2", None, ("me", "a+b,c")),
    "letters of other alphabets": ("redis://mé:pä@h:1/2", None, ("mé", "pä")),
    "a password apart": ("redis://h:1/2", "a;b/%2f@", (None, "a;b/%2f@")),
    "a user with a semicolon, a password apart": ("redis://m;e@h:1/2", "pw", ("m;e", "pw")),
    "an address of IPv6": ("redis://me:a;b@[::1]:1/2", None, ("me", "a;b")),
}


@pytest.mark.parametrize(("url", "password", "login"), LOGINS.values(), ids=list(LOGINS))
def test_both_clients_of_the_broker_read_the_same_login(
    url: str, password: str | None, login: tuple[str | None, str | None]
) -> None:
    """Scripts go through redis-py, messages through Celery's kombu, which parses URLs itself."""
    settings = FleetSettings(url, password=password)
    broker = Broker(settings)
    ours = broker._client.connection_pool.connection_kwargs
    assert (ours.get("username"), ours.get("password")) == login
    with celery_app(settings, tuple(QueueName)).connection_for_write() as connection:
        theirs = connection.info()
        assert (theirs["userid"], theirs["password"]) == login
        assert (theirs["hostname"], theirs["port"]) == (ours["host"], ours["port"])
        assert connection.alt == []
    broker.close()


def test_options_that_mean_nothing_are_an_error() -> None:
    with pytest.raises(UsageError, match="has options that mean nothing"):
        Broker(FleetSettings("redis://h:1/0?db=x"))


def test_a_frozen_broker_is_given_up_within_a_share_of_the_lease(server: RedisServer) -> None:
    broker = Broker(FleetSettings(server.url, lease=1.0))
    broker.check()
    server.freeze()
    with pytest.raises(BrokerAway, match="cannot be reached: no answer in time"):
        broker.check()
    server.thaw()
    broker.close()
