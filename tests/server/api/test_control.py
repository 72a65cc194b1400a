"""Health, metrics, log, page, warm-up and the end of a server."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
import requests

from squashproxy.testing import FakeRegistry, Fault, FaultKind, LayerBuilder
from tests.pipeline.images import image_of, noise
from tests.server.leftovers import join_server_threads
from tests.server.serving import UP, Served, app, run_serve, settings


def job_state(served: Served) -> list[dict[str, object]]:
    found: list[dict[str, object]] = served.get("/api/v1/status").json()["jobs"]
    return found


def wait_until_idle(served: Served) -> None:
    deadline = time.monotonic() + 20
    while job_state(served):
        assert time.monotonic() < deadline, "a job does not end"
        time.sleep(0.02)


def test_warming_squashes_ahead_of_the_first_pull(served: Served, upstream: FakeRegistry) -> None:
    source = app().push(upstream, "app", "1")
    begun = served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
    assert begun.status_code == 202
    assert begun.json()["source_digest"] == source
    assert begun.json()["state"] in ("waiting", "running")
    wait_until_idle(served)
    assert served.manifest("app", "1").headers["X-Squashproxy-Source"] == "cached"
    again = served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
    digest = served.manifest("app", "1").headers["Docker-Content-Digest"]
    assert (again.status_code, again.json()["state"]) == (200, "squashed")
    assert again.json()["digest"] == digest


def test_an_estimate_says_what_would_be_saved_and_keeps_nothing(
    served: Served, upstream: FakeRegistry
) -> None:
    app(size=50_000).push(upstream, "app", "1")
    answer = served.post("/api/v1/warm", json={"image": f"{UP}/app:1", "dry_run": True})
    estimate = answer.json()
    assert answer.status_code == 200
    assert estimate["saved"] == estimate["compressed_before"] - estimate["compressed_after"] > 0
    assert served.get("/api/v1/status").json()["images"] == []
    served.manifest("app", "1")
    [image] = served.get("/api/v1/status").json()["images"]
    assert image["compressed_after"] == estimate["compressed_after"]


BAD_WARMS = {
    "no JSON": (b"{", 400),
    "a list": (b"[]", 400),
    "no image": (b"{}", 400),
    "a number": (b'{"image": 1}', 400),
    "no reference": (b'{"image": "UPPER"}', 400),
    "a digest": (json.dumps({"image": f"{UP}/app@sha256:{'0' * 64}"}).encode(), 400),
    "another host": (b'{"image": "other.example/app:1"}', 404),
    "an unknown tag": (json.dumps({"image": f"{UP}/app:none"}).encode(), 404),
    "two megabytes": (b" " * (2 << 20), 413),
}


@pytest.mark.parametrize(("body", "status"), BAD_WARMS.values(), ids=BAD_WARMS)
def test_bad_warms(served: Served, upstream: FakeRegistry, body: bytes, status: int) -> None:
    app().push(upstream, "app", "1")
    answer = served.post("/api/v1/warm", data=body)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]


UNDECODABLE = {
    "gzip without a block": ("gzip", b"\x1f\x8b\x08 nonsense"),
    "gzip with a damaged block": ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 20),
    "deflate": ("deflate", b"nonsense"),
    "zstd": ("zstd", b"nonsense"),
    "an unknown one": ("x-unknown", b"nonsense"),
}


@pytest.mark.parametrize(("coding", "body"), UNDECODABLE.values(), ids=UNDECODABLE)
@pytest.mark.parametrize("path", ["hook", "warm"])
def test_a_body_that_cannot_be_decoded_is_the_senders_fault(
    served: Served, caplog: pytest.LogCaptureFixture, path: str, coding: str, body: bytes
) -> None:
    headers = {"Content-Encoding": coding}
    for _ in range(2):
        answer = served.post(f"/api/v1/{path}", data=body, headers=headers)
        assert answer.status_code in (400, 415)
        assert answer.json()["errors"][0]["message"]
    assert "Traceback" not in caplog.text


def test_a_host_that_is_no_upstream_is_not_asked_by_any_name(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    section = settings(upstream, tmp_path)
    section["serve"]["upstreams"] = {"docker.io": {"url": upstream.url}}
    app().push(upstream, "team/app", "1")
    with run_serve(section) as served:
        old = served.post("/api/v1/warm", json={"image": "registry.hub.docker.com/team/app:1"})
        assert (old.status_code, old.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
        known = served.post("/api/v1/warm", json={"image": "index.docker.io/team/app:1"})
        assert known.status_code == 202
        wait_until_idle(served)


def test_other_sites_pages_may_not_warm(served: Served, upstream: FakeRegistry) -> None:
    app().push(upstream, "app", "1")
    evil = {"Origin": "http://evil.example"}
    answer = served.post("/api/v1/warm", json={"image": f"{UP}/app:1"}, headers=evil)
    assert answer.status_code == 403


def notification(host: str, repository: str, tag: str) -> dict[str, object]:
    """As distribution 2.8 sends it (docs/spec/notifications)."""
    return {
        "events": [
            {
                "id": "1",
                "timestamp": "2026-11-26T12:00:00Z",
                "action": "push",
                "target": {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": f"sha256:{'0' * 64}",
                    "repository": repository,
                    "url": f"http://{host}/v2/{repository}/manifests/sha256:{'0' * 64}",
                    "tag": tag,
                },
                "request": {"id": "1", "host": host, "method": "PUT"},
            }
        ]
    }


def harbor(host: str, repository: str, tag: str) -> dict[str, object]:
    """As Harbor 2 sends it."""
    return {
        "type": "PUSH_ARTIFACT",
        "occur_at": 1,
        "operator": "admin",
        "event_data": {
            "resources": [
                {"digest": "x", "tag": tag, "resource_url": f"{host}/{repository}:{tag}"}
            ],
            "repository": {"name": "app", "namespace": "", "repo_full_name": repository},
        },
    }


@pytest.mark.parametrize("form", [notification, harbor])
def test_a_webhook_squashes_what_was_pushed(
    served: Served, upstream: FakeRegistry, form: object
) -> None:
    app().push(upstream, "app", "1")
    assert callable(form)
    answer = served.post("/api/v1/hook", json=form(upstream.host, "app", "1"))
    assert answer.status_code == 202
    assert [image["image"] for image in answer.json()["images"]] == [f"{UP}/app:1"]
    wait_until_idle(served)
    assert served.manifest("app", "1").headers["X-Squashproxy-Source"] == "cached"
    other = served.post("/api/v1/hook", json=form("other.example", "app", "1"))
    assert other.json() == {"images": [], "failed": []}


def test_a_webhook_needs_its_token(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    document = notification(upstream.host, "app", "1")
    with run_serve(settings(upstream, tmp_path, hook={"token": "a secret"})) as served:
        for header, status in (
            ({}, 401),
            ({"Authorization": "wrong"}, 401),
            ({"Authorization": "a secret"}, 202),
            ({"Authorization": "Bearer a secret"}, 202),
        ):
            assert served.post("/api/v1/hook", json=document, headers=header).status_code == status
        assert served.post("/api/v1/hook", data=b"{}", headers=header).status_code == 400


def test_a_list_is_kept_warm(upstream: FakeRegistry, tmp_path: Path) -> None:
    app("old").push(upstream, "app", "1")
    warm = {"images": [f"{UP}/none:1", f"{UP}/app:1"], "every": "200ms"}
    section = settings(upstream, tmp_path, warm=warm, tag_ttl="50ms", negative_ttl="50ms")
    with run_serve(section) as served:
        for images in (1, 2):
            deadline = time.monotonic() + 20
            while len(served.get("/api/v1/status").json()["images"]) < images:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            app("new").push(upstream, "app", "1")
        assert served.manifest("app", "1").headers["X-Squashproxy-Source"] == "cached"


def test_the_log_has_a_line_for_each_request(served: Served, upstream: FakeRegistry) -> None:
    app().push(upstream, "app", "1")
    manifest = served.manifest("app", "1")
    layer = manifest.json()["layers"][0]
    served.blob("app", layer["digest"])
    served.manifest("app", "none")
    first, second, third = served.log_lines(3)
    assert (first["method"], first["status"], first["source"]) == ("GET", 200, "squashed")
    assert first["bytes"] == len(manifest.content)
    assert (second["bytes"], second["source"]) == (layer["size"], "cached")
    assert (third["status"], third["error"]) == (404, f"{UP}/app has no tag none")


def test_what_a_client_sent_does_not_fill_the_log(served: Served) -> None:
    """An error quotes the name that was asked for."""
    answer = served.post("/api/v1/warm", json={"image": "a/" * 100_000})
    assert answer.status_code == 400
    [line] = served.log_lines(1)
    assert "is not a reference" in answer.text
    assert len(json.dumps(line)) < 2000


def test_the_metrics_count_what_happened(served: Served, upstream: FakeRegistry) -> None:
    app(size=50_000).push(upstream, "app", "1")
    for _ in range(3):
        served.manifest("app", "1")
    text = served.get("/metrics").text
    values = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")
    )
    assert values['squashproxy_requests_total{kind="manifest",outcome="squashed"}'] == "1.0"
    assert values['squashproxy_requests_total{kind="manifest",outcome="cached"}'] == "2.0"
    assert values['squashproxy_jobs_total{outcome="squashed"}'] == "1.0"
    assert float(values["squashproxy_saved_bytes_total"]) > 0
    assert float(values["squashproxy_store_bytes"]) > 0
    [image] = served.get("/api/v1/status").json()["images"]
    fetched = image["compressed_before"]
    assert fetched <= float(values["squashproxy_upstream_bytes_total"]) < fetched + 5000


def test_layers_that_images_share_are_counted_once(served: Served, upstream: FakeRegistry) -> None:
    """Squashed with no common base, images share nothing any more; the figures say so."""
    shared = [LayerBuilder().file(f"shared{number}", noise(40_000, number)) for number in (1, 2)]
    sizes: dict[str, dict[str, int]] = {"original": {}, "served": {}}
    for name in ("one", "two"):
        built = image_of(*shared, LayerBuilder().file(name, name.encode()))
        built.push(upstream, name, "1")
        sizes["original"] |= {layer.digest: layer.size for layer in built.layers}
        layers = served.manifest(name, "1").json()["layers"]
        sizes["served"] |= {layer["digest"]: layer["size"] for layer in layers}
    totals = served.get("/api/v1/status").json()["totals"]
    text = served.get("/metrics").text
    for what, found in sizes.items():
        assert totals[f"distinct_{what}"] == sum(found.values())
        line = f'squashproxy_distinct_bytes{{what="{what}"}} {float(sum(found.values()))}'
        assert line in text.splitlines()
    assert totals["distinct_images"] == totals["images"] == 2
    assert totals["distinct_served"] > totals["distinct_original"]
    assert "squashproxy_distinct_images 2.0" in text.splitlines()
    assert "layers" not in served.get("/api/v1/status").json()["images"][0]


def test_images_of_very_many_layers_are_not_counted(served: Served, upstream: FakeRegistry) -> None:
    """What the history remembers is bounded."""
    for count in (3, 257):
        layers = (LayerBuilder().file(f"f{number}", b"x") for number in range(count))
        image_of(*layers).push(upstream, f"of{count}", "1")
        assert served.manifest(f"of{count}", "1").status_code == 200
    totals = served.get("/api/v1/status").json()["totals"]
    assert (totals["images"], totals["distinct_images"]) == (2, 1)


NO_HEADROOMS = ["9" * 5000, "-1", "many", "", ";w=1", "1_0", "7.5", "nan"]


@pytest.mark.parametrize("value", NO_HEADROOMS)
def test_an_unreadable_rate_limit_counts_as_unknown(
    upstream: FakeRegistry, tmp_path: Path, value: str
) -> None:
    headers = (("RateLimit-Remaining", value),)
    upstream.arm(Fault("HEAD", "manifests", status=404, headers=headers, times=9))
    with run_serve(settings(upstream, tmp_path)) as served:
        assert served.manifest("app", "1").status_code == 404
        left = 'squashproxy_upstream_ratelimit_remaining{upstream="up.example"} NaN'
        assert left in served.get("/metrics").text


def test_docker_hubs_rate_limit_is_shown(upstream: FakeRegistry, tmp_path: Path) -> None:
    headers = (("RateLimit-Remaining", "76;w=21600"),)
    upstream.arm(Fault("HEAD", "manifests", status=404, headers=headers, times=9))
    with run_serve(settings(upstream, tmp_path)) as served:
        served.manifest("app", "1")
        left = 'squashproxy_upstream_ratelimit_remaining{upstream="up.example"} 76.0'
        assert left in served.get("/metrics").text


def test_a_running_job_shows_its_progress(served: Served, upstream: FakeRegistry) -> None:
    app(size=500_000).push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=1000, skip=2, times=9))
    served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
    assert hang.reached.wait(10)
    [job] = job_state(served)
    assert (job["image"], job["state"], job["waiters"]) == (f"{UP}/app:1", "running", 0)
    assert isinstance(job["started"], float)
    hang.release()
    wait_until_idle(served)


def test_requests_end_before_the_server_does(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
    answers: list[int] = []
    with run_serve(settings(upstream, tmp_path, drain="10s")) as served:
        url = f"{served.url}/v2/{UP}/app/manifests/1"
        client = threading.Thread(
            target=lambda: answers.append(requests.get(url, timeout=30).status_code)
        )
        client.start()
        assert hang.reached.wait(10)
        threading.Timer(0.5, hang.release).start()
    client.join()
    assert answers == [200]


def test_a_server_ends_although_a_job_hangs(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
    with run_serve(settings(upstream, tmp_path), may_leave_files=True) as served:
        served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
        assert hang.reached.wait(10)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    hang.release()
    join_server_threads(10)


def test_more_connections_than_allowed_are_refused(upstream: FakeRegistry, tmp_path: Path) -> None:
    with run_serve(settings(upstream, tmp_path, limits={"connections": 2})) as served:
        sessions = [requests.Session() for _ in range(3)]
        codes = [session.get(f"{served.url}/v2/", timeout=10).status_code for session in sessions]
        assert codes == [200, 200, 503]
        for session in sessions:
            session.close()


def test_more_jobs_than_may_wait_hand_out_originals(upstream: FakeRegistry, tmp_path: Path) -> None:
    app("one").push(upstream, "one", "1")
    source = app("two").push(upstream, "two", "1")
    hang = upstream.arm(Fault("GET", "one/blobs/", FaultKind.HANG, times=100))
    section = settings(upstream, tmp_path, limits={"jobs_waiting": 0})
    section["engine"] = {"jobs": 1}
    with run_serve(section) as served:
        served.post("/api/v1/warm", json={"image": f"{UP}/one:1"})
        assert hang.reached.wait(10)
        assert served.manifest("two", "1").headers["Docker-Content-Digest"] == source
        hang.release()
        wait_until_idle(served)
        assert served.manifest("two", "1").headers["X-Squashproxy-Source"] == "squashed"
