"""TLS: own authorities, certs.d, client certificates, and no fall-back where trust is missing."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from squashproxy.digest import digest_of
from squashproxy.errors import TlsError, UsageError
from squashproxy.reference import parse_repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.http.tls import TlsContexts
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry, RegistryOptions, Tls

DIGEST = digest_of(b"")
Connect = Callable[..., RegistryClient]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture
def secured(authority: trustme.CA, tmp_path: Path) -> Iterator[FakeRegistry]:
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    with FakeRegistry(RegistryOptions(tls=Tls(certificate, key))) as registry:
        yield registry


def ask(client: RegistryClient, registry: FakeRegistry) -> int | None:
    return client.repository(parse_repository(f"{registry.host}/app")).find_blob(DIGEST)


def test_loopback_is_asked_for_tls_first_and_its_trust_is_never_assumed(
    connect: Connect, secured: FakeRegistry
) -> None:
    sentence = rf"certificate of {secured.host} is not trusted: .*with `ca`, or `insecure`"
    with pytest.raises(TlsError, match=sentence):
        ask(connect(), secured)
    assert secured.requests == ()


def test_an_authority_of_ones_own(connect: Connect, secured: FakeRegistry, ca: Path) -> None:
    assert ask(connect(ClientOptions(ca=ca)), secured) is None


@pytest.mark.parametrize("port", [True, False])
def test_insecure_hosts_are_taken_unseen(
    connect: Connect, secured: FakeRegistry, *, port: bool
) -> None:
    host = secured.host if port else secured.host.partition(":")[0]
    assert ask(connect(ClientOptions(insecure=frozenset({host}))), secured) is None


def test_insecurity_is_for_the_hosts_that_were_named(
    connect: Connect, secured: FakeRegistry
) -> None:
    with pytest.raises(TlsError):
        ask(connect(ClientOptions(insecure=frozenset({"127.0.0.1:1"}))), secured)


def test_certs_d(
    connect: Connect, secured: FakeRegistry, ca: Path, environ: dict[str, str]
) -> None:
    place = Path(environ["HOME"], ".config", "containers", "certs.d", secured.host)
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes(ca.read_bytes())
    assert ask(connect(), secured) is None


def test_plain_http_where_tls_is_expected_is_told(
    connect: Connect, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("squashproxy.registry.http.endpoints._speaks_tls", lambda *_: True)
    with pytest.raises(
        TlsError, match=rf"does not speak TLS; .* give `plain_http` {registry.host}"
    ):
        ask(connect(), registry)


def test_a_certificate_for_another_name_is_not_trusted(
    connect: Connect, secured: FakeRegistry, ca: Path
) -> None:
    port = secured.host.partition(":")[2]
    client = connect(ClientOptions(ca=ca))
    with pytest.raises(TlsError, match=r"is not trusted: .*'localhost'"):
        client.repository(parse_repository(f"localhost:{port}/app")).find_blob(DIGEST)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, r"cannot be read: No such file"), ("no certificate", r"holds no PEM certificate")],
)
def test_a_broken_authority_is_named(
    connect: Connect, tmp_path: Path, content: str | None, sentence: str
) -> None:
    file = tmp_path / "own.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=rf"own\.pem, the certificate authority given, {sentence}"):
        connect(ClientOptions(ca=file))


def test_a_client_certificate_is_loaded_with_its_key(
    authority: trustme.CA, environ: dict[str, str]
) -> None:
    place = Path(environ["HOME"], ".config", "containers", "certs.d", "a.example.com")
    place.mkdir(parents=True)
    issued = authority.issue_cert("client.example.com")
    issued.cert_chain_pems[0].write_to_path(str(place / "client.cert"))
    with pytest.raises(UsageError, match=r"client\.cert needs its key .*client\.key"):
        TlsContexts(ClientOptions(), environ).context_for("a.example.com")
    issued.private_key_pem.write_to_path(str(place / "client.key"))
    context = TlsContexts(ClientOptions(), environ).context_for("a.example.com")
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_hosts_without_settings_share_a_context(environ: dict[str, str]) -> None:
    trust = TlsContexts(ClientOptions(), environ)
    assert trust.context_for("a.example.com") is trust.context_for("b.example.com")


def test_an_authority_for_one_host_alone(connect: Connect, secured: FakeRegistry, ca: Path) -> None:
    options = ClientOptions(authorities={secured.host: ca})
    assert ask(connect(options), secured) is None
    other = ClientOptions(authorities={"other.example.com": ca})
    with pytest.raises(TlsError, match="not trusted"):
        ask(connect(other), secured)
