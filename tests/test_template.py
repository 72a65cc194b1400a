"""Templates: words in braces, and nothing else."""

from __future__ import annotations

import pytest

from squashproxy.template import fill


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("old", "old"),
        ("{tag}", "v1"),
        ("{tag}-{tag}.{digest}", "v1-v1.abc"),
        ("{{tag}}", "{tag}"),
    ],
)
def test_words_are_filled_in(template: str, text: str) -> None:
    assert fill(template, {"tag": "v1", "digest": "abc"}) == text


@pytest.mark.parametrize(
    "template",
    ["{", "}", "{}", "{0}", "{date}", "{tag.real}", "{tag[0]}", "{tag!r}", "{tag:>9}", "{tag:}x}"],
)
def test_what_cannot_be_filled_in(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        fill(template, {"tag": "v1"})
