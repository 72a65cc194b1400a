"""A repository whose registry answers nonsense ends no other: `cleanup` and `promote`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.cleanup.room import image
from tests.cli.command_line import InProcess

LONG = "9" * 5000


def answering(status: int, body: bytes = b"", **headers: str) -> Fault:
    """What every list of tags of `bad` is answered with."""
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Fault(
        "GET",
        "/v2/apps/bad/tags/list",
        FaultKind.ANSWER,
        status=status,
        headers=fields,
        body=body,
        times=1000,
    )


ANSWERS: dict[str, Fault] = {
    "a page that names itself": answering(200, b'{"tags": ["a"]}', Link="<>; rel=next"),
    "a page without a list": answering(200, b"{}"),
    "errors in place of a list": answering(200, b'{"errors": [{"code": "UNKNOWN"}]}'),
    "a number in place of a list": answering(200, b'{"tags": 0}'),
    "a web page": answering(200, b"<html><title>Sign in</title></html>"),
    "a tag that leads out": answering(200, b'{"tags": ["keep", "../../other/manifests/keep"]}'),
    "a link to an open bracket": answering(200, b'{"tags": ["a"]}', Link="<http://[>; rel=next"),
    "a link to a port of words": answering(200, b'{"tags": []}', Link="<//a:abc/>; rel=next"),
    "a link to port 99999": answering(200, b'{"tags": []}', Link="<//a:99999/>; rel=next"),
    "a link that cannot be read": answering(200, b'{"tags": ["a"]}', Link="next"),
    "a redirect to an open bracket": answering(307, Location="//["),
    "a redirect to port 99999": answering(302, Location="http://127.0.0.1:99999/"),
    "a challenge of 60,000 letters": answering(401, WWW_Authenticate="a" * 60_000),
    "a realm of brackets": answering(401, WWW_Authenticate='Bearer realm="http://["'),
    "a realm of another port": answering(401, WWW_Authenticate='Bearer realm="http://a:abc/"'),
    "a wait of ten to the ninth": answering(429, Retry_After="1000000000"),
    "a wait until 9999": answering(503, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
    "a length beyond numbers": answering(200, b"[]", Content_Length=LONG),
}


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        for tag in ("old", "keep1"):
            image(tag).push(registry, "apps/bad", tag)
            image(tag).push(registry, "apps/good", tag)
        yield registry


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", ANSWERS.values(), ids=ANSWERS)
def test_cleanup_goes_on_with_the_other_repository(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, fault: Fault
) -> None:
    registry.arm(fault)
    config = tmp_path / "sp.yml"
    config.write_text(
        f"state: state\ncleanup:\n  - name: old\n    repositories: ['{registry.host}/apps/*']\n"
        "    keep: {tags: ['keep*']}\n    action: delete\n"
    )
    outcome = squashproxy("cleanup", "--json", "--apply", str(config))
    assert outcome.code == 3, outcome.err
    found: dict[str, Any] = {
        each["repository"]: each for each in json.loads(outcome.out)["repositories"]
    }
    assert found[f"{registry.host}/apps/bad"]["problem"]
    assert "Traceback" not in outcome.err
    assert "bug" not in outcome.err
    assert list(registry.tags("apps/good")) == ["keep1"]
    assert sorted(registry.tags("apps/bad")) == ["keep1", "old"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", ANSWERS.values(), ids=ANSWERS)
def test_promote_goes_on_with_the_other_repository(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, fault: Fault
) -> None:
    registry.arm(fault)
    config = tmp_path / "sp.yml"
    with FakeRegistry() as target:
        config.write_text(
            f"state: state\npromote:\n  - name: apps\n    from: '{registry.host}/apps/*'\n"
            f"    to: '{target.host}/prod/{{repo}}'\n"
        )
        outcome = squashproxy("promote", "--json", str(config))
        assert outcome.code == 3, outcome.err
        assert "Traceback" not in outcome.err
        assert "bug" not in outcome.err
        tags = {tag for path in ("prod/apps/good", "prod/good") for tag in target.tags(path)}
        assert tags == {"keep1", "old"}


CATALOGUES: dict[str, bytes] = {
    "a page without a list": b"{}",
    "a web page": b"<html>",
    "numbers": b'{"repositories": [1]}',
}


@pytest.mark.parametrize("body", CATALOGUES.values(), ids=CATALOGUES)
def test_a_catalogue_that_is_none_ends_only_its_own_pattern(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, body: bytes
) -> None:
    with FakeRegistry() as other:
        other.arm(Fault("GET", "/_catalog", FaultKind.ANSWER, status=200, body=body, times=9))
        config = tmp_path / "sp.yml"
        config.write_text(
            "state: state\ncleanup:\n  - name: old\n"
            f"    repositories: ['{other.host}/*', '{registry.host}/apps/good']\n"
            "    keep: {tags: ['keep*']}\n    action: delete\n"
        )
        outcome = squashproxy("cleanup", "--json", "--apply", str(config))
    assert outcome.code == 3, outcome.err
    assert list(registry.tags("apps/good")) == ["keep1"]
