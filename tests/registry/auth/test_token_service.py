"""Token services behind redirects (issue 26)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from squashproxy.errors import RegistryError, Unauthorized
from squashproxy.oci import mediatypes
from squashproxy.reference import Repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import Bearer, FakeRegistry, Fault, RegistryOptions

BEARER = Bearer("ann", "s3cret")
STATUSES = [301, 302, 303, 307, 308]


def opened(
    client: RegistryClient, environ: dict[str, str], registry: FakeRegistry
) -> RemoteRepository:
    registry.put_manifest("app", "v1", b'{"schemaVersion": 2}', mediatypes.OCI_MANIFEST)
    environ[variable_for(registry.host)] = "ann:s3cret"
    return client.repository(Repository(registry.host, "app"))


@pytest.mark.parametrize("status", STATUSES)
def test_within_one_origin_the_password_goes_along(
    client: RegistryClient, environ: dict[str, str], status: int
) -> None:
    auth = replace(BEARER, redirect=status)
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        assert opened(client, environ, registry).find_manifest("v1") is not None
        first, second = [one for one in registry.requests if one.path.startswith("/token")]
        assert first.status == status
        assert second.headers["authorization"] == first.headers["authorization"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_identity_token_goes_along_too(
    client: RegistryClient, environ: dict[str, str], status: int
) -> None:
    auth = replace(BEARER, refresh_token="idt", redirect=status)
    with FakeRegistry(RegistryOptions(auth=auth)) as registry:
        app = opened(client, environ, registry)
        del environ[variable_for(registry.host)]
        environ["DOCKER_AUTH_CONFIG"] = (
            f'{{"auths": {{"{registry.host}": {{"identitytoken": "idt"}}}}}}'
        )
        assert app.find_manifest("v1") is not None
        asked = [one.method for one in registry.requests if one.path.startswith("/token")]
        assert asked == ["POST", "POST"]


@pytest.mark.parametrize("status", STATUSES)
def test_another_origin_gets_no_password(
    client: RegistryClient, environ: dict[str, str], status: int
) -> None:
    """It may issue a token to anybody, as it does for public images."""
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry, FakeRegistry() as other:
        app = opened(client, environ, registry)
        headers = (("Location", f"{other.url}/token?scope=x"),)
        registry.arm(Fault("GET", "/token", status=status, headers=headers, times=9))
        other.arm(Fault("GET", "/token", status=401, times=9))
        sentence = f"which sent us to {other.url}/token, where no password was sent"
        with pytest.raises(Unauthorized, match=re.escape(sentence)):
            app.find_manifest("v1")
        assert other.requests
        assert all("authorization" not in one.headers for one in other.requests)


@pytest.mark.parametrize("status", STATUSES)
def test_another_origin_gets_no_identity_token(
    client: RegistryClient, environ: dict[str, str], status: int
) -> None:
    auth = replace(BEARER, refresh_token="idt")
    with FakeRegistry(RegistryOptions(auth=auth)) as registry, FakeRegistry() as other:
        app = opened(client, environ, registry)
        del environ[variable_for(registry.host)]
        environ["DOCKER_AUTH_CONFIG"] = (
            f'{{"auths": {{"{registry.host}": {{"identitytoken": "idt"}}}}}}'
        )
        headers = (("Location", f"{other.url}/token"),)
        registry.arm(Fault("*", "/token", status=status, headers=headers, times=9))
        with pytest.raises(RegistryError, match="a token from"):
            app.find_manifest("v1")
        for one in other.requests:
            assert one.method == "GET"
            assert "authorization" not in one.headers
            assert "idt" not in one.path


def test_redirects_in_circles_end(client: RegistryClient, environ: dict[str, str]) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = opened(client, environ, registry)
        headers = (("Location", "/token"),)
        registry.arm(Fault("GET", "/token", status=302, headers=headers, times=99))
        with pytest.raises(RegistryError, match="redirects in circles"):
            app.find_manifest("v1")


def test_a_redirect_without_location_is_a_refusal(
    client: RegistryClient, environ: dict[str, str]
) -> None:
    with FakeRegistry(RegistryOptions(auth=BEARER)) as registry:
        app = opened(client, environ, registry)
        registry.arm(Fault("GET", "/token", status=302, times=99))
        with pytest.raises(Unauthorized, match=r"a token from .* \(HTTP 302\)"):
            app.find_manifest("v1")
