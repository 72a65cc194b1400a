"""HTTP proxies that the environment names, chosen by origin."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies

from squashproxy.host import is_loopback


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's URL without its login; `login` is `user:password`, None without one."""

    url: str
    login: str | None


def find_proxy(origin: str) -> Proxy | None:
    """The proxy for an origin `scheme://host:port`; None for loopback, as in docker.

    `requests` reads `no_proxy` in all its forms: networks, ports, domains.
    """
    if is_loopback(urlsplit(origin).hostname or "") or not getproxies():
        return None
    from requests import utils  # noqa: PLC0415 - slow to import, and few users have proxies

    proxy = utils.select_proxy(origin, utils.get_environ_proxies(origin))
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    user, password = utils.get_auth_from_url(url)
    return Proxy(url, f"{user}:{password}" if user else None)
