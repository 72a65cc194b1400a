"""The same client against docker-registry, plain and behind TLS with a password."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import IntegrityError, NotFound, TlsError, Unauthorized
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions, UploadMode
from tests.real.registries import PASSWORD, USER, RealRegistry, run_registry

pytestmark = pytest.mark.real
BLOB = os.urandom(9 << 20)
DIGEST = digest_of(BLOB)
LAYER = Descriptor(mediatypes.OCI_LAYER, DIGEST, len(BLOB))
CONFIG = Descriptor(mediatypes.OCI_CONFIG, digest_of(b"{}"), 2)
MANIFEST = RawManifest(
    json.dumps(
        {"schemaVersion": 2, "config": CONFIG.to_json(), "layers": [LAYER.to_json()]}, indent=3
    ).encode(),
    mediatypes.OCI_MANIFEST,
)
Connect = Callable[..., RegistryClient]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "TLS and password"])
def real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealRegistry]:
    folder = tmp_path_factory.mktemp("docker-registry")
    with run_registry(folder, secured=request.param, tls=request.param) as registry:
        yield registry


@pytest.fixture
def let_in(environ: dict[str, str], real: RealRegistry) -> None:
    environ[variable_for(real.host)] = f"{USER}:{PASSWORD}"


def open_sessions(real: RealRegistry) -> list[Path]:
    """docker-registry keeps `startedat` for each; a cancelled one may leave empty folders."""
    return list(real.storage.rglob("_uploads/*/startedat"))


@pytest.mark.usefixtures("let_in")
@pytest.mark.parametrize("mode", UploadMode)
def test_an_image_goes_there_and_comes_back(
    connect: Connect, real: RealRegistry, mode: UploadMode
) -> None:
    client = connect(ClientOptions(ca=real.ca, upload={real.host: mode}))
    app = client.repository(Repository(real.host, f"apps/{mode.value}"))
    pieces = (BLOB[start : start + 100_000] for start in range(0, len(BLOB), 100_000))
    assert app.upload_blob(pieces) == (DIGEST, len(BLOB))
    app.upload_blob([b"{}"], CONFIG.digest)
    app.put_manifest(MANIFEST, "v1")
    assert app.find_manifest("v1") == MANIFEST.descriptor
    assert app.get_manifest(MANIFEST.digest) == MANIFEST
    assert app.find_blob(DIGEST) == len(BLOB)
    assert b"".join(app.iter_blob(LAYER)) == BLOB
    assert list(app.iter_tags()) == ["v1"]
    other = client.repository(Repository(real.host, f"other/{mode.value}"))
    assert other.find_blob(DIGEST) is None
    assert other.try_mount(DIGEST, app.name)
    assert other.find_blob(DIGEST) == len(BLOB)
    assert not other.try_mount(digest_of(b"nowhere"), app.name)
    assert open_sessions(real) == []


class StartAgain(Exception):
    """As a merge raises where it must begin anew: neither SquashproxyError nor OSError."""


@pytest.mark.usefixtures("let_in")
@pytest.mark.parametrize("mode", UploadMode)
@pytest.mark.parametrize("error", [KeyboardInterrupt, StartAgain])
def test_what_is_given_up_leaves_no_session(
    connect: Connect, real: RealRegistry, mode: UploadMode, error: type[BaseException]
) -> None:
    client = connect(ClientOptions(ca=real.ca, upload={real.host: mode}))
    app = client.repository(Repository(real.host, "apps/broken"))

    def interrupted() -> Iterator[bytes]:
        yield BLOB
        raise error

    with pytest.raises(error):
        app.upload_blob(interrupted())
    with pytest.raises(IntegrityError):
        app.upload_blob([BLOB], CONFIG.digest)
    with pytest.raises(NotFound, match="has no repository apps/broken"):
        list(app.iter_tags())
    assert open_sessions(real) == []


def test_a_refused_user_learns_why(connect: Connect, real: RealRegistry) -> None:
    if not real.secured:
        with pytest.raises(NotFound, match="has no tag v9"):
            connect().repository(Repository(real.host, "apps/auto")).get_manifest("v9")
        return
    with pytest.raises(TlsError, match="give its authority with `ca`"):
        connect().repository(Repository(real.host, "apps/auto")).get_manifest("v9")
    client = connect(ClientOptions(ca=real.ca))
    with pytest.raises(Unauthorized, match=rf"run `docker login {real.host}`"):
        client.repository(Repository(real.host, "apps/auto")).get_manifest("v9")


def lists_in(real: RealRegistry) -> list[str]:
    """The lists that were asked for, with their statuses, by the registry's own log."""
    asked = re.findall(r'"GET (/v2/\S*(?:list|_catalog)\S*) HTTP/1.1" (\d+)', real.log.read_text())
    return [f"{status} {path}" for path, status in asked]


def test_lists_are_read_whole_and_asked_for_once_more(connect: Connect, tmp_path: Path) -> None:
    """It ignores `last` for tags, so they come twice; for repositories it knows it."""
    with run_registry(tmp_path, logs_access=True) as real:
        client = connect()
        app = client.repository(Repository(real.host, "app"))
        app.upload_blob([b"{}"], CONFIG.digest)
        app.upload_blob([BLOB], DIGEST)
        tags = [f"v{number}" for number in range(30)]
        for tag in tags:
            app.put_manifest(MANIFEST, tag)
        assert sorted(app.iter_tags()) == sorted(tags)
        assert list(client.iter_repositories(real.host)) == ["app"]
        tags_path, again, *repositories = lists_in(real)
        assert tags_path == "200 /v2/app/tags/list?n=1000"
        assert again.startswith("200 /v2/app/tags/list?n=1000&last=v")
        assert repositories == ["200 /v2/_catalog?n=1000", "200 /v2/_catalog?n=1000&last=app"]


def test_a_catalogue_with_a_maximum_is_read_page_by_page(connect: Connect, tmp_path: Path) -> None:
    """`n=1000` is refused there (catalog.maxentries, issue 26)."""
    with run_registry(tmp_path, logs_access=True, max_entries=2) as real:
        client = connect()
        names = [f"apps/a{number}" for number in range(5)]
        for name in names:
            client.repository(Repository(real.host, name)).upload_blob([b"{}"], CONFIG.digest)
        assert list(client.iter_repositories(real.host)) == names
        refused, first, *_ = lists_in(real)
        assert refused == "400 /v2/_catalog?n=1000"
        assert first == "200 /v2/_catalog"


def test_it_says_that_it_lists_no_referrers(connect: Connect, tmp_path: Path) -> None:
    with run_registry(tmp_path) as real:
        app = connect().repository(Repository(real.host, "app"))
        app.upload_blob([b"{}"], CONFIG.digest)
        assert not app.lists_referrers()
        assert app.list_referrers(MANIFEST.digest) is None
