"""Whatever a registry answers, only our errors come out, after a bounded number of requests.

The real client asks a real socket. What is answered is made up by hypothesis, out of what hurt
once and out of anything.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from squashproxy.catalog.dates import parse_date
from squashproxy.catalog.repositories import find_repositories
from squashproxy.digest import digest_of
from squashproxy.errors import FormatError, IntegrityError, RegistryError, SquashproxyError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.rules.repository_patterns import parse_repository_pattern
from squashproxy.testing import FakeRegistry, Fault, FaultKind

DIGEST = digest_of(b"an image")
BLOB = Descriptor(mediatypes.OCI_LAYER, DIGEST, 8)
RAW = RawManifest(b"{}", mediatypes.OCI_MANIFEST)
Act = Callable[[RegistryClient, str], object]
OURS = (RegistryError, FormatError, IntegrityError)
MOST_REQUESTS = 200

LONG = "9" * 5000
URLS = [
    *("http://[", "//[", "http://127.0.0.1:99999/", "http://127.0.0.1:abc/", "//127.0.0.1:-1/x"),
    *("http://ann:pw@127.0.0.1/", "ftp://127.0.0.1/", "\\\\127.0.0.1", "//", "http:///x", "a b"),
    *("x" * 9000, f"http://127.0.0.1:{LONG}/", "?x=\x01", "", "..", "//2130706433/", "é"),
    *("http://127.0.0.1:1/", "/v2/app/tags/list", "?page=2", "/token", "//localhost:1/x?y=1#z"),
]
NUMBERS = [
    "0",
    "5",
    "-1",
    LONG,
    "1_0",
    "1e9",
    "nan",
    "inf",
    "\xd9\xa3",
    "",
    "0x10",
    "1.5",
    "1000000000",
]
DATES = [
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Wed, 21 Oct 2026 099999999999:28:00 GMT",
    f"Wed, 21 Oct {LONG} 07:28:00 GMT",
    "Wed, 21 Oct 2026 07:28:00 +9999",
]
RANGES = ["0-7", f"0-{LONG}", "bytes 0-7/8", f"bytes {LONG}-1/1", f"bytes 0-{LONG}/{LONG}", "x"]
DIGESTS = [DIGEST, digest_of(b"{}"), "sha256:", "sha256:" + "A" * 64, "x" * 60_000, "md5:x"]

in_header = st.text(
    st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30
) | st.text(alphabet='<>;,="\\ \t[]/:@rel=nextBearerbasic', max_size=40)
urls = st.sampled_from(URLS) | in_header
numbers = st.sampled_from(NUMBERS) | in_header
links = (
    st.builds("<{}>; rel={}".format, urls, st.sampled_from(["next", '"next"', "'next'", "", '"a']))
    | in_header
)
challenges = (
    st.builds('Bearer realm="{}",service="{}",scope="{}"'.format, urls, in_header, in_header)
    | st.sampled_from(["Basic", "a" * 60_000, 'Bearer realm="' + "\\" * 60_000, "=" * 60_000])
    | in_header
)
HEADERS: dict[str, st.SearchStrategy[str]] = {
    "Link": links,
    "Location": urls,
    "WWW-Authenticate": challenges,
    "Retry-After": numbers | st.sampled_from(DATES),
    "Docker-Content-Digest": st.sampled_from(DIGESTS) | in_header,
    "Content-Range": st.sampled_from(RANGES) | in_header,
    "Range": st.sampled_from(RANGES) | in_header,
    "OCI-Chunk-Min-Length": numbers,
    "RateLimit-Remaining": numbers,
    "Content-Type": in_header | st.sampled_from([mediatypes.OCI_INDEX, "x" * 9000]),
    "Content-Encoding": in_header,
    "OCI-Subject": in_header,
}
FALSE_LENGTHS: dict[str, st.SearchStrategy[str]] = {
    "Content-Length": numbers,
    "Transfer-Encoding": st.sampled_from(
        ["chunked", "gzip, chunked", "wibble", "chunked, chunked"]
    ),
}

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [DIGEST, LONG, 10**400, "../../other/manifests/keep", "\x1b[2J", "\ud800", "v1", "app"]
    )
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
KEYS = [
    *("tags", "repositories", "manifests", "manifest", "name", "errors", "token", "access_token"),
    *("expires_in", "message", "digest", "size", "mediaType", "code", "detail", "push_time"),
]
documents = st.dictionaries(st.sampled_from(KEYS), anything, max_size=6)
errors = st.fixed_dictionaries({"errors": st.lists(documents | anything, max_size=3)})
lists = st.builds(
    lambda key, entries: {key: entries},
    st.sampled_from(KEYS[:4]),
    st.lists(leaves | documents, max_size=4) | documents,
)
tokens = st.fixed_dictionaries(
    {"token": st.just("t") | anything}, optional={"expires_in": anything}
)
artifacts = st.lists(documents | anything, max_size=3)
bodies = (
    (documents | errors | lists | tokens | artifacts | anything).map(
        lambda document: json.dumps(document).encode()
    )
    | st.sampled_from([b"", b"{}", b"[" * 50_000, b'{"tags": ' + b"1" * 5000 + b"}", b"<html>"])
    | st.binary(max_size=40)
)
statuses = st.sampled_from(
    [*(200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 409, 412, 416),
     *(422, 429, 500, 501, 503, 507, 599)]
)  # fmt: skip


def with_headers(kinds: dict[str, st.SearchStrategy[str]]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=kinds).map(lambda chosen: tuple(chosen.items()))


made_up = st.builds(
    Fault,
    path_pattern=st.sampled_from(["", "/v2/", "page=2", "/token", "last="]),
    status=statuses,
    headers=with_headers(HEADERS),
    body=bodies,
    times=st.sampled_from([1, 2, 1_000_000]),
    skip=st.integers(0, 2),
)
altered = st.builds(
    Fault,
    kind=st.just(FaultKind.ALTER),
    headers=with_headers({**HEADERS, **FALSE_LENGTHS}),
    body=st.none() | bodies,
    times=st.sampled_from([1, 1_000_000]),
    skip=st.integers(0, 2),
)
heads = st.lists(
    st.sampled_from(
        [
            *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 401 \r\n"),
            *(
                b"Content-Length: 2\r\n",
                b"Content-Length: " + b"9" * 5000 + b"\r\n",
                b"\r\n",
                b"{}",
            ),
            *(
                b"Transfer-Encoding: chunked\r\n",
                b"5\r\n",
                b"0\r\n\r\n",
                b"A: b\r\n" * 101,
                b": \r\n",
            ),
            *(b"Location: //[\r\n", b"Link: <\r\n", b" folded\r\n", b"\0", b"x" * 70_000, b"\n"),
        ]
    )
    | st.binary(max_size=12),
    max_size=9,
).map(b"".join)
raw = st.builds(Fault, kind=st.just(FaultKind.RAW), body=heads, times=st.sampled_from([1, 10**6]))
faults = st.lists(made_up | altered | raw, min_size=1, max_size=3)


def listed(client: RegistryClient, host: str) -> None:
    tags = client.repository(Repository(host, "app")).list_tags()
    assert all(each.uploaded is None or each.uploaded > 0 for each in tags.manifests)


def harbor(client: RegistryClient, host: str) -> None:
    for artifact in client.repository(Repository(host, "team/app")).iter_harbor_artifacts():
        parse_date(artifact.pushed)
        parse_date(artifact.pulled)


def repositories(client: RegistryClient, host: str) -> None:
    found = find_repositories(client, [parse_repository_pattern(f"{host}/*")])
    assert all(client.repository(each) for each in found.repositories)


def on_app(act: Callable[[Any], object]) -> Act:
    return lambda client, host: act(client.repository(Repository(host, "app")))


ACTS: dict[str, Act] = {
    "tags": on_app(lambda app: list(app.iter_tags())),
    "listed names": on_app(lambda app: list(app.iter_listed_names())),
    "tags with manifests": listed,
    "repositories": repositories,
    "referrers": on_app(lambda app: app.list_referrers(DIGEST)),
    "whether it lists referrers": on_app(lambda app: app.lists_referrers()),
    "artifacts": harbor,
    "whether it is a Harbor": on_app(lambda app: app.is_harbor()),
    "a manifest": on_app(lambda app: app.get_manifest("v1")),
    "a manifest by digest": on_app(lambda app: app.get_manifest(DIGEST)),
    "what a tag points to": on_app(lambda app: app.find_manifest("v1")),
    "a manifest's push": on_app(lambda app: app.put_manifest(RAW, "v1")),
    "a blob": on_app(lambda app: list(app.iter_blob(BLOB))),
    "a blob's size": on_app(lambda app: app.find_blob(DIGEST)),
    "a blob's push": on_app(lambda app: app.upload_blob([b"an image"])),
    "a mount": on_app(lambda app: app.try_mount(DIGEST, Repository(app.name.host, "other"))),
    "a deletion": on_app(lambda app: app.delete_manifest("v1")),
    "a deletion by digest": on_app(lambda app: app.delete_manifest(DIGEST)),
    "a deletion in Harbor": on_app(lambda app: app.delete_harbor_tag("v1")),
}


@pytest.fixture(scope="module")
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.put_blob("app", b"an image")
        registry.put_manifest("app", "v1", RAW.data, RAW.media_type)
        yield registry


@pytest.fixture(autouse=True)
def _on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a registry names, no test asks another machine."""
    find = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **more: Any) -> Any:
        if host in ("127.0.0.1", "localhost"):
            return find(host, *rest, **more)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(armed=faults, signed_in=st.booleans())
def test_only_our_errors_come_out(
    registry: FakeRegistry,
    act: Act,
    armed: list[Fault],
    signed_in: bool,
) -> None:
    registry.disarm()
    registry.forget_requests()
    for fault in armed:
        registry.arm(fault)
    options = ClientOptions(retries=1, timeout=5.0, plain_http=frozenset({registry.host}))
    environ = {variable_for(registry.host): "ann:s3cret"} if signed_in else {}
    with RegistryClient(options, environ=environ, sleep=lambda _seconds: None) as client:
        error = error_of(act, client, registry.host)
    if error is not None:
        assert isinstance(error, OURS), type(error)
        assert len(str(error)) < 2000
        assert "s3cret" not in str(error)
    assert len(registry.requests) <= MOST_REQUESTS


def error_of(act: Act, client: RegistryClient, host: str) -> SquashproxyError | None:
    """Anything else than one of our errors passes, and fails the test."""
    try:
        act(client, host)
    except SquashproxyError as error:
        return error
    return None


@settings(deadline=None)
@given(anything | st.datetimes().map(str) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.{0,20}"))
def test_every_date_is_read_or_is_none(text: object) -> None:
    assert parse_date(text) is None or isinstance(parse_date(text), float)
