"""An undo writes only to repositories that a rule of the configuration may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.automation.undo_places import check_places
from squashproxy.cleanup.apply.audit_log import Entry
from squashproxy.config.read import parse_configuration
from squashproxy.digest import digest_of
from squashproxy.errors import UsageError
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import parse_repository

CONFIGURATION = """\
cleanup:
- {name: old, action: squash, repositories: [h.io/apps/*, debian]}
promote:
- {name: hub, from: h.io/dev/app, to: "ann/{name}"}
- {name: near, from: "h.io/dev/*", to: "docker://i.io:5000/prod/{repo}:{tag}-small"}
"""
PLACES = {
    "a cleaned up glob": ("h.io/apps/a/b", True),
    "a cleaned up official image": ("docker.io/library/debian", True),
    "a target on Docker Hub, whose host the rule leaves out": ("ann/app", True),
    "a target behind a port, with a tag of its own": ("i.io:5000/prod/a/b", True),
    "beside the glob": ("h.io/other/a", False),
    "the source of a promotion": ("h.io/dev/app", False),
    "another user of Docker Hub": ("bob/app", False),
    "another port": ("i.io/prod/a", False),
}


def entry(repository: str) -> Entry:
    data = b"{}"
    place = parse_repository(repository)
    manifest = RawManifest(data, "application/json")
    return Entry("delete", "old", place, digest_of(data), ("1",), "", manifest, is_done=True)


@pytest.mark.parametrize(("repository", "may_change"), PLACES.values(), ids=PLACES)
def test_an_undo_may_change_what_some_rule_may(repository: str, may_change: bool) -> None:
    configuration = parse_configuration(CONFIGURATION, "sp.yml", Path(), {})
    entries, log = [entry("h.io/apps/a"), entry(repository)], Path("log.jsonl")
    if may_change:
        check_places(entries, configuration, log)
        return
    with pytest.raises(UsageError, match="which no rule of this configuration cleans up or"):
        check_places(entries, configuration, log)
