"""Answers that real registries give and friendly ones do not, made up in place of a connection."""

from __future__ import annotations

import io
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest
from urllib3 import HTTPHeaderDict, HTTPResponse, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NameResolutionError

from squashproxy.digest import digest_of
from squashproxy.errors import (
    Denied,
    FormatError,
    IntegrityError,
    RegistryError,
    Unauthorized,
    Unreachable,
)
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import parse_repository
from squashproxy.registry import blobs
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient, RemoteRepository

HOST = "registry.example.com"
API = f"https://{HOST}/v2/app"
BLOB = bytes(range(256)) * 64
DIGEST = digest_of(BLOB)
DESCRIPTOR = Descriptor(mediatypes.OCI_LAYER, DIGEST, len(BLOB))
Answer = tuple[int, dict[str, str] | HTTPHeaderDict, bytes]
Asked = tuple[str, dict[str, str], Any]
"""The URL, the headers and the body of a request."""


@dataclass(slots=True)
class Web:
    """What stands behind the connection pools: answers by method and URL without its query."""

    answers: dict[tuple[str, str], list[Answer | Exception]] = field(default_factory=dict)
    asked: dict[tuple[str, str], list[Asked]] = field(default_factory=dict)

    def send(self, method: str, url: str, body: Any, headers: dict[str, str]) -> HTTPResponse:
        key = method, url.partition("?")[0]
        sent = body if body is None or isinstance(body, bytes) else b"".join(body)
        self.asked[key].append((url, headers, sent))
        answer = self.answers[key].pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, fields, data = answer
        return HTTPResponse(
            io.BytesIO(data), fields, status, preload_content=False, request_method=method
        )


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    web = Web()

    def urlopen(
        _: PoolManager,
        method: str,
        url: str,
        *,
        body: Any,
        headers: dict[str, str],
        **_options: Any,
    ) -> HTTPResponse:
        return web.send(method, url, body, headers)

    monkeypatch.setattr(PoolManager, "urlopen", urlopen)
    return web


@pytest.fixture
def remote(client: RegistryClient) -> RemoteRepository:
    return client.repository(parse_repository(f"{HOST}/app"))


def script(web: Web, method: str, url: str, *answers: Answer | Exception) -> list[Asked]:
    """Give these answers in turn; returns what was asked, bodies read as a server reads them."""
    web.answers[method, url] = list(answers)
    return web.asked.setdefault((method, url), [])


def test_requests_name_the_user_agent_and_ask_for_bytes_as_stored(
    web: Web, remote: RemoteRepository
) -> None:
    asked = script(web, "GET", f"{API}/manifests/v1", (200, {"Content-Type": "x/y"}, b"{}"))
    remote.get_manifest("v1")
    headers = asked[0][1]
    assert headers["User-Agent"].startswith("squashproxy/")
    assert headers["Accept-Encoding"] == "identity"
    for media_type in (*mediatypes.MANIFESTS, *mediatypes.INDEXES, *mediatypes.SCHEMA1):
        assert media_type in headers["Accept"]
    assert "Authorization" not in headers


def test_parameters_of_a_media_type_are_left_out(web: Web, remote: RemoteRepository) -> None:
    kind = {"Content-Type": f"{mediatypes.OCI_INDEX}; charset=utf-8"}
    script(web, "GET", f"{API}/manifests/v1", (200, kind, b"{}"))
    assert remote.get_manifest("v1").media_type == mediatypes.OCI_INDEX


def test_a_docker_hub_image_is_asked_for_at_its_api(web: Web, client: RegistryClient) -> None:
    asked = script(
        web, "GET", "https://registry-1.docker.io/v2/library/debian/manifests/12", (200, {}, b"{}")
    )
    client.repository(parse_repository("debian")).get_manifest("12")
    assert len(asked) == 1


