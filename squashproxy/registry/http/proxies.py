"""The proxies of the environment: which one leads to an origin, if any does."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies

from squashproxy.host import is_loopback


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy without its login, and that as `user:password`, None where it has none."""

    url: str
    login: str | None


def find_proxy(origin: str) -> Proxy | None:
    """The proxy to an origin, which is `scheme://host:port`; none to loopback, as in docker.

    `requests` knows what its users write into `no_proxy`: networks, ports, domains.
    """
    if is_loopback(urlsplit(origin).hostname or "") or not getproxies():
        return None
    from requests import utils  # noqa: PLC0415 - few have proxies, and nobody else waits for it

    proxy = utils.select_proxy(origin, utils.get_environ_proxies(origin))
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    user, password = utils.get_auth_from_url(url)
    return Proxy(url, f"{user}:{password}" if user else None)
