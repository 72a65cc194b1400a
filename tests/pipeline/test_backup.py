"""`--backup TEMPLATE`: what it may hold, and what is wrong usage."""

from __future__ import annotations

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import UsageError
from squashproxy.pipeline.backup import backup_tag
from tests.pipeline.images import app, other
from tests.pipeline.lab import Lab, asked, fails

OLD = digest_of(b"old")


@pytest.mark.parametrize(
    ("template", "existing", "expected"),
    [
        (None, OLD, None),
        ("old", OLD, "old"),
        ("{tag}-old", OLD, "v1-old"),
        ("{tag}.{digest}", OLD, f"v1.{OLD[7:19]}"),
        ("{tag}-old", None, "v1-old"),
    ],
)
def test_what_a_template_gives(
    template: str | None, existing: Digest | None, expected: str | None
) -> None:
    assert backup_tag(template, "v1", existing) == expected


BAD = [
    pytest.param("{date}", "{tag} and {digest}", id="unknown-word"),
    pytest.param("{0}", "{tag} and {digest}", id="number"),
    pytest.param("{", "{tag} and {digest}", id="open-brace"),
    pytest.param("{tag.real}", "{tag} and {digest}", id="attribute"),
    pytest.param("{tag:d}", "{tag} and {digest}", id="format"),
    pytest.param("-{tag}", "is not a tag", id="no-tag"),
    pytest.param("a/b", "is not a tag", id="slash"),
    pytest.param("", "is not a tag", id="empty"),
    pytest.param("{tag}", "the very tag", id="the-tag-itself"),
]


@pytest.mark.parametrize(("template", "words"), BAD)
@pytest.mark.parametrize("existing", [OLD, None], ids=["over-an-image", "free"])
def test_a_bad_template_is_wrong_usage(template: str, words: str, existing: Digest | None) -> None:
    with pytest.raises(UsageError, match="--backup") as caught:
        backup_tag(template, "1", existing)
    assert words in str(caught.value)


def test_it_is_found_out_before_anything_is_read_or_written(lab: Lab) -> None:
    other().push(lab.new, "app", "1")
    lab.put(app())
    error = fails(lab, UsageError, "{tag} and {digest}", backup="{date}")
    assert error.exit_code == 2
    assert asked(lab.old) == ["HEAD app/manifests/1 200"]
    assert asked(lab.new) == [
        "HEAD app/manifests/1 200",
        f"GET app/manifests/{lab.new.tags('app')['1']} 200",
    ]
