"""Lists are read whole, or not at all: tags, repositories, referrers, artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import Denied, FormatError, NotFound, RegistryError, ServerFault
from squashproxy.oci import mediatypes
from squashproxy.reference import Repository
from squashproxy.registry import name_lists as names_module
from squashproxy.registry import paging as pages_module
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions
from tests.registry.scripted import Answer, scripted

Connect = Callable[..., RegistryClient]
DIGEST = digest_of(b"an image")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of list: its first path, what all hold, its key, how it is read, and an entry of it.

    `where` is what errors call it.
    """

    first: str
    path: str
    key: str
    read: Callable[[RegistryClient, str], Iterator[str]]
    entry: Callable[[str], Any]
    where: str

    def page(self, *names: str) -> bytes:
        entries = [self.entry(name) for name in names]
        return json.dumps(entries if not self.key else {self.key: entries}).encode()


def descriptor(name: str) -> dict[str, Any]:
    return {"mediaType": mediatypes.OCI_MANIFEST, "digest": digest_of(name.encode()), "size": 1}


def found(name: str) -> str:
    return digest_of(name.encode())


def read_tags(client: RegistryClient, host: str) -> Iterator[str]:
    return client.repository(Repository(host, "app")).iter_tags()


def read_tag_list(client: RegistryClient, host: str) -> Iterator[str]:
    return iter(client.repository(Repository(host, "app")).list_tags().tags)


def read_referrers(client: RegistryClient, host: str) -> Iterator[str]:
    listed = client.repository(Repository(host, "app")).list_referrers(DIGEST)
    assert listed is not None
    return (each.digest for each in listed)


def read_artifacts(client: RegistryClient, host: str) -> Iterator[str]:
    listed = client.repository(Repository(host, "team/app")).iter_harbor_artifacts()
    return (each.digest for each in listed)


KINDS = {
    "tags": Kind(
        "/v2/app/tags/list?n=1000",
        "/tags/list",
        "tags",
        read_tags,
        str,
        "the list of tags of {host}/app",
    ),
    "tags with manifests": Kind(
        "/v2/app/tags/list?n=1000",
        "/tags/list",
        "tags",
        read_tag_list,
        str,
        "the list of tags of {host}/app",
    ),
    "repositories": Kind(
        "/v2/_catalog?n=1000",
        "/_catalog",
        "repositories",
        RegistryClient.iter_repositories,
        str,
        "the list of repositories of {host}",
    ),
    "referrers": Kind(
        f"/v2/app/referrers/{DIGEST}",
        "/referrers/",
        "manifests",
        read_referrers,
        descriptor,
        f"the list of referrers of {DIGEST} in {{host}}/app",
    ),
    "artifacts": Kind(
        "/api/v2.0/projects/team/repositories/app/artifacts?page_size=100",
        "/artifacts",
        "",
        read_artifacts,
        lambda name: {"digest": found(name)},
        "the list of artifacts of {host}/team/app",
    ),
}
OBJECTS = {name: kind for name, kind in KINDS.items() if kind.key}
NAMES = {name: kind for name, kind in KINDS.items() if kind.entry is str}

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
objects = pytest.mark.parametrize("kind", OBJECTS.values(), ids=OBJECTS)
names = pytest.mark.parametrize("kind", NAMES.values(), ids=NAMES)


def answer(registry: FakeRegistry, kind: Kind, body: bytes, link: str | None = None) -> None:
    """The next answer for this list; when all that were given are used up, it is a 404."""
    headers = () if link is None else (("Link", link),)
    fault = Fault("GET", kind.path, FaultKind.ANSWER, status=200, headers=headers, body=body)
    registry.arm(fault)


def next_page(number: int) -> str:
    return f'<?page={number}>; rel="next"'


def expected(kind: Kind, *listed: str) -> list[str]:
    return list(listed) if kind.entry is str else [found(name) for name in listed]


