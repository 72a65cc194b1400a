"""What a hook may be, found out before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.config.hooks import CommandHook, WebHook
from squashproxy.config.promote import PromoteRule
from squashproxy.config.read import parse_configuration
from squashproxy.errors import UsageError

SECRET = "hunter2"
URL = "https://hooks.example.com/x"


def parse(hook: str) -> PromoteRule:
    text = f"promote:\n  - name: a\n    from: h.example/a\n    to: h.example/b\n    hooks: {hook}\n"
    [rule] = parse_configuration(text, "sp.yml", Path(), {"TOKEN": "a\nb"}).promote
    return rule


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{command: [./a, 'b c', '']}", CommandHook(("./a", "b c", ""))),
        ("{command: [x], timeout: 5s}", CommandHook(("x",), 5.0)),
        (f"{{webhook: '{URL}', token: a-b}}", WebHook(URL, "a-b")),
        ("{webhook: 'http://[::1]:80/%C3%BC'}", WebHook("http://[::1]:80/%C3%BC")),
        ("{webhook: 'https://u:p@h.example?a=1'}", WebHook("https://u:p@h.example?a=1")),
    ],
)
def test_hooks(written: str, read: object) -> None:
    assert parse(f"{{before: {written}}}").hooks.before == read


PROBLEMS = {
    "a NUL in a program": (r'{command: ["a\0b"]}', "this holds a NUL, which no argument of a"),
    "a NUL in an argument": (r'{command: [a, "\0"]}', "before.command[2]: this holds a NUL"),
    "no program": ("{command: ['', a]}", "this begins with an empty word; write the program"),
    "a token of two lines": (f'{{webhook: "{URL}", token: "{SECRET}\\nb"}}', "sent in a header"),
    "a token of the environment": (f'{{webhook: "{URL}", token: "${{TOKEN}}"}}', "one line of"),
    "a token not in ASCII": (f'{{webhook: "{URL}", token: "{SECRET}ü"}}', "one line of ASCII"),
    "a token with a NUL": (f'{{webhook: "{URL}", token: "{SECRET}\\0"}}', "one line of ASCII"),
    "a token with blanks": (f'{{webhook: "{URL}", token: " {SECRET}"}}', "without blanks around"),
    "no token": (f'{{webhook: "{URL}", token: ""}}', "cannot be sent in a header"),
    "a token that is a number": (f'{{webhook: "{URL}", token: 77777}}', "write a text"),
    "an address not in ASCII": (f"{{webhook: 'https://h.example/{SECRET}ü'}}", "write %XX for"),
    "a host not in ASCII": (f"{{webhook: 'https://ü.example/{SECRET}'}}", "this is no address"),
    "a blank": (f"{{webhook: 'https://h.example/ {SECRET}'}}", "this is no address"),
    "a line feed": (f'{{webhook: "https://h.example/{SECRET}\\n"}}', "this is no address"),
    "a port that is none": (f"{{webhook: 'https://h.example:99999/{SECRET}'}}", "no address; w"),
    "a port of letters": (f"{{webhook: 'https://h.example:abc/{SECRET}'}}", "no address; write"),
    "port 0": (f"{{webhook: 'https://h.example:0/{SECRET}'}}", "no host that there can be"),
    "an open bracket": (f"{{webhook: 'http://[/{SECRET}'}}", "this is no address"),
    "no such IPv6 address": (f"{{webhook: 'http://[1:::2]/{SECRET}'}}", "this is no address"),
    "a label too long": (f"{{webhook: 'https://{'a' * 64}.example/'}}", "no host that there can"),
    "an empty label": ("{webhook: 'https://a..example/'}", "no host that there can be"),
}


@pytest.mark.parametrize(("hook", "words"), PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_no_hook_can_be_is_a_sentence(when: str, hook: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"^sp\.yml:5: promote\[1\]\.hooks\.") as caught:
        parse(f"{{{when}: {hook}}}")
    assert words.replace("before", when) in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "77777" not in str(caught.value)
