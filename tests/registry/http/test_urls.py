"""URLs that a registry names: right ones are followed, wrong ones are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.errors import Denied, RegistryError
from squashproxy.registry.http.endpoints import Endpoint
from squashproxy.registry.http.urls import BadUrl, read_url, shown

BASE = "https://registry.example.com/v2/app/tags/list"
PUBLIC = Endpoint("registry.example.com", "https", "registry.example.com")

WRONG: dict[str, tuple[str, str]] = {
    "an open bracket": ("http://[", "its host is in wrong brackets"),
    "an open bracket, no scheme": ("//[", "its host is in wrong brackets"),
    "a closed one": ("http://]/", "its host is in wrong brackets"),
    "nothing in brackets": ("http://[]/", "its host is in wrong brackets"),
    "a name in brackets": ("http://[a]/", "its host is in wrong brackets"),
    "brackets around no address": ("http://[::::]/", "its host is in wrong brackets"),
    "a zone": ("https://[fe80::1%25eth0]/", "its host is in wrong brackets"),
    "something behind brackets": ("http://[::1]x/", "its host is in wrong brackets"),
    "a port of five digits": ("https://b.example.com:99999/", "its port is none"),
    "a port of words": ("https://b.example.com:abc/", "its port is none"),
    "a negative port": ("https://b.example.com:-1/", "its port is none"),
    "port 0": ("https://b.example.com:0/", "its port is none"),
    "a port of thousands of digits": ("https://b.example.com:" + "1" * 5000, "its port is none"),
    "two ports": ("https://b.example.com:1:2/", "its port is none"),
    "a user": ("https://ann@b.example.com/", "it holds a user name"),
    "a user and a password": ("https://ann:s3cret@b.example.com/", "it holds a user name"),
    "an empty user": ("https://@b.example.com/", "it holds a user name"),
    "another host behind @": ("https://registry.example.com@evil.example/", "a user name"),
    "a line feed": ("/v2/\nHost: x", r"the character '\n' cannot stand in it"),
    "a tab": ("/v2/\tx", r"the character '\t' cannot stand in it"),
    "NUL": ("/v2/\0", r"the character '\x00' cannot stand in it"),
    "a blank": ("https://b.example.com/a b", "the character ' ' cannot stand in it"),
    "a blank in the host": ("https://b .example.com/", "the character ' ' cannot stand in it"),
    "backslashes": (r"\\evil.example\x", "cannot stand in it"),
    "a backslash behind a slash": (r"/\evil.example", "cannot stand in it"),
    "letters beyond ASCII": ("https://ex\xe4mple.com/", "the character 'ä' cannot stand in it"),
    "a full-width slash": ("https://a\uff0fb/", "cannot stand in it"),
    "no host": ("https:///x", "it names no host"),
    "no host, no scheme": ("//", "it names no host"),
    "a path of slashes": ("///x", "it names no host"),
    "no host but a port": ("https://:443/x", "it names no host"),
    "a scheme without slashes": ("https:x", "it names no host"),
    "a dot": ("https://./", "it names no host"),
    "an empty label": ("https://a..b/", "its host is no name"),
    "a long label": ("https://" + "a" * 64 + ".example/", "its host is no name"),
    "a long host": ("https://" + "a." * 200 + "b/", "its host is no name"),
    "a percent in the host": ("https://a%2eb/", "its host is no name"),
    "an address as a number": ("https://2130706433/", "its host is no address"),
    "an address in hexadecimal": ("https://0x7f000001/", "its host is no address"),
    "an address in octal": ("https://0177.0.0.1/", "its host is no address"),
    "a short address": ("https://127.1/", "its host is no address"),
    "a large byte": ("https://256.0.0.1/", "its host is no address"),
    "too long": ("/" + "x" * 8000, "it has more than 8000 characters"),
    "far too long": ("https://b.example.com/" + "x" * 60_000, "it has more than 8000"),
}


@pytest.mark.parametrize(("location", "reason"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("header", ["Location", "Link", "WWW-Authenticate"])
def test_what_is_no_url_is_told_with_its_header(location: str, reason: str, header: str) -> None:
    with pytest.raises(RegistryError) as raised:
        PUBLIC.resolve(BASE, location, header)
    sentence = str(raised.value)
    assert sentence.startswith("registry.example.com points to '")
    assert f"in its {header} header, which is no web address" in sentence
    assert reason in sentence
    assert sentence.isprintable()
    assert len(sentence) < 600
    assert "s3cret" not in sentence


OTHER_SCHEMES = [
    "ftp://b.example.com/x",
    "file:///etc/passwd",
    "javascript:alert",
    "data:,x",
    "a:b",
]


@pytest.mark.parametrize("location", OTHER_SCHEMES)
def test_only_the_web_is_followed(location: str) -> None:
    with pytest.raises(Denied, match="which is no web address"):
        PUBLIC.resolve(BASE, location, "Location")


ODD = st.text(alphabet="htps:/[]@.:%?#\\ \t\nab019-_\x00\xe4٣x", max_size=40)


@given(ODD | st.text(max_size=60) | ODD.map("https://{}".format) | ODD.map("//{}".format))
def test_every_text_is_a_url_or_is_told(text: str) -> None:
    try:
        found = read_url(BASE, text)
    except BadUrl:
        return
    if found.scheme in ("http", "https"):
        assert found.hostname
        assert found.port is None or 0 < found.port < 65536
        assert "@" not in found.netloc
        again = read_url(BASE, found.geturl())
        assert again.geturl() == found.geturl(), "it means the same to who reads it next"


@given(st.text(max_size=80))
def test_any_text_is_shown_without_secrets(text: str) -> None:
    assert shown(text).isprintable()
    assert "s3cret" not in shown(f"https://ann:s3cret@{text}")
    assert "s3cret" not in shown(f"https://b.example.com/{text}?sig=s3cret{text}")
