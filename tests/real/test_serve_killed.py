"""kill -9 during a job, a write and a pull: after the next start, no blob is damaged."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from squashproxy.digest import digest_of
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.real.judges import run
from tests.real.serving import RealServer, configuration_for, run_server
from tests.server.serving import app

pytestmark = pytest.mark.real
REPO = "team/app"


@pytest.fixture
def upstream() -> Iterator[FakeRegistry]:
    """A FakeRegistry, since it can hang at a byte."""
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def configuration(upstream: FakeRegistry, tmp_path: Path) -> dict[str, Any]:
    return configuration_for(upstream.url, {"directory": str(tmp_path / "store")})


def pull(server: RealServer) -> dict[str, bytes]:
    """All bytes of the image, by digest, each of them right."""
    url = f"http://{server.host}/v2/docker.io/{REPO}"
    manifest = requests.get(f"{url}/manifests/1", timeout=60)
    assert manifest.status_code == 200
    assert "X-Squashproxy-Source-Digest" in manifest.headers
    found = {manifest.headers["Docker-Content-Digest"]: manifest.content}
    for part in (manifest.json()["config"], *manifest.json()["layers"]):
        found[part["digest"]] = requests.get(f"{url}/blobs/{part['digest']}", timeout=60).content
    assert all(digest_of(data) == digest for digest, data in found.items())
    return found


def blobs_in(store: Path) -> dict[str, bytes]:
    return {f"sha256:{path.name}": path.read_bytes() for path in store.glob("blobs/sha256/*")}


def begin(server: RealServer) -> None:
    requests.post(
        f"http://{server.host}/api/v1/warm", json={"image": f"docker.io/{REPO}:1"}, timeout=30
    )


PLACES = {
    "before anything came": Fault("GET", "/blobs/", FaultKind.HANG, times=99),
    "in the base": Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=100_000, skip=1, times=99),
    "in a later layer": Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=9_000, skip=3, times=9),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLACES.values(), ids=PLACES)
def test_in_the_middle_of_a_job(
    upstream: FakeRegistry, configuration: dict[str, Any], tmp_path: Path, fault: Fault
) -> None:
    app(layers=5, size=400_000).push(upstream, REPO, "1")
    hang = upstream.arm(fault)
    with run_server(tmp_path / "server", configuration) as server:
        begin(server)
        assert hang.reached.wait(20)
        server.kill()
    hang.release()
    store = tmp_path / "store"
    assert all(digest_of(data) == digest for digest, data in blobs_in(store).items())
    with run_server(tmp_path / "server", configuration) as server:
        image = pull(server)
        assert set(image) <= set(blobs_in(store))
    run(["umoci", "stat", "--image", f"{store}:docker.io/{REPO}:1"])


@pytest.mark.long
def test_at_any_moment_of_many_writes(
    upstream: FakeRegistry, configuration: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever is in the store after a kill has its right bytes, and pulls go on."""
    for number in range(6):
        app(f"app{number}", layers=5, size=300_000).push(upstream, f"team/app{number}", "1")
    app(layers=5, size=300_000).push(upstream, REPO, "1")
    store = tmp_path / "store"
    for delay in (0.05, 0.15, 0.3, 0.5):
        with run_server(tmp_path / "server", configuration) as server:
            for number in range(6):
                image = {"image": f"docker.io/team/app{number}:1"}
                requests.post(f"http://{server.host}/api/v1/warm", json=image, timeout=30)
            time.sleep(delay)
            server.kill()
        assert all(digest_of(data) == digest for digest, data in blobs_in(store).items())
        assert list(store.glob(".squashproxy-*")) == []
    with run_server(tmp_path / "server", configuration) as server:
        pull(server)
        for number in range(6):
            url = f"http://{server.host}/v2/docker.io/team/app{number}/manifests/1"
            assert "X-Squashproxy-Source-Digest" in requests.get(url, timeout=60).headers
    index = json.loads((store / "index.json").read_text())
    assert len(index["manifests"]) == 7


def test_in_the_middle_of_a_pull(
    upstream: FakeRegistry, configuration: dict[str, Any], tmp_path: Path
) -> None:
    data = bytes(range(256)) * 20_000
    digest = upstream.put_blob(REPO, data)
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=2_000_000))
    errors: list[BaseException] = []

    def read(url: str) -> None:
        try:
            requests.get(url, timeout=60)
        except requests.RequestException as error:
            errors.append(error)

    with run_server(tmp_path / "server", configuration) as server:
        url = f"http://{server.host}/v2/docker.io/{REPO}/blobs/{digest}"
        client = threading.Thread(target=read, args=(url,))
        client.start()
        assert hang.reached.wait(20)
        time.sleep(0.3)
        server.kill()
        client.join()
    hang.release()
    assert errors, "half a blob is an error for the client"
    assert blobs_in(tmp_path / "store") == {}
    with run_server(tmp_path / "server", configuration) as server:
        url = f"http://{server.host}/v2/docker.io/{REPO}/blobs/{digest}"
        assert requests.get(url, timeout=60).content == data


def test_a_signal_ends_it_with_code_0(configuration: dict[str, Any], tmp_path: Path) -> None:
    with run_server(tmp_path / "server", configuration) as server:
        server.process.terminate()
        assert server.process.wait(20) == 0


def test_two_servers_on_one_directory(configuration: dict[str, Any], tmp_path: Path) -> None:
    with run_server(tmp_path / "one", configuration):
        with (
            pytest.raises(AssertionError, match="in use by another `squashproxy serve`"),
            run_server(tmp_path / "two", configuration),
        ):
            pass
        assert "Traceback" not in (tmp_path / "two" / "errors").read_text()