@kinds
def test_an_empty_page_is_not_the_end(client: RegistryClient, kind: Kind) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a", "b"), next_page(2))
        answer(registry, kind, kind.page(), next_page(3))
        answer(registry, kind, kind.page(), next_page(4))
        answer(registry, kind, kind.page("keep1"))
        assert list(kind.read(client, registry.host)) == expected(kind, "a", "b", "keep1")


@names
def test_a_page_that_came_before_is_not_the_end(client: RegistryClient, kind: Kind) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a", "b"), next_page(2))
        answer(registry, kind, kind.page("a", "b"), next_page(3))
        answer(registry, kind, kind.page("b", "keep1"))
        assert list(kind.read(client, registry.host)) == ["a", "b", "keep1"]


CIRCLES: dict[str, list[str]] = {
    "a page that names itself": ["<>; rel=next"],
    "a page behind that names itself": [next_page(2), next_page(2)],
    "the first page again, by its path": [next_page(2), "<{first}>; rel=next"],
    "two pages that name each other": [next_page(2), next_page(3), next_page(2)],
}


@kinds
@pytest.mark.parametrize("links", CIRCLES.values(), ids=CIRCLES)
def test_a_list_that_leads_in_circles_is_an_error(
    client: RegistryClient, kind: Kind, links: list[str]
) -> None:
    with FakeRegistry() as registry:
        for number, link in enumerate(links):
            answer(registry, kind, kind.page(f"name{number}"), link.format(first=kind.first))
        with pytest.raises(FormatError, match="leads in circles") as raised:
            list(kind.read(client, registry.host))
        assert kind.where.format(host=registry.host) in str(raised.value)
        assert len(registry.requests) == len(links)


