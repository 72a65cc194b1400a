"""JSON and base64 with one meaning, or none."""

from __future__ import annotations

import pytest

from squashproxy.signing.strict_json import decode_base64, parse_object

BAD_JSON = {
    "no JSON": b"{",
    "a list": b"[]",
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice, below": b'{"a": {"b": 1, "b": 1}}',
    "a key twice, once escaped": b'{"a": 1, "\\u0061": 2}',
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "nested too deep": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "something behind": b"{} {}",
}
BAD_BASE64 = {
    "stray bits": "QUJDRB==",
    "no padding": "QUI",
    "too much padding": "QUJD====",
    "a line feed": "QUJD\n",
    "of URLs": "-_-_",
    "no text": 5,
    "absent": None,
    "beyond ASCII": "QUJDé",
}


@pytest.mark.parametrize("data", BAD_JSON.values(), ids=BAD_JSON)
def test_json_of_more_than_one_meaning_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(it|-?[A-Z])"):
        parse_object(data)


def test_brackets_in_strings_are_no_nesting() -> None:
    assert parse_object(b'{"a": "' + b"[" * 1000 + b'\\"["}') == {"a": "[" * 1000 + '"['}


@pytest.mark.parametrize("text", BAD_BASE64.values(), ids=BAD_BASE64)
def test_sloppy_base64_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="it is"):
        decode_base64(text)


@pytest.mark.parametrize(("text", "data"), [("", b""), ("QUI=", b"AB"), ("/+8=", b"\xff\xef")])
def test_base64_is_decoded(text: str, data: bytes) -> None:
    assert decode_base64(text) == data
