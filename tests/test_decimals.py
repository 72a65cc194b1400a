"""Numbers in text that somebody else wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.decimals import parse_decimal, parse_port

NUMBERS: dict[str, tuple[str, int | None]] = {
    "nought": ("0", 0),
    "a number": ("1048576", 1048576),
    "leading noughts": ("007", 7),
    "eighteen digits": ("9" * 18, 10**18 - 1),
    "nineteen digits": ("1" * 19, None),
    "five thousand digits": ("1" * 5000, None),
    "nothing": ("", None),
    "a sign": ("+1", None),
    "negative": ("-1", None),
    "an underscore": ("1_0", None),
    "a blank": (" 1", None),
    "a line feed": ("1\n", None),
    "a fraction": ("1.0", None),
    "an exponent": ("1e3", None),
    "hexadecimal": ("0x10", None),
    "Arabic digits": ("٣", None),
    "full-width digits": ("\uff11\uff12", None),
    "a superscript": ("²", None),
    "two numbers": ("5, 5", None),
}


@pytest.mark.parametrize(("text", "number"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_read(text: str, number: int | None) -> None:
    assert parse_decimal(text) == number


PORTS: dict[str, tuple[str, int | None]] = {
    "the first": ("1", 1),
    "the last": ("65535", 65535),
    "none": ("0", None),
    "one too many": ("65536", None),
    "five digits": ("99999", None),
    "thousands of digits": ("1" * 5000, None),
    "letters": ("abc", None),
    "negative": ("-1", None),
    "nothing": ("", None),
    "Arabic digits": ("٣٣", None),
}


@pytest.mark.parametrize(("text", "port"), PORTS.values(), ids=PORTS)
def test_ports_are_read(text: str, port: int | None) -> None:
    assert parse_port(text) == port


@given(st.text(alphabet="0123456789+-_.٣² \n", max_size=25))
def test_no_text_breaks_a_reader(text: str) -> None:
    number = parse_decimal(text)
    assert number is None or (text.isascii() and text.isdigit() and number == int(text))
    assert parse_port(text) is None or 0 < int(text) < 65536
