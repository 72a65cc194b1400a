"""Names that a registry lists never lead a request to another place."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import FakeRegistry, Fault, FaultKind

RAW = RawManifest(b"{}", mediatypes.OCI_MANIFEST)

NO_TAGS: dict[str, str] = {
    "a way out": "../../other/manifests/keep",
    "a way out, escaped": "..%2f..%2fother%2fmanifests%2fkeep",
    "a folder": "a/b",
    "a query": "v1?x=1",
    "a fragment": "v1#x",
    "nothing": "",
    "a dot": ".",
    "a dash before": "-v1",
    "200 letters": "a" * 200,
    "a blank": "v 1",
    "a line feed": "v1\n",
    "a header": "v1 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "NUL": "v1\0",
    "ESC": "\x1b[2Jv1",
    "C1": "\x9b2J",
    "right to left": "v\u202e1",
    "letters beyond ASCII": "vé",
    "half a surrogate pair": "v\ud800",
    "a short digest": "sha256:abc",
    "a digest of another kind": "md5:" + "a" * 32,
    "a digest and more": digest_of(b"x") + "/../keep",
}


def answer_tags(registry: FakeRegistry, *names: str, **fields: object) -> None:
    body = json.dumps({"tags": names, **fields}).encode()
    registry.arm(Fault("GET", "/tags/list", FaultKind.ANSWER, status=200, body=body))


@pytest.mark.parametrize("name", NO_TAGS.values(), ids=NO_TAGS)
def test_a_list_that_holds_what_is_no_tag_is_an_error(client: RegistryClient, name: str) -> None:
    with FakeRegistry() as registry:
        remote = client.repository(Repository(registry.host, "app"))
        for read in (lambda: list(remote.iter_tags()), remote.list_tags):
            answer_tags(registry, "keep", name)
            with pytest.raises(FormatError, match="which is no tag") as raised:
                read()
            sentence = str(raised.value)
            assert f"the list of tags of {registry.host}/app holds" in sentence
            assert sentence.isprintable()
            assert len(sentence) < 500


@pytest.mark.parametrize("tag", [*NO_TAGS.values(), 5, None, ["a"], {}])
def test_tags_beside_manifests_are_checked_as_well(client: RegistryClient, tag: object) -> None:
    with FakeRegistry() as registry:
        answer_tags(registry, "keep", manifest={digest_of(b"x"): {"tag": ["keep", tag]}})
        with pytest.raises(FormatError, match="which is no tag"):
            client.repository(Repository(registry.host, "app")).list_tags()


@pytest.mark.parametrize("name", NO_TAGS.values(), ids=NO_TAGS)
def test_listed_names_that_are_only_shown_come_all(client: RegistryClient, name: str) -> None:
    with FakeRegistry() as registry:
        answer_tags(registry, "keep", name, "v2")
        remote = client.repository(Repository(registry.host, "app"))
        assert list(remote.iter_listed_names()) == ["keep", name, "v2"]


ASKING: dict[str, Callable[[RemoteRepository, str], object]] = {
    "found": lambda remote, name: remote.find_manifest(name),
    "read": lambda remote, name: remote.get_manifest(name),
    "written": lambda remote, name: remote.put_manifest(RAW, name),
    "deleted": lambda remote, name: remote.delete_manifest(name),
    "deleted in Harbor": lambda remote, name: remote.delete_harbor_tag(name),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("name", NO_TAGS.values(), ids=NO_TAGS)
def test_nothing_is_asked_by_what_is_neither_tag_nor_digest(
    client: RegistryClient, ask: Callable[[RemoteRepository, str], object], name: str
) -> None:
    with FakeRegistry() as registry:
        remote = client.repository(Repository(registry.host, "app"))
        with pytest.raises(FormatError, match=r"is neither a tag nor a digest|is not a sha256"):
            ask(remote, name)
        assert registry.requests == ()


NO_PATHS = [
    "../x",
    "a/../b",
    "App",
    "",
    "a//b",
    "/a",
    "a/",
    "a" * 256,
    "a b",
    "a\n",
    "a?x",
    "é",
    "a%2fb",
]


@pytest.mark.parametrize("path", NO_PATHS)
def test_no_repository_is_asked_by_what_is_no_name(client: RegistryClient, path: str) -> None:
    with pytest.raises(FormatError, match="is no name of a repository"):
        client.repository(Repository("registry.example.com", path))


UPLOADED: dict[str, tuple[object, float | None]] = {
    "milliseconds": ("1760000000123", 1760000000.123),
    "a number": (1760000000123, 1760000000.123),
    "no date": ("0", None),
    "nothing": ("", None),
    "null": (None, None),
    "negative": ("-1", None),
    "thousands of digits": ("1" * 5000, None),
    "Arabic digits": ("٣٣٣", None),
    "a fraction": (1.5, None),
    "true": (True, None),
    "after the year 9999": ("253402300800000", None),
    "a list": ([1], None),
}


@pytest.mark.parametrize(("value", "seconds"), UPLOADED.values(), ids=UPLOADED)
def test_dates_beside_tags_are_read_or_left_out(
    client: RegistryClient, value: object, seconds: float | None
) -> None:
    digest: Digest = digest_of(b"x")
    with FakeRegistry() as registry:
        answer_tags(registry, "v1", manifest={digest: {"tag": ["v1"], "timeUploadedMs": value}})
        (listed,) = client.repository(Repository(registry.host, "app")).list_tags().manifests
        assert (listed.digest, listed.tags, listed.uploaded) == (digest, ("v1",), seconds)


@pytest.mark.parametrize("manifest", [[], "x", 5, None, {"x": {}}, {digest_of(b"x"): 5}])
def test_manifests_that_are_none_are_left_out(client: RegistryClient, manifest: object) -> None:
    with FakeRegistry() as registry:
        answer_tags(registry, "v1", manifest=manifest)
        listed = client.repository(Repository(registry.host, "app")).list_tags()
        assert (listed.tags, listed.manifests) == (("v1",), ())
