"""The static pod: valid, ours, and no more privileged than it has to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.deploy.command_lines import parse
from tests.deploy.pod_security import violations

POD: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "deploy" / "kubelet" / "squashproxy.yaml").read_text()
)


def test_kubernetes_knows_every_field() -> None:
    kubernetes_validate.validate(POD, "1.37", strict=True)


def test_it_runs_a_command_of_ours() -> None:
    (container,) = POD["spec"]["containers"]
    parse(container["args"])
    volumes = {volume["name"] for volume in POD["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_it_has_the_nodes_network_and_two_folders_and_no_other_privilege() -> None:
    folders = [volume for volume in POD["spec"]["volumes"] if "hostPath" in volume]
    expected = {"hostNetwork", *(f"has a volume of another kind: {each}" for each in folders)}
    assert set(violations(POD)) == expected
    assert len(folders) == 2