def test_a_body_that_says_it_is_packed_is_not_unpacked(web: Web, remote: RemoteRepository) -> None:
    """Some stores mark layers with Content-Encoding; the digest is that of the packed bytes."""
    url = f"{API}/blobs/{DIGEST}"
    script(web, "GET", url, (200, {"Content-Encoding": "gzip"}, BLOB))
    assert b"".join(remote.iter_blob(DESCRIPTOR)) == BLOB


@pytest.mark.parametrize(
    ("link", "second"),
    [
        pytest.param('</v2/app/tags/list?last=b&n=2>; rel="next"', "last=b&n=2", id="relative"),
        pytest.param(
            f"<{API}/tags/list?n=2&last=b>; rel=next", "n=2&last=b", id="absolute, no quotes"
        ),
        pytest.param('<?n=2&last=b>; rel="next"', "n=2&last=b", id="a query alone"),
        pytest.param(
            f"<http://{HOST}/v2/app/tags/list?n=2&last=b>; rel=next",
            "n=2&last=b",
            id="a proxy ended TLS",
        ),
    ],
)
def test_the_next_page_is_where_link_says(
    web: Web, remote: RemoteRepository, link: str, second: str
) -> None:
    asked = script(
        web,
        "GET",
        f"{API}/tags/list",
        (200, {"Link": link}, b'{"tags": ["a", "b"]}'),
        (200, {}, b'{"tags": ["c"]}'),
        (200, {}, b'{"tags": []}'),
    )
    assert list(remote.iter_tags()) == ["a", "b", "c"]
    assert [url for url, _, _ in asked] == [
        f"{API}/tags/list?n=1000",
        f"{API}/tags/list?{second}",
        f"{API}/tags/list?n=1000&last=c",
    ]


def begin(web: Web, location: str = "/up/1?s=a%2Fb") -> list[Asked]:
    return script(web, "POST", f"{API}/blobs/uploads/", (202, {"Location": location}, b""))


def test_locations_are_followed_with_their_queries(web: Web, remote: RemoteRepository) -> None:
    begin(web)
    patched = script(
        web, "PATCH", f"https://{HOST}/up/1", (202, {"Location": "2?t=c", "Range": "0-16383"}, b"")
    )
    put = script(web, "PUT", f"https://{HOST}/up/2", (201, {}, b""))
    assert remote.upload_blob([BLOB]) == (DIGEST, len(BLOB))
    url, headers, body = patched[0]
    assert url.endswith("/up/1?s=a%2Fb")
    assert headers["Content-Range"] == "0-16383"
    assert headers["Content-Length"] == "16384"
    assert body == BLOB
    assert put[0][0] == f"https://{HOST}/up/2?t=c&digest=sha256%3A{DIGEST[7:]}"


def test_the_odd_answers_of_ecr_are_taken(web: Web, remote: RemoteRepository) -> None:
    """201 to a PATCH, with a Range that counts the chunk alone."""
    begin(web)
    answer = (201, {"Location": "/up/1", "Range": "0-4194303"}, b"")
    patched = script(web, "PATCH", f"https://{HOST}/up/1", answer, answer, answer)
    script(web, "PUT", f"https://{HOST}/up/1", (201, {}, b""))
    data = bytes(9 << 20)
    assert remote.upload_blob([data]) == (digest_of(data), len(data))
    assert b"".join(body for _, _, body in patched) == data


def test_a_chunk_that_was_taken_in_part_is_gone_on_with(web: Web, remote: RemoteRepository) -> None:
    begin(web)
    patched = script(
        web,
        "PATCH",
        f"https://{HOST}/up/1",
        (202, {"Range": "0-9999"}, b""),
        (202, {"Range": "0-16383"}, b""),
    )
    script(web, "PUT", f"https://{HOST}/up/1", (201, {}, b""))
    remote.upload_blob([BLOB])
    assert [headers["Content-Range"] for _, headers, _ in patched] == ["0-16383", "10000-16383"]
    assert patched[1][2] == BLOB[10_000:]


