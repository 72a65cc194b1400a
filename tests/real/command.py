"""squashproxy as a user runs it: a process of its own, its JSON read back."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.real.judges import run
from tests.real.registries import PASSWORD, USER, RealRegistry

Document = dict[str, Any]


def copy(
    source: RealRegistry, target: RealRegistry, image: str, *options: str, home: Path
) -> Document:
    """What `squashproxy copy --json` prints for `image` of one registry to the same of another.

    `home` stands in for the user's home, so that no credentials of this machine are read.
    Raises `CommandFailedError` unless the exit code is 0.
    """
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
    trusted: list[str] = []
    for registry in (source, target):
        if registry.secured:
            name = registry.host.upper().replace(".", "_").replace(":", "_")
            env[f"SQUASHPROXY_AUTH_{name}"] = f"{USER}:{PASSWORD}"
        if registry.ca is not None:
            trusted += ["--ca", str(registry.ca)]
    words = [f"{source.host}/{image}", f"{target.host}/{image}", *options]
    command = [sys.executable, "-m", "squashproxy", "copy", "--json", *trusted, *words]
    document: Document = json.loads(run(command, os.environ | env))
    return document


def plan(source: RealRegistry, image: str, *options: str, home: Path) -> Document:
    """What `squashproxy plan --json` prints for `image` of a registry that asks for no password."""
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
    command = [sys.executable, "-m", "squashproxy", "plan", "--json", f"{source.host}/{image}"]
    document: Document = json.loads(run([*command, *options], os.environ | env))
    return document


def layer_digests(registry: RealRegistry, image: str) -> list[str]:
    """The digests of the layers of `REGISTRY/image`, base first."""
    access = ["--tls-verify=false"] if registry.ca is None else [f"--cert-dir={registry.ca.parent}"]
    if registry.secured:
        access.append(f"--creds={USER}:{PASSWORD}")
    command = ["skopeo", "inspect", "--raw", *access, f"docker://{registry.host}/{image}"]
    manifest = json.loads(run(command))
    return [layer["digest"] for layer in manifest["layers"]]
