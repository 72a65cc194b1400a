"""The specification's own conformance suite, read-only, against both stores."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from squashproxy.oci.mediatypes import MANIFESTS
from tests.real.programs import find_program
from tests.real.pushing import PushToRegistry
from tests.real.registries import RealRegistry, run_registry
from tests.real.serving import RealServer, configuration_for, run_server
from tests.server.serving import app

pytestmark = [pytest.mark.real, pytest.mark.long]
REPO = "team/app"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with run_registry(tmp_path_factory.mktemp("upstream"), secured=True) as registry:
        app(layers=4).push(PushToRegistry(registry), REPO, "1")
        yield registry


@pytest.fixture(params=["directory", "registry"])
def server(
    request: pytest.FixtureRequest, upstream: RealRegistry, tmp_path: Path
) -> Iterator[RealServer]:
    if request.param == "directory":
        store = {"directory": str(tmp_path / "store")}
    else:
        backing: RealRegistry = request.getfixturevalue("target_registry")
        store = {"registry": f"{backing.host}/{tmp_path.name.replace('[', '-').strip(']')}"}
    with run_server(tmp_path / "server", configuration_for(upstream, store)) as running:
        yield running


def test_pull_and_discovery(server: RealServer, tmp_path: Path, programs: Path) -> None:
    """Of a squashed image and of its source.

    `OCI_API_MANIFESTS_DIGEST_HEADER` stays off: with data that it did not push itself, this version
    of the suite looks for that header in an answer that it never fills in (ManifestHeadExists), and
    finds none whatever the registry says. What it would check is checked in test_pull_api.py.
    """
    suite = find_program("conformance", programs)
    url = f"http://{server.host}/v2/docker.io/{REPO}"
    squashed = requests.get(f"{url}/manifests/1", timeout=60)
    source = squashed.headers["X-Squashproxy-Source-Digest"]
    accept = {"Accept": ", ".join(MANIFESTS)}
    original = requests.get(f"{url}/manifests/{source}", headers=accept, timeout=60)
    digest = squashed.headers["Docker-Content-Digest"]
    parts = [
        part["digest"]
        for manifest in (squashed.json(), original.json())
        for part in (manifest["config"], *manifest["layers"])
    ]
    environment = {
        "OCI_REGISTRY": server.host,
        "OCI_TLS": "disabled",
        "OCI_REPO1": f"docker.io/{REPO}",
        "OCI_REPO2": f"docker.io/{REPO}",
        "OCI_VERSION": "1.1",
        "OCI_API_PUSH": "false",
        "OCI_API_BLOBS_DELETE": "false",
        "OCI_API_MANIFESTS_DELETE": "false",
        "OCI_API_TAGS_DELETE": "false",
        "OCI_API_BLOBS_DIGEST_HEADER": "true",
        "OCI_RO_DATA_TAGS": "1",
        "OCI_RO_DATA_MANIFESTS": f"{digest} {source}",
        "OCI_RO_DATA_BLOBS": " ".join(dict.fromkeys(parts)),
        "OCI_RO_DATA_REFERRERS": f"{digest} {source}",
        "OCI_RESULTS_DIR": str(tmp_path / "results"),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [suite], env=environment, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    said = f"{done.stdout}{done.stderr}"
    assert "OCI Conformance Result: Pass" in said, said
    counts = dict(re.findall(r"^  (Pass|FAIL|Error)\.*: +(\d+)$", said, re.MULTILINE))
    assert (counts["FAIL"], counts["Error"]) == ("0", "0")
    assert int(counts["Pass"]) >= 22
    for what in ("Blob get", "Blob head", "Manifest get by tag", "Tag listing", "Referrers"):
        assert re.search(rf"^  {what}\.*: +Pass$", said, re.MULTILINE), (what, said)
