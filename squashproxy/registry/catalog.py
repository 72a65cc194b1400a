"""The repositories of a registry (`_catalog`, an endpoint of distribution only)."""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.errors import Denied, NotFound, RegistryError, Unauthorized
from squashproxy.registry.auth.scopes import catalog
from squashproxy.registry.caller import Caller
from squashproxy.registry.name_lists import NameList, NameListReader


def iter_repositories(caller: Caller) -> Iterator[str]:
    """The path of every listed repository once, in the registry's order; a path may be invalid.

    Raises RegistryError and FormatError. Many registries list nothing; then rules must give names.
    """
    what = "the list of repositories"
    where = f"{what} of {caller.endpoint.name}"
    listing = NameList("/v2/_catalog", "repositories", what, where, catalog())
    try:
        yield from NameListReader(caller, listing).iter_names()
    except (NotFound, Denied, Unauthorized) as error:
        if error.status is None:
            raise
        raise RegistryError(
            f"{caller.endpoint.name} does not list its repositories (HTTP {error.status})",
            advice="write their names in place of a glob",
            status=error.status,
        ) from error