def test_after_a_416_the_registry_is_asked_how_much_it_holds(
    web: Web, remote: RemoteRepository
) -> None:
    begin(web)
    script(web, "GET", f"https://{HOST}/up/1", (204, {"Range": "0-9999", "Location": "/up/1"}, b""))
    patched = script(
        web, "PATCH", f"https://{HOST}/up/1", (416, {}, b""), (202, {"Range": "0-16383"}, b"")
    )
    script(web, "PUT", f"https://{HOST}/up/1", (201, {}, b""))
    remote.upload_blob([BLOB])
    assert patched[1][1]["Content-Range"] == "10000-16383"


def test_a_session_without_location_is_told(web: Web, remote: RemoteRepository) -> None:
    script(web, "POST", f"{API}/blobs/uploads/", (202, {}, b""))
    with pytest.raises(RegistryError, match=r"without saying where to send it"):
        remote.upload_blob([BLOB])


@pytest.mark.parametrize("location", ["http://169.254.169.254/x", "https://10.0.0.1/x"])
def test_an_upload_is_not_led_into_our_own_network(
    web: Web,
    remote: RemoteRepository,
    location: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [(0, 0, 0, "", ("93.184.216.34", 0))])
    begin(web, location)
    with pytest.raises(Denied, match=r"so it was not followed"):
        remote.upload_blob([BLOB])


def test_uploads_to_another_host_go_without_proof(
    web: Web, remote: RemoteRepository, environ: dict[str, str]
) -> None:
    environ[variable_for(HOST)] = "ann:s3cret"
    posted = script(
        web,
        "POST",
        f"{API}/blobs/uploads/",
        (401, {"WWW-Authenticate": "Basic"}, b""),
        (202, {"Location": "https://store.example.net/u?sig=1"}, b""),
    )
    patched = script(web, "PATCH", "https://store.example.net/u", (202, {}, b""))
    put = script(web, "PUT", "https://store.example.net/u", (201, {}, b""))
    remote.upload_blob([BLOB])
    assert posted[1][1]["Authorization"].startswith("Basic ")
    assert "Authorization" not in patched[0][1]
    assert "Authorization" not in put[0][1]


def challenge(text: str) -> Answer:
    return 401, {"WWW-Authenticate": text}, b""


@pytest.mark.parametrize(
    "realm",
    ["http://auth.example.com/t", "https://127.0.0.1/t", "https://[::1]/t", "file:///etc/passwd"],
)
def test_credentials_are_not_sent_to_any_address(
    web: Web,
    remote: RemoteRepository,
    environ: dict[str, str],
    realm: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [(0, 0, 0, "", ("93.184.216.34", 0))])
    environ[variable_for(HOST)] = "ann:s3cret"
    script(web, "GET", f"{API}/manifests/v1", challenge(f'Bearer realm="{realm}"'))
    with pytest.raises(Denied, match=rf"{HOST} points to"):
        remote.get_manifest("v1")


def test_a_token_with_too_little_is_widened_by_what_the_registry_names(
    web: Web, remote: RemoteRepository
) -> None:
    """Registries behind a rewriting proxy know the repository by another name."""
    text = 'Bearer realm="https://auth.example.com/t",service="s",scope="repository:x/app:pull"'
    fetched = script(
        web, "GET", "https://auth.example.com/t",
        (200, {}, b'{"token": "one"}'), (200, {}, b'{"token": "two"}'),
    )  # fmt: skip
    asked = script(
        web, "GET", f"{API}/manifests/v1", challenge(text), challenge(text), (200, {}, b"{}")
    )
    remote.get_manifest("v1")
    assert [headers.get("Authorization") for _, headers, _ in asked] == [
        None, "Bearer one", "Bearer two",
    ]  # fmt: skip
    assert fetched[1][0].endswith("scope=repository%3Aapp%3Apull&scope=repository%3Ax%2Fapp%3Apull")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param((200, {}, b"{}"), r"auth\.example\.com/t answered without a token", id="none"),
        pytest.param((200, {}, b"<html>"), r"answered without a token", id="a page"),
        pytest.param(
            (403, {}, b""), r"refused a token from https://auth\.example\.com/t", id="403"
        ),
    ],
)
def test_a_token_service_that_gives_none_is_told(
    web: Web, remote: RemoteRepository, answer: Answer, sentence: str
) -> None:
    script(
        web, "GET", f"{API}/manifests/v1", challenge('Bearer realm="https://auth.example.com/t"')
    )
    script(web, "GET", "https://auth.example.com/t", answer)
    with pytest.raises(RegistryError, match=sentence) as raised:
        remote.get_manifest("v1")
    assert "?" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "Negotiate", "Digest realm=x"])
