"""The repositories of a registry (`_catalog`, which is distribution's own)."""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.errors import Denied, NotFound, RegistryError, Unauthorized
from squashproxy.registry.auth.scopes import catalog
from squashproxy.registry.caller import Caller
from squashproxy.registry.name_lists import Listing, NameReader


def iter_repositories(caller: Caller) -> Iterator[str]:
    """The path of every repository once, in the registry's order; what is listed need be none.

    Raises RegistryError and FormatError; many registries list nothing, and then names have to be
    written out.
    """
    what = "the list of repositories"
    where = f"{what} of {caller.endpoint.name}"
    listing = Listing("/v2/_catalog", "repositories", what, where, catalog())
    try:
        yield from NameReader(caller, listing).iter_names()
    except (NotFound, Denied, Unauthorized) as error:
        if error.status is None:
            raise
        raise RegistryError(
            f"{caller.endpoint.name} does not list its repositories (HTTP {error.status})",
            advice="write their names in place of a glob",
            status=error.status,
        ) from error
