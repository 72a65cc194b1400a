"""References as docker reads them, and a sentence for those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import BadReference
from squashproxy.reference import (
    Reference,
    Repository,
    check_tag,
    parse_reference,
    parse_repository,
)

DIGEST = "sha256:" + "ab" * 32
SHA512 = "sha512:" + "cd" * 64
HUB = "docker.io"


@pytest.mark.parametrize(
    ("text", "host", "path", "tag"),
    [
        pytest.param("debian", HUB, "library/debian", "latest", id="a name"),
        pytest.param("debian:12", HUB, "library/debian", "12", id="a name and a tag"),
        pytest.param("ann/app", HUB, "ann/app", "latest", id="a name of Docker Hub's"),
        pytest.param("a/b/c:1", HUB, "a/b/c", "1", id="three parts, no host"),
        pytest.param("library/debian", HUB, "library/debian", "latest", id="library is there"),
        pytest.param("docker.io/debian", HUB, "library/debian", "latest", id="docker.io"),
        pytest.param("docker.io/ann/app", HUB, "ann/app", "latest", id="docker.io and a user"),
        pytest.param("index.docker.io/debian", HUB, "library/debian", "latest", id="the index"),
        pytest.param(
            "registry-1.docker.io/ann/app:1", HUB, "ann/app", "1", id="Docker Hub's registry"
        ),
        pytest.param("docker://debian:12", HUB, "library/debian", "12", id="docker://"),
        pytest.param("docker://h.io/app", "h.io", "app", "latest", id="docker:// and a host"),
        pytest.param("h.io/app", "h.io", "app", "latest", id="a dot makes a host"),
        pytest.param("h.io/a/b/c/d:v", "h.io", "a/b/c/d", "v", id="a deep path"),
        pytest.param("h.io:5000/app", "h.io:5000", "app", "latest", id="a port"),
        pytest.param("h.io:5000/app:1", "h.io:5000", "app", "1", id="a port and a tag"),
        pytest.param("host:5000/app", "host:5000", "app", "latest", id="a port makes a host"),
        pytest.param("host:5000", HUB, "library/host", "5000", id="no slash, so a tag"),
        pytest.param("localhost/app", "localhost", "app", "latest", id="localhost"),
        pytest.param("localhost:5000/a/b:1", "localhost:5000", "a/b", "1", id="localhost, port"),
        pytest.param("localhost", HUB, "library/localhost", "latest", id="localhost, no slash"),
        pytest.param("local/app", HUB, "local/app", "latest", id="no host: no dot, no port"),
        pytest.param("127.0.0.1:5000/app", "127.0.0.1:5000", "app", "latest", id="IPv4"),
        pytest.param("[::1]/app", "[::1]", "app", "latest", id="IPv6"),
        pytest.param("[::1]:5000/app:1", "[::1]:5000", "app", "1", id="IPv6, port and tag"),
        pytest.param("[2001:DB8::1]/a/b", "[2001:DB8::1]", "a/b", "latest", id="IPv6, capitals"),
        pytest.param("HOST/app", "HOST", "app", "latest", id="capitals make a host"),
        pytest.param("Registry.IO/app", "Registry.IO", "app", "latest", id="host with capitals"),
        pytest.param("xn--n3h.io/app", "xn--n3h.io", "app", "latest", id="punycode"),
        pytest.param("h.io/a__b/c-d/e.f", "h.io", "a__b/c-d/e.f", "latest", id="separators"),
        pytest.param("h.io/a---b", "h.io", "a---b", "latest", id="many dashes"),
        pytest.param("h.io/0/1", "h.io", "0/1", "latest", id="digits"),
        pytest.param("app:_x.Y-9", HUB, "library/app", "_x.Y-9", id="every letter of tags"),
        pytest.param("app:" + "t" * 128, HUB, "library/app", "t" * 128, id="the longest tag"),
        pytest.param("h.io/" + "n" * 255, "h.io", "n" * 255, "latest", id="the longest repository"),
        pytest.param("f" * 63, HUB, "library/" + "f" * 63, "latest", id="shorter than an ID"),
    ],
)
def test_by_tag(text: str, host: str, path: str, tag: str) -> None:
    assert parse_reference(text) == Reference(Repository(host, path), tag)


@pytest.mark.parametrize(
    ("text", "written", "tag", "digest"),
    [
        pytest.param(f"h.io/app@{DIGEST}", f"h.io/app@{DIGEST}", None, DIGEST, id="digest"),
        pytest.param(f"h.io/app@{SHA512}", f"h.io/app@{SHA512}", None, SHA512, id="sha512"),
        pytest.param(
            f"h.io:1/app:2@{DIGEST}", f"h.io:1/app:2@{DIGEST}", "2", DIGEST, id="tag and digest"
        ),
        pytest.param(
            f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}", None, DIGEST, id="a name"
        ),
    ],
)
def test_by_digest(text: str, written: str, tag: str | None, digest: str) -> None:
    reference = parse_reference(text)
    assert (reference.tag, reference.digest) == (tag, digest)
    assert reference.selector == digest, "the digest decides"
    assert str(reference) == written


def test_the_selector_of_a_tag() -> None:
    assert parse_reference("debian:12").selector == "12"


def test_pinned_to_a_digest() -> None:
    digest = digest_of(b"manifest")
    pinned = parse_reference("h.io/app:1").at(digest)
    assert pinned == Reference(Repository("h.io", "app"), None, digest)
    assert str(pinned) == f"h.io/app@{digest}"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("", "repository name", id="nothing"),
        pytest.param(" ", "repository name", id="a space"),
        pytest.param("debian\n", "repository name", id="a line feed"),
        pytest.param("Debian", "lower case", id="a name with capitals"),
        pytest.param("h.io/Ann/app", "lower case", id="a path with capitals"),
        pytest.param("h.io/", "repository name", id="no path"),
        pytest.param("/app", "repository name", id="no host"),
        pytest.param("h.io//app", "repository name", id="two slashes"),
        pytest.param("h.io/app/", "repository name", id="a slash at the end"),
        pytest.param("h.io/a..b", "repository name", id="two dots"),
        pytest.param("h.io/a___b", "repository name", id="three underscores"),
        pytest.param("h.io/-a", "repository name", id="a dash first"),
        pytest.param("h.io/a-", "repository name", id="a dash last"),
        pytest.param("h.io/../etc", "repository name", id="a way out"),
        pytest.param("h.io/ä", "repository name", id="beyond ASCII"),
        pytest.param("h.io/" + "n" * 256, "255 characters", id="a repository too long"),
        pytest.param("-h.io/app", "'-h.io' is not a host", id="a host with a dash first"),
        pytest.param("h..io/app", "'h..io' is not a host", id="a host with two dots"),
        pytest.param("h_x.io/app", "'h_x.io' is not a host", id="a host with an underscore"),
        pytest.param("h.io:port/app", "'h.io:port' is not a host", id="a port of letters"),
        pytest.param("h.io:/app", "'h.io:' is not a host", id="an empty port"),
        pytest.param("[::1/app", "is not a host", id="half of brackets"),
        pytest.param("[fe80::1%eth0]/app", "is not a host", id="an IPv6 zone"),
        pytest.param("https://h.io/app", "'https:' is not a host", id="a URL"),
        pytest.param("user@h.io/app", "digest", id="a user"),
        pytest.param("app:", "not a tag", id="an empty tag"),
        pytest.param("app:-x", "not a tag", id="a tag with a dash first"),
        pytest.param("app:.x", "not a tag", id="a tag with a dot first"),
        pytest.param("app:a b", "not a tag", id="a tag with a space"),
        pytest.param("app:" + "t" * 129, "not a tag", id="a tag too long"),
        pytest.param(f"app:@{DIGEST}", "not a tag", id="an empty tag and a digest"),
        pytest.param("app@", "digest", id="an empty digest"),
        pytest.param("app@sha256:abc", "digest", id="a short digest"),
        pytest.param("app@" + DIGEST.upper(), "digest", id="a digest in capitals"),
        pytest.param("app@md5:" + "a" * 32, "digest", id="a digest that is not safe"),
        pytest.param(f"app@{DIGEST}@{DIGEST}", "digest", id="two digests"),
        pytest.param("ab" * 32, "image ID", id="an image ID"),
        pytest.param("oci:dir", "'oci'", id="an OCI layout"),
        pytest.param("oci-archive:f.tar", "'oci-archive'", id="an OCI archive"),
        pytest.param("docker-archive:f.tar:app", "'docker-archive'", id="a docker archive"),
    ],
)
def test_refused(text: str, word: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse_reference(text)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "repository"),
    [
        ("debian", "docker.io/library/debian"),
        ("docker://ann/app", "docker.io/ann/app"),
        ("h.io:5000/a/b", "h.io:5000/a/b"),
        ("[::1]:5000/a", "[::1]:5000/a"),
    ],
)
def test_a_repository(text: str, repository: str) -> None:
    assert str(parse_repository(text)) == repository


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("h.io/app:1", "give the repository alone", id="a tag"),
        pytest.param(f"h.io/app@{DIGEST}", "give the repository alone", id="a digest"),
        pytest.param("h.io/App", "lower case", id="capitals"),
        pytest.param("oci:x", "'oci'", id="another transport"),
    ],
)
def test_what_is_no_repository(text: str, word: str) -> None:
    with pytest.raises(BadReference, match=word):
        parse_repository(text)


@pytest.mark.parametrize("tag", ["latest", "1", "_", "a.b-c_D", "t" * 128])
def test_tags(tag: str) -> None:
    check_tag(tag)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "a:b", "ä", "a\n", "t" * 129])
def test_what_is_no_tag(tag: str) -> None:
    with pytest.raises(BadReference, match="is not a tag; one has 1 to 128 letters"):
        check_tag(tag)


_PARTS = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?", fullmatch=True)


@given(
    host=st.sampled_from(["h.io", "h.io:5000", "localhost", "[::1]:5000", "HOST"]),
    parts=st.lists(_PARTS, min_size=1, max_size=4),
    tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
    digest=st.sampled_from([None, Digest(DIGEST)]),
)
def test_what_is_written_reads_back(
    host: str, parts: list[str], tag: str | None, digest: Digest | None
) -> None:
    default = "latest" if digest is None else None
    reference = Reference(Repository(host, "/".join(parts)), tag or default, digest)
    assert parse_reference(str(reference)) == reference


@given(st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except BadReference:
        return
    assert parse_reference(str(reference)) == reference