def test_a_401_without_a_usable_challenge_is_told(
    web: Web, remote: RemoteRepository, text: str
) -> None:
    script(web, "GET", f"{API}/manifests/v1", challenge(text))
    with pytest.raises(Unauthorized, match=r"docker login registry\.example\.com"):
        remote.get_manifest("v1")


def test_redirects_that_go_round_end(web: Web, remote: RemoteRepository) -> None:
    again = (302, {"Location": f"/v2/app/blobs/{DIGEST}"}, b"")
    script(web, "GET", f"{API}/blobs/{DIGEST}", *[again] * 20)
    with pytest.raises(RegistryError, match=r"in circles of redirects"):
        list(remote.iter_blob(DESCRIPTOR))


def resumed(second: Answer) -> list[Answer]:
    """A first answer that breaks, by a Content-Length above what follows, and a second one."""
    return [(200, {"Content-Length": str(len(BLOB))}, BLOB[:5000]), second]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(
            (206, {"Content-Range": f"bytes 5000-16383/{len(BLOB)}"}, BLOB[5000:]), id="as asked"
        ),
        pytest.param(
            (206, {"Content-Range": "bytes 4096-16383/*"}, BLOB[4096:]), id="a little earlier"
        ),
        pytest.param((200, {}, BLOB), id="Range ignored: all of it"),
    ],
)
def test_a_download_is_joined_from_what_comes(
    web: Web, remote: RemoteRepository, second: Answer
) -> None:
    asked = script(web, "GET", f"{API}/blobs/{DIGEST}", *resumed(second))
    assert b"".join(remote.iter_blob(DESCRIPTOR)) == BLOB
    assert asked[1][1]["Range"] == "bytes=5000-"


LONG = "9" * 5000
"""More digits than Python reads as a number."""


@pytest.mark.parametrize(
    "content_range",
    [
        "",
        "bytes 6000-16383/16384",
        "pages 1-2/3",
        "bytes -5-16383/16384",
        f"bytes {LONG}-16383/16384",
        f"bytes 0{LONG}-1/1",
        "bytes \u0665-16383/16384",
    ],
    ids=str.strip,
)
def test_another_part_than_was_asked_for_is_refused(
    web: Web, remote: RemoteRepository, content_range: str
) -> None:
    answers = resumed((206, {"Content-Range": content_range}, BLOB[6000:]))
    script(web, "GET", f"{API}/blobs/{DIGEST}", *answers)
    with pytest.raises(RegistryError, match=r"sent another part"):
        list(remote.iter_blob(DESCRIPTOR))


def test_another_blob_in_the_second_half_is_noticed(web: Web, remote: RemoteRepository) -> None:
    answers = [*resumed((200, {}, bytes(len(BLOB)))), (200, {}, bytes(len(BLOB)))]
    script(web, "GET", f"{API}/blobs/{DIGEST}", *answers)
    with pytest.raises(IntegrityError):
        list(remote.iter_blob(DESCRIPTOR))


