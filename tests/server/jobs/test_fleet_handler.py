"""A worker squashes what its own configuration squashes, and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.config.read import parse_configuration
from squashproxy.digest import Digest, digest_of
from squashproxy.errors import NotFound, Unauthorized, Unsigned
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import SilentObserver
from squashproxy.reference import Repository
from squashproxy.registry.options import ClientOptions
from squashproxy.server.auth.caller import ANYONE, Caller
from squashproxy.server.jobs.fleet_handler import (
    OtherConfiguration,
    SquashHandler,
    open_squash_handler,
)
from squashproxy.server.jobs.fleet_order import NOBODY, SquashResult, read_result, request_of
from squashproxy.server.jobs.job import SquashOrder
from squashproxy.server.jobs.jobs import JobIdle
from squashproxy.server.jobs.keys import load_keys
from squashproxy.server.jobs.rules import Rules
from squashproxy.server.store.base import SquashKey
from squashproxy.signing.signature_manifest import tag_for
from squashproxy.testing import Basic, FakeRegistry, Fault, FaultKind, RegistryOptions
from tests.pipeline.signatures.signed import RIGHT
from tests.server.pull.signing import write_key
from tests.server.scripted_fleet import ScriptedFleet
from tests.server.serving import UP, app, settings


@pytest.fixture
def store() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def section_for(upstream: FakeRegistry, store: FakeRegistry, **more: Any) -> dict[str, Any]:
    place = {"registry": f"{store.host}/cache"}
    return settings(upstream, Path(), store=place, **more)


@contextmanager
def handler_of(section: dict[str, Any]) -> Iterator[SquashHandler]:
    parsed = parse_configuration(json.dumps(section), "serve.yml", Path(), {})
    with open_squash_handler(parsed, ClientOptions(), {}, ScriptedFleet()) as handler:
        assert handler is not None
        yield handler


def body_for(
    section: dict[str, Any], source: str, repository: str = "app", caller: Caller = ANYONE
) -> dict[str, Any]:
    """The body that a server with the configuration sends."""
    parsed = parse_configuration(json.dumps(section), "serve.yml", Path(), {})
    assert parsed.serve is not None
    name = Repository(UP, repository)
    keys = load_keys(parsed.serve, {}, lambda _: None)
    rules = Rules(parsed.serve.rules, parsed.serve.limits, None, keys)
    recipe = rules.find(name)
    key = SquashKey(name, Digest(source), "none" if recipe is None else recipe.hash)
    options = CopyOptions() if recipe is None else recipe.options
    order = SquashOrder(key, f"{name}:1", caller, options)
    return dict(request_of(order, section["serve"]["store"]["registry"]).body)


def run(handler: SquashHandler, body: dict[str, Any]) -> SquashResult:
    answer = handler(json.loads(json.dumps(body)), SilentObserver(), Cancellation())
    return read_result(json.loads(json.dumps(answer)))


def test_the_image_is_in_the_shared_store_and_its_record_goes_back(
    upstream: FakeRegistry, store: FakeRegistry
) -> None:
    source = app().push(upstream, "app", "1")
    section = section_for(upstream, store)
    with handler_of(section) as handler:
        result = run(handler, body_for(section, source))
    assert result.record.image == f"{UP}/app:1"
    assert result.record.source_digest == source
    assert result.record.layers_before > result.record.layers_after
    assert result.fetched > 0
    assert result.record.digest in store.manifests(f"cache/{UP}/app")


def test_a_job_that_is_done_twice_gives_the_same(
    upstream: FakeRegistry, store: FakeRegistry
) -> None:
    source = app().push(upstream, "app", "1")
    section = section_for(upstream, store)
    with handler_of(section) as handler:
        first = run(handler, body_for(section, source))
        again = run(handler, body_for(section, source))
    assert again.record.digest == first.record.digest
    assert again.fetched < first.fetched, "nothing is squashed again"


OTHER_CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "other options": {"rules": [{"match": "*", "base": "none"}]},
    "nothing squashed": {"rules": [{"match": "*", "squash": False}]},
    "another upstream": {"upstreams": {"other.example": {}}},
    "another store": {"store": {"registry": "127.0.0.1:1/elsewhere"}},
}


@pytest.mark.parametrize("more", OTHER_CONFIGURATIONS.values(), ids=OTHER_CONFIGURATIONS)
def test_a_worker_with_another_configuration_leaves_the_job_to_another(
    upstream: FakeRegistry, store: FakeRegistry, more: dict[str, Any]
) -> None:
    """It asks nobody for anything, whatever a job names."""
    source = app().push(upstream, "app", "1")
    asked = len(upstream.requests)
    section = section_for(upstream, store)
    other = {"serve": {**section["serve"], **more}}
    with handler_of(other) as handler, pytest.raises(OtherConfiguration) as caught:
        run(handler, body_for(section, source))
    assert caught.value.temporary
    assert "start servers and workers with the same configuration" in str(caught.value)
    assert len(upstream.requests) == asked
    assert store.requests == ()


def test_a_worker_signs_as_its_configuration_says(
    upstream: FakeRegistry, store: FakeRegistry, tmp_path: Path
) -> None:
    source = app().push(upstream, "app", "1")
    sign = {"key": str(write_key(tmp_path)), "format": "tag"}
    section = section_for(upstream, store, sign=sign)
    body = body_for(section, source)
    with handler_of(section) as handler:
        result = run(handler, body)
    assert result.record.signed_with == RIGHT.public.fingerprint
    assert tag_for(result.record.digest) in store.tags(f"cache/{UP}/app")
    unsigned = section_for(upstream, store)
    assert body_for(unsigned, source)["options"] == body["options"], "the image is the same"
    with handler_of(unsigned) as handler, pytest.raises(OtherConfiguration):
        run(handler, body)


def test_an_image_that_is_not_signed_is_refused_by_a_worker_too(
    upstream: FakeRegistry, store: FakeRegistry, tmp_path: Path
) -> None:
    source = app().push(upstream, "app", "1")
    (tmp_path / "right.pub").write_bytes(RIGHT.public.pem)
    rules = [{"match": "*", "require_signature": [str(tmp_path / "right.pub")]}]
    section = section_for(upstream, store, rules=rules)
    with handler_of(section) as handler, pytest.raises(Unsigned):
        run(handler, body_for(section, source))
    assert not store.tags(f"cache/{UP}/app")
    with handler_of(section_for(upstream, store)) as handler, pytest.raises(OtherConfiguration):
        run(handler, body_for(section, source))


def test_an_anonymous_caller_s_image_is_read_without_the_worker_s_credentials(
    store: FakeRegistry,
) -> None:
    options = RegistryOptions(auth=Basic("worker", "secret"))
    with FakeRegistry(options) as private:
        source = digest_of(b"whatever")
        upstreams = {UP: {"url": private.url, "username": "worker", "password": "secret"}}
        section = section_for(private, store, upstreams=upstreams)
        with handler_of(section) as handler:
            with pytest.raises(Unauthorized):
                run(handler, body_for(section, source, caller=NOBODY))
            assert all("authorization" not in asked.headers for asked in private.requests)
            with pytest.raises(NotFound):
                run(handler, body_for(section, source))


def test_work_without_progress_is_given_up(upstream: FakeRegistry, store: FakeRegistry) -> None:
    source = app(size=400_000).push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=1000, times=99))
    section = section_for(upstream, store, limits={"job_idle": "1s"})
    with handler_of(section) as handler:
        release = threading.Timer(3, hang.release)
        release.start()
        with pytest.raises(JobIdle, match="nothing of it came for 1 s"):
            run(handler, body_for(section, source))
        hang.release()
        release.cancel()


def test_a_job_that_the_worker_gives_up_ends_with_cancelled(
    upstream: FakeRegistry, store: FakeRegistry
) -> None:
    source = app().push(upstream, "app", "1")
    section = section_for(upstream, store)
    cancellation = Cancellation()
    cancellation.cancel()
    with handler_of(section) as handler, pytest.raises(Cancelled):
        handler(body_for(section, source), SilentObserver(), cancellation)
    assert store.open_uploads == 0


NONE: dict[str, dict[str, Any]] = {
    "no section": {},
    "a folder as the store": {"serve": {"upstreams": {UP: {}}, "store": {"directory": "/x"}}},
}


@pytest.mark.parametrize("section", NONE.values(), ids=NONE)
def test_a_configuration_that_no_worker_can_serve_has_no_handler(section: dict[str, Any]) -> None:
    parsed = parse_configuration(json.dumps(section), "squashproxy.yml", Path(), {})
    with open_squash_handler(parsed, ClientOptions(), {}, ScriptedFleet()) as handler:
        assert handler is None