NO_LISTS: dict[str, bytes] = {
    "nothing in it": b"{}",
    "another key": b'{"names": ["a"]}',
    "errors": b'{"errors": [{"code": "UNKNOWN", "message": "the disk is gone"}]}',
    "a number": b'{"KEY": 0}',
    "a text": b'{"KEY": "abc"}',
    "true": b'{"KEY": true}',
    "a mapping": b'{"KEY": {"a": 1}}',
    "numbers in it": b'{"KEY": [1, 2]}',
    "null in it": b'{"KEY": [null]}',
    "lists in it": b'{"KEY": [["a"]]}',
    "a list": b'["a"]',
    "a text alone": b'"abc"',
    "null alone": b"null",
    "nothing": b"",
    "a web page": b"<html><title>Sign in</title></html>",
    "a JSON that is cut": b'{"KEY": ["a", "b"',
    "an error beside null": b'{"KEY": null, "errors": [{"code": "UNKNOWN"}]}',
    "an error beside a list": b'{"KEY": [], "errors": ["busy"]}',
    "no text": b'{"KEY": ["\xff\xfe"]}',
    "a damaged mark": b'zz"KEY": ["a", "b"]}',
    "a damaged name": b'{"KEY: ["a", "b"]}',
    "nested deeply": b'{"KEY": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number of thousands of digits": b'{"KEY": [' + b"1" * 5000 + b"]}",
}

DAMAGED = {
    name: NO_LISTS[name]
    for name in ("nothing", "a JSON that is cut", "no text", "a damaged mark", "a damaged name")
}


@objects
@pytest.mark.parametrize("body", NO_LISTS.values(), ids=NO_LISTS)
@pytest.mark.parametrize("number", [1, 2], ids=["first page", "second page"])
def test_a_page_without_a_list_is_an_error(
    client: RegistryClient, kind: Kind, body: bytes, number: int
) -> None:
    with FakeRegistry() as registry:
        if number == 2:
            answer(registry, kind, kind.page("a"), next_page(2))
        answer(registry, kind, body.replace(b"KEY", kind.key.encode()))
        if body in DAMAGED.values():
            answer(registry, kind, body.replace(b"KEY", kind.key.encode()))
        with pytest.raises(FormatError) as raised:
            list(kind.read(client, registry.host))
        assert kind.where.format(host=registry.host) in str(raised.value)
        assert len(registry.requests) == number + (body in DAMAGED.values())


@objects
@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("number", [1, 2], ids=["first page", "second page"])
def test_a_page_that_is_cut_or_damaged_is_asked_for_once_more(
    client: RegistryClient, kind: Kind, body: bytes, number: int
) -> None:
    with FakeRegistry() as registry:
        if number == 2:
            answer(registry, kind, kind.page("a"), next_page(2))
        answer(registry, kind, body.replace(b"KEY", kind.key.encode()))
        answer(registry, kind, kind.page("b"))
        answer(registry, kind, kind.page())
        assert len(list(kind.read(client, registry.host))) == number


NO_ARTIFACTS: dict[str, bytes] = {
    "a mapping": b'{"errors": [{"code": "UNKNOWN"}]}',
    "null": b"null",
    "texts": b'["a"]',
    "no digest": b"[{}]",
    "another digest": b'[{"digest": 5}]',
    "a long digest": b'[{"digest": "' + b"x" * 100_000 + b'"}]',
    "not JSON": b"<html>",
}


@pytest.mark.parametrize("body", NO_ARTIFACTS.values(), ids=NO_ARTIFACTS)
def test_artifacts_that_are_none_are_an_error(client: RegistryClient, body: bytes) -> None:
    kind = KINDS["artifacts"]
    with FakeRegistry() as registry:
        answer(registry, kind, body)
        with pytest.raises(FormatError, match="the list of artifacts of") as raised:
            list(kind.read(client, registry.host))
        assert len(str(raised.value)) < 500


def test_dates_of_artifacts_are_texts_that_may_be_dates(client: RegistryClient) -> None:
    kind = KINDS["artifacts"]
    fields = [
        {"digest": found("a"), "push_time": 5, "pull_time": ["x"]},
        {"digest": found("b"), "push_time": "x" * 65, "pull_time": None},
        {"digest": found("c"), "push_time": "2026-01-02T03:04:05Z"},
    ]
    with FakeRegistry() as registry:
        answer(registry, kind, json.dumps(fields).encode())
        remote = client.repository(Repository(registry.host, "team/app"))
        told = [(each.pushed, each.pulled) for each in remote.iter_harbor_artifacts()]
        assert told == [(None, None), (None, None), ("2026-01-02T03:04:05Z", None)]


@objects
def test_null_is_an_empty_list(client: RegistryClient, kind: Kind) -> None:
    """Go writes a slice without elements so."""
    with FakeRegistry() as registry:
        answer(registry, kind, f'{{"{kind.key}": null}}'.encode())
        assert list(kind.read(client, registry.host)) == []
        assert len(registry.requests) == 1


def test_what_a_registry_says_in_place_of_a_list_is_told(client: RegistryClient) -> None:
    kind = KINDS["tags"]
    with FakeRegistry() as registry:
        answer(registry, kind, NO_LISTS["errors"])
        with pytest.raises(FormatError, match=r"without 'tags': unknown: the disk is gone; see"):
            list(kind.read(client, registry.host))


LINKS: dict[str, str] = {
    "no brackets": "/v2/app/tags/list?last=b; rel=next",
    "a quote that is not closed": '</v2/app/tags/list?last=b>; rel="next',
    "no rel": "</v2/app/tags/list?last=b>",
    "two next pages": "</x>; rel=next, </y>; rel=next",
}


@kinds
@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_link_that_cannot_be_read_is_an_error(
    client: RegistryClient, kind: Kind, link: str
) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a"), link)
        with pytest.raises(FormatError, match="Link header that cannot be read") as raised:
            list(kind.read(client, registry.host))
        assert kind.where.format(host=registry.host) in str(raised.value)


@kinds
@pytest.mark.parametrize(
    "target", ["http://[", "//[", "//a:99999/", "//a:abc/", "//a b/", "x" * 9000]
)
def test_a_link_to_nowhere_is_an_error(client: RegistryClient, kind: Kind, target: str) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a"), f"<{target}>; rel=next")
        with pytest.raises(RegistryError, match="in its Link header, which is no web address"):
            list(kind.read(client, registry.host))


def test_a_link_to_another_scheme_is_not_taken_for_a_refusal(client: RegistryClient) -> None:
    with FakeRegistry() as registry:
        answer(registry, KINDS["repositories"], b'{"repositories": ["a"]}', "<ftp://a/>; rel=next")
        with pytest.raises(Denied, match="in its Link header"):
            list(client.iter_repositories(registry.host))


@kinds
def test_a_next_page_that_is_not_there_is_an_error(client: RegistryClient, kind: Kind) -> None:
    """And not one of those that say that there is no such repository, or no list."""
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a"), next_page(2))
        registry.arm(Fault("GET", kind.path, status=404))
        with pytest.raises(RegistryError, match="is cut short: the next page") as raised:
            list(kind.read(client, registry.host))
        assert not isinstance(raised.value, NotFound)


def put(registry: FakeRegistry, repo: str, *tags: str) -> None:
    for tag in tags:
        registry.put_manifest(repo, tag, b"{}", mediatypes.OCI_MANIFEST)


def last_asked(registry: FakeRegistry) -> list[str]:
    return [each.path.partition("last=")[2] for each in registry.requests]


@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_a_list_that_is_cut_without_a_link_is_gone_on_with(
    client: RegistryClient, size: int
) -> None:
    """The registry names no next page; asking for names after the last one finds it."""
    with FakeRegistry(RegistryOptions(page_size=size, links=False)) as registry:
        put(registry, "app", *[f"v{number}" for number in range(7)])
        for number in range(6):
            put(registry, f"app{number}", "v1")
        assert list(read_tags(client, registry.host)) == [f"v{number}" for number in range(7)]
        assert len(registry.requests) == -(-7 // size) + 1
        assert last_asked(registry)[-1] == "v6"
        listed = list(client.iter_repositories(registry.host))
        assert listed == ["app", *[f"app{number}" for number in range(6)]]


def test_a_registry_that_ignores_last_sends_nothing_new(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(page_size=2, last=False)) as registry:
        put(registry, "app", "a", "b", "c")
        assert list(read_tags(client, registry.host)) == ["a", "b", "c"]
        assert last_asked(registry) == ["", "c"]


def test_one_that_ignores_last_and_knows_pages_is_read_once(client: RegistryClient) -> None:
    """Quay's way: Link names the next page by a token, and `last` is not known."""
    pages = {1: ["a", "b"], 2: ["c", "d"], 3: ["e"]}

    def answer_page(path: str) -> Answer:
        number = int(path.partition("token=")[2] or 1)
        link = {"Link": f"</v2/app/tags/list?token={number + 1}>; rel=next"} if number < 3 else {}
        return 200, link, json.dumps({"tags": pages[number]}).encode()

    with scripted(answer_page) as server:
        assert list(read_tags(client, server.host)) == ["a", "b", "c", "d", "e"]
        assert [path.partition("?")[2] for path in server.asked] == [
            "n=1000",
            "token=2",
            "token=3",
            "n=1000&last=e",
        ]


def test_pages_behind_the_last_name_are_followed_even_if_the_first_is_known(
    client: RegistryClient,
) -> None:
    """This one begins with the last name itself, and has one name a page."""

    def answer_page(path: str) -> Answer:
        last = path.partition("last=")[2]
        if not last:
            return 200, {}, b'{"tags": ["a"]}'
        following = chr(ord(last[0]) + 1) if "x=" in path else last
        link = {"Link": f"</v2/app/tags/list?x=1&last={following}>; rel=next"}
        return 200, link if following < "c" else {}, json.dumps({"tags": [following]}).encode()

    with scripted(answer_page) as server:
        assert list(read_tags(client, server.host)) == ["a", "b", "c"]


def test_a_tag_that_came_meanwhile_does_not_lead_in_circles(client: RegistryClient) -> None:
    """It is on the first page again, whose next page was read already."""
    firsts = iter([["b"], ["a", "b"], ["a", "b"]])

    def answer_page(path: str) -> Answer:
        if "token=2" in path:
            return 200, {}, b'{"tags": ["c"]}'
        link = {"Link": "</v2/app/tags/list?token=2>; rel=next"}
        return 200, link, json.dumps({"tags": next(firsts)}).encode()

    with scripted(answer_page) as server:
        assert list(read_tags(client, server.host)) == ["b", "c", "a"]
        assert len(server.asked) == 4


@names
@pytest.mark.parametrize("status", [400, 404, 405, 422, 501])
def test_a_refusal_of_last_leaves_the_list_as_it_is(
    client: RegistryClient, kind: Kind, status: int
) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a", "b"))
        registry.arm(Fault("GET", "last=b", status=status))
        assert list(kind.read(client, registry.host)) == ["a", "b"]


@names
def test_an_answer_that_fails_leaves_no_list(connect: Connect, kind: Kind) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a", "b"))
        registry.arm(Fault("GET", "last=b", status=500, times=100))
        with pytest.raises(ServerFault):
            list(kind.read(connect(), registry.host))


@names
def test_an_empty_list_needs_no_question(client: RegistryClient, kind: Kind) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page())
        assert list(kind.read(client, registry.host)) == []
        assert len(registry.requests) == 1


@names
def test_a_page_that_was_asked_for_already_needs_no_question(
    client: RegistryClient, kind: Kind
) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a", "b"), "<?n=1000&last=b>; rel=next")
        answer(registry, kind, kind.page())
        assert list(kind.read(client, registry.host)) == ["a", "b"]
        assert len(registry.requests) == 2


def test_the_last_name_is_quoted_whatever_it_is(client: RegistryClient) -> None:
    kind = KINDS["repositories"]
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a&n=1#x?/../é\n"))
        assert list(kind.read(client, registry.host)) == ["a&n=1#x?/../é\n"]
        assert last_asked(registry)[-1] == "a%26n%3D1%23x%3F%2F..%2F%C3%A9%0A"


def test_a_size_that_is_refused_is_left_out(client: RegistryClient) -> None:
    """distribution answers 400 to an `n` above its catalog.maxentries (issue 26)."""
    with FakeRegistry(RegistryOptions(page_size=2, most_asked=100)) as registry:
        put(registry, "app", "a", "b", "c")
        put(registry, "other", "a")
        put(registry, "third", "a")
        assert list(client.iter_repositories(registry.host)) == ["app", "other", "third"]
        assert list(read_tags(client, registry.host)) == ["a", "b", "c"]
        refused = [each.path for each in registry.requests if each.status == 400]
        assert refused == ["/v2/_catalog?n=1000", "/v2/app/tags/list?n=1000"]


def test_a_refusal_that_stays_is_told(client: RegistryClient) -> None:
    with FakeRegistry() as registry:
        registry.arm(Fault("GET", "/tags/list", status=400, times=2))
        with pytest.raises(RegistryError, match="refused the list of tags of app"):
            list(read_tags(client, registry.host))
        assert len(registry.requests) == 2


@kinds
def test_pages_are_bounded(
    client: RegistryClient, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_module, "MOST_PAGES", 20)

    def answer_page(path: str) -> Answer:
        number = int(path.partition("page=")[2] or 0)
        return 200, {"Link": next_page(number + 1)}, kind.page()

    with scripted(answer_page) as server:
        with pytest.raises(FormatError, match=r"has more than 20 pages"):
            list(kind.read(client, server.host))
        assert len(server.asked) == 20


@names
def test_names_are_bounded(
    client: RegistryClient, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_module, "MOST_NAMES", 100)

    def answer_page(path: str) -> Answer:
        number = int(path.partition("page=")[2] or 0)
        listed = [f"name{number * 10 + each}" for each in range(10)]
        return 200, {"Link": next_page(number + 1)}, kind.page(*listed)

    with scripted(answer_page) as server:
        with pytest.raises(FormatError, match=r"has more than 100 names"):
            list(kind.read(client, server.host))
        assert len(server.asked) == 11


@names
def test_bytes_of_names_are_bounded(
    client: RegistryClient, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_module, "MOST_NAME_BYTES", 10_000)
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page(*[f"name{each}" for each in range(200)]))
        with pytest.raises(FormatError, match=r"has more than 10000 bytes of names"):
            list(kind.read(client, registry.host))


@names
def test_a_name_is_bounded(client: RegistryClient, kind: Kind) -> None:
    with FakeRegistry() as registry:
        answer(registry, kind, kind.page("a" * 1025))
        with pytest.raises(FormatError, match=r"holds a name of more than 1024 characters"):
            list(kind.read(client, registry.host))


@pytest.mark.parametrize("name", ["referrers", "artifacts"])
def test_entries_are_bounded(
    client: RegistryClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_module, "MOST_ENTRIES", 15)
    kind = KINDS[name]

    def answer_page(path: str) -> Answer:
        number = int(path.partition("page=")[2] or 0)
        listed = [f"{number}-{each}" for each in range(10)]
        return 200, {"Link": next_page(number + 1)}, kind.page(*listed)

    with scripted(answer_page) as server:
        with pytest.raises(FormatError, match=r"has more than 15 entries"):
            list(kind.read(client, server.host))
        assert len(server.asked) == 2


def test_bytes_of_referrers_are_bounded(client: RegistryClient) -> None:
    """Each page may be as large as a manifest, and there may be as many as there are pages."""
    kind = KINDS["referrers"]
    filler = "x" * (3 << 20)

    def answer_page(path: str) -> Answer:
        number = int(path.partition("page=")[2] or 0)
        entry = {**descriptor(str(number)), "annotations": {"filler": filler}}
        return 200, {"Link": next_page(number + 1)}, json.dumps({"manifests": [entry]}).encode()

    with scripted(answer_page) as server:
        with pytest.raises(FormatError, match=r"has more than 16777216 bytes"):
            list(kind.read(client, server.host))
        assert len(server.asked) == 6


LARGE: dict[str, tuple[bytes, str]] = {
    "bytes": (b'{"tags": ["' + b"a" * (33 << 20) + b'"]}', "a page of more than 33554432 bytes"),
    "bytes of blanks": (b" " * (33 << 20), "a page of more than 33554432 bytes"),
    "wide characters": (
        b'{"tags": ["\xf0\x9f\x98\x80' + b"a" * (9 << 20) + b'"]}',
        "a page of more than 8388608 bytes",
    ),
    "escaped wide characters": (
        b'{"tags": ["\\ud83d\\ude00' + b"a" * (9 << 20) + b'"]}',
        "a page of more than 8388608 bytes",
    ),
    "names": (b'{"tags": [' + b'"ab",' * 1_010_001 + b'"c"]}', "more than 1010000 values"),
    "lists": (b'{"tags": [' + b"[]," * 505_001 + b"[]]}", "more than 1010000 values"),
    "mappings": (b'{"x": [' + b"{}," * 505_001 + b"{}]}", "more than 1010000 values"),
}


@pytest.mark.parametrize(("body", "sentence"), LARGE.values(), ids=LARGE)
def test_a_page_that_would_take_too_much_memory_is_not_read(
    client: RegistryClient, body: bytes, sentence: str
) -> None:
    with FakeRegistry() as registry:
        answer(registry, KINDS["tags"], body)
        with pytest.raises(FormatError, match=sentence):
            list(read_tags(client, registry.host))


def test_a_million_names_may_stand_on_one_page(client: RegistryClient) -> None:
    body = b'{"tags": [' + b",".join(b'"t%d"' % number for number in range(1_000_000)) + b"]}"
    with FakeRegistry() as registry:
        answer(registry, KINDS["tags"], body)
        assert sum(1 for _ in read_tags(client, registry.host)) == 1_000_000