def test_a_name_that_nobody_knows_is_told(web: Web, remote: RemoteRepository) -> None:
    unknown = socket.gaierror(-2, "Name or service not known")
    error = NameResolutionError(HOST, HTTPSConnection(HOST), unknown)
    error.__cause__ = unknown
    script(web, "GET", f"{API}/manifests/v1", *[error] * 9)
    with pytest.raises(Unreachable, match=rf"cannot reach {HOST}: the name is not known"):
        remote.get_manifest("v1")


NO_SIZES: dict[str, str] = {
    "thousands of digits": LONG,
    "Arabic digits": "\u0665",
    "negative": "-5",
    "an underscore": "1_0",
    "words": "many",
    "nothing": "",
}


@pytest.mark.parametrize("size", NO_SIZES.values(), ids=NO_SIZES)
def test_a_head_without_a_size_that_can_be_read_is_followed_by_a_get(
    web: Web, remote: RemoteRepository, size: str
) -> None:
    fields = {"Content-Length": size, "Docker-Content-Digest": digest_of(b"{}")}
    script(web, "HEAD", f"{API}/manifests/v1", (200, fields, b""))
    script(web, "GET", f"{API}/manifests/v1", (200, {}, b"{}"))
    found = remote.find_manifest("v1")
    assert found is not None
    assert found.size == 2
    script(web, "HEAD", f"{API}/blobs/{DIGEST}", (200, {"Content-Length": size}, b""))
    script(web, "GET", f"{API}/blobs/{DIGEST}", (200, {}, BLOB))
    assert remote.find_blob(DIGEST) == len(BLOB)


@pytest.mark.parametrize("least", [*NO_SIZES.values(), "0", "5000"])
def test_a_least_chunk_is_understood_or_ignored(
    web: Web, remote: RemoteRepository, least: str
) -> None:
    fields = {"Location": "/up/1", "OCI-Chunk-Min-Length": least}
    script(web, "POST", f"{API}/blobs/uploads/", (202, fields, b""))
    script(web, "PATCH", f"https://{HOST}/up/1", (202, {"Range": "0-16383"}, b""))
    script(web, "PUT", f"https://{HOST}/up/1", (201, {}, b""))
    assert remote.upload_blob([BLOB]) == (DIGEST, len(BLOB))


@pytest.mark.parametrize("least", ["99999999999", "9" * 18])
def test_a_least_chunk_beyond_memory_leads_to_a_stream(
    web: Web, remote: RemoteRepository, least: str
) -> None:
    fields = {"Location": "/up/1", "OCI-Chunk-Min-Length": least}
    script(web, "POST", f"{API}/blobs/uploads/", (202, fields, b""))
    patched = script(web, "PATCH", f"https://{HOST}/up/1", (202, {}, b""))
    script(web, "PUT", f"https://{HOST}/up/1", (201, {}, b""))
    remote.upload_blob([BLOB])
    assert "Content-Range" not in patched[0][1]


@pytest.mark.parametrize("held", [f"0-{LONG}", "0-\u0665", "0--5", "bytes=0-x", "1-5", LONG])
def test_a_range_that_cannot_be_read_says_nothing(
    web: Web, remote: RemoteRepository, held: str
) -> None:
    begin(web)
    script(web, "PATCH", f"https://{HOST}/up/1", (202, {"Range": held}, b""))
    script(web, "PUT", f"https://{HOST}/up/1", (201, {}, b""))
    assert remote.upload_blob([BLOB]) == (DIGEST, len(BLOB))


WRONG_PLACES = ["http://[", "//[", "https://b.example.com:99999/", "https://a b/", "//", "ftp://a/"]


@pytest.mark.parametrize("location", WRONG_PLACES)
def test_an_upload_does_not_follow_any_location(
    web: Web, remote: RemoteRepository, location: str
) -> None:
    begin(web, location)
    with pytest.raises(RegistryError, match=rf"{HOST} points to '.*' in its Location header"):
        remote.upload_blob([BLOB])


