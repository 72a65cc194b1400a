"""Two registries, a configuration and the command line, for tests of promotion."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cli.main import run
from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.testing import FakeRegistry, artifact_manifest
from tests.cleanup.room import image

_PUSH = """
import sys, urllib.request
url, path, kind = sys.argv[1:]
with open(path, "rb") as file:
    body = file.read()
request = urllib.request.Request(url, body, {"Content-Type": kind}, method="PUT")
urllib.request.urlopen(request).close()
"""
SIMPLE = "from: OLD/apps/*\nto: NEW/prod/{repo}"


def errors(document: dict[str, Any]) -> list[str]:
    """Why images were refused or failed."""
    return [each["error"] for each in document["images"] if each["error"] is not None]


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    """The outcome of each target, by its name without the host."""
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
        return self.promote_all({"apps": rule}, *options)

    def promote_all(
        self, rules: Mapping[str, str], *options: str, jobs: int = 2
    ) -> tuple[int, dict[str, Any], str]:
        """The same for several rules of one file."""
        text = f"state: state\nengine: {{jobs: {jobs}}}\n"
        hosts = "\n".join(f"  {host}: {{retry_for: 0s}}" for host in {self.old.host, self.new.host})
        text += f"registries:\n{hosts}\npromote:\n"
        for name, rule in rules.items():
            lines = "\n".join(f"    {line}" for line in rule.strip().splitlines())
            text += f"  - name: {name}\n{lines}\n"
        path = self.folder / "sp.yml"
        path.write_text(text.replace("OLD", self.old.host).replace("NEW", self.new.host))
        code = run(["promote", "--json", *options, str(path)])
        streams = self.captured.readouterr()
        return code, json.loads(streams.out) if streams.out else {}, streams.err

    def show(self, *options: str) -> str:
        """What the last configuration's promotion shows people."""
        run(["promote", *options, str(self.folder / "sp.yml")])
        return self.captured.readouterr().out

    @property
    def tags(self) -> dict[str, Digest]:
        """Every tag of both registries, as `old REPO:TAG` or `new REPO:TAG`, with its digest."""
        return {
            f"{side} {repo}:{tag}": digest
            for side, registry in (("old", self.old), ("new", self.new))
            for repo in registry._store.names()
            for tag, digest in registry.tags(repo).items()
        }

    def pushing(self, name: str) -> tuple[Digest, str]:
        """A hook that pushes an image to the target before the first copy, and its digest."""
        repo, _, tag = name.rpartition(":")
        theirs = image("theirs")
        theirs.push(self.new, repo, None)
        data = self.folder / "theirs.json"
        data.write_bytes(theirs.manifest.data)
        url = f"{self.new.url}/v2/{repo}/manifests/{tag}"
        command = [sys.executable, "-c", _PUSH, url, str(data), theirs.manifest.media_type]
        return theirs.digest, f"hooks: {{before: {{command: {json.dumps(command)}}}}}"

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
