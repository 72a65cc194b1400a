"""Templates of backup tags: what it may hold, and what is wrong usage."""

from __future__ import annotations

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import UsageError
from squashproxy.pipeline.backup import BackupTaken, backup_tag
from tests.pipeline.images import app, base, other
from tests.pipeline.lab import Lab, Listener, asked, fails, methods

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
    with pytest.raises(UsageError, match="the backup's tag") as caught:
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


@pytest.mark.parametrize("template", ["previous", "{tag}-old"])
def test_a_tag_of_another_image_is_not_taken_for_a_backup(lab: Lab, template: str) -> None:
    """Nothing is uploaded then, and the sentence names both."""
    spare = template.format(tag="1")
    existing = other().push(lab.new, "app", "1")
    kept = base().push(lab.new, "app", spare)
    lab.put(app())
    error = fails(lab, BackupTaken, f"would be kept as {spare}", kept[7:19], backup=template)
    assert error.exit_code == 1
    assert existing[7:19] in str(error)
    assert methods(lab.new) <= {"HEAD", "GET"}


def test_a_backup_that_is_there_already_is_left_as_it_is(lab: Lab) -> None:
    existing = other().push(lab.new, "app", "1")
    other().push(lab.new, "app", "previous")
    lab.put(app())
    assert not lab.copy(backup="previous").skipped
    assert lab.new.tags("app")["previous"] == existing
    assert "PUT app/manifests/previous" not in " ".join(asked(lab.new))


def test_a_backup_that_somebody_took_meanwhile_is_left_and_the_tag_stays(lab: Lab) -> None:
    existing = other().push(lab.new, "app", "1")
    lab.put(app())
    taken: list[Digest] = []

    def take(_label: str, _count: int) -> None:
        if not taken:
            taken.append(base().push(lab.new, "app", "previous"))

    with pytest.raises(BackupTaken, match="would be kept as previous"):
        lab.copy(backup="previous", observer=Listener(on_advance=take))
    assert lab.new.tags("app") == {"1": existing, "previous": taken[0]}