@pytest.mark.parametrize("location", WRONG_PLACES)
def test_a_session_that_moves_to_nowhere_is_given_up(
    web: Web, remote: RemoteRepository, location: str
) -> None:
    begin(web)
    script(web, "PATCH", f"https://{HOST}/up/1", (202, {"Location": location}, b""))
    cancelled = script(web, "DELETE", f"https://{HOST}/up/1", (204, {}, b""))
    with pytest.raises(RegistryError, match=rf"{HOST} points to '.*' in its Location header"):
        remote.upload_blob([BLOB])
    assert len(cancelled) == 1


@pytest.mark.parametrize("location", WRONG_PLACES)
def test_a_realm_is_a_web_address(web: Web, remote: RemoteRepository, location: str) -> None:
    script(web, "GET", f"{API}/manifests/v1", challenge(f'Bearer realm="{location}"'))
    with pytest.raises(RegistryError, match=rf"{HOST} points to '.*' in its WWW-Authenticate"):
        remote.get_manifest("v1")


NO_DIGESTS = ["", "nonsense", "sha256:", "sha256:" + "x" * 64, "sha256:" + "a" * 63, "a" * 60_000]


@pytest.mark.parametrize("stated", NO_DIGESTS[1:])
def test_a_digest_header_that_is_none_is_told(
    web: Web, remote: RemoteRepository, stated: str
) -> None:
    script(web, "GET", f"{API}/manifests/v1", (200, {"Docker-Content-Digest": stated}, b"{}"))
    with pytest.raises(FormatError, match=rf"the manifest v1 of {HOST}/app came with") as raised:
        remote.get_manifest("v1")
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("kind", ["x" * 256, "a/b\x1b[2J", "a/b\xe9"])
def test_a_content_type_that_is_none_is_left_out(
    web: Web, remote: RemoteRepository, kind: str
) -> None:
    script(web, "GET", f"{API}/manifests/v1", (200, {"Content-Type": kind}, b"{}"))
    assert remote.get_manifest("v1").media_type == ""


@pytest.mark.parametrize(
    "headers",
    [["Basic", 'Bearer realm="https://{host}/t"'], ['Bearer realm="https://{host}/t"', "Basic"]],
    ids=["Basic first", "Bearer first"],
)
def test_challenges_in_several_headers_all_count(
    web: Web, remote: RemoteRepository, headers: list[str]
) -> None:
    """A dict made from items() would keep only the last header of a name."""
    fields = HTTPHeaderDict()
    for header in headers:
        fields.add("WWW-Authenticate", header.format(host=HOST))
    script(web, "GET", f"{API}/manifests/v1", (401, fields, b""), (200, {}, b"{}"))
    fetched = script(web, "GET", f"https://{HOST}/t", (200, {}, b'{"token": "t"}'))
    remote.get_manifest("v1")
    assert len(fetched) == 1


def test_a_registry_that_takes_a_byte_at_a_time_is_given_up(
    web: Web, remote: RemoteRepository
) -> None:
    begin(web)
    answers: list[Answer | Exception] = [
        (202, {"Range": f"0-{last}"}, b"") for last in range(1, len(BLOB))
    ]
    patched = script(web, "PATCH", f"https://{HOST}/up/1", *answers)
    script(web, "DELETE", f"https://{HOST}/up/1", (204, {}, b""))
    with pytest.raises(RegistryError, match="in ever smaller parts"):
        remote.upload_blob([BLOB])
    assert len(patched) == 65


def test_a_blob_without_end_is_not_read_to_learn_its_size(
    web: Web, remote: RemoteRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "_MOST_COUNTED", 10_000)
    script(web, "HEAD", f"{API}/blobs/{DIGEST}", (405, {}, b""))
    script(web, "GET", f"{API}/blobs/{DIGEST}", (200, {}, BLOB))
    with pytest.raises(RegistryError, match=rf"does not say how large the blob {DIGEST}"):
        remote.find_blob(DIGEST)
