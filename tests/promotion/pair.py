"""Two registries, a configuration and the command line: what the stories are told with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cli.main import run
from squashproxy.oci.descriptor import Descriptor
from squashproxy.testing import FakeRegistry, artifact_manifest
from tests.cleanup.room import image

SIMPLE = "from: OLD/apps/*\nto: NEW/prod/{repo}"


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    """What became of each target, without its host."""
    return {each["target"].partition("/")[2]: each["outcome"] for each in document["images"]}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two registries, a configuration and the command line."""

    old: FakeRegistry
    new: FakeRegistry
    folder: Path
    captured: pytest.CaptureFixture[str]

    def promote(self, rule: str, *options: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, the JSON, and standard error."""
        lines = "\n".join(f"    {line}" for line in rule.strip().splitlines())
        text = f"state: state\npromote:\n  - name: apps\n{lines}\n"
        text = text.replace("OLD", self.old.host).replace("NEW", self.new.host)
        path = self.folder / "sp.yml"
        path.write_text(text)
        code = run(["promote", "--json", *options, str(path)])
        streams = self.captured.readouterr()
        return code, json.loads(streams.out) if streams.out else {}, streams.err

    def push(self, repo: str, *tags: str) -> None:
        for number, tag in enumerate(tags, 1):
            image(f"{repo}{tag}", f"2026-0{number}-01T00:00:00Z").push(self.old, repo, tag)


def sign(registry: FakeRegistry, repo: str, subject: Descriptor) -> str:
    """A signature as a referrer, and another one under a tag of its own; the digest of both."""
    blob = Descriptor("text/plain", registry.put_blob(repo, b"signature"), 9)
    config = Descriptor("application/vnd.oci.empty.v1+json", registry.put_blob(repo, b"{}"), 2)
    raw = artifact_manifest("text/plain", [blob], config=config, subject=subject)
    registry.put_manifest(repo, subject.digest.replace(":", "-") + ".sig", raw.data, raw.media_type)
    return registry.put_manifest(repo, None, raw.data, raw.media_type)
