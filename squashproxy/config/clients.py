"""The options of registry clients, from the configuration and the command line."""

from __future__ import annotations

from urllib.parse import urlsplit

from squashproxy.config.configuration import Configuration
from squashproxy.registry.options import ClientOptions


def client_options(configuration: Configuration, common: ClientOptions) -> ClientOptions:
    """The command line's options, completed by those of the configuration."""
    upstreams = {} if configuration.serve is None else configuration.serve.upstreams
    registries = configuration.registries
    urls = {host: each.url for host, each in upstreams.items() if each.url is not None}
    authorities = {
        urlsplit(urls.get(host, f"//{host}")).netloc: each.ca
        for host, each in registries.items()
        if each.ca is not None
    }
    return ClientOptions(
        authfile=common.authfile,
        ca=common.ca,
        plain_http=common.plain_http | {host for host, at in registries.items() if at.plain_http},
        insecure=common.insecure | {host for host, at in registries.items() if at.insecure},
        upload={host: at.upload for host, at in registries.items()},
        urls=urls,
        rates={host: each.rate for host, each in registries.items() if each.rate is not None},
        authorities=authorities,
        logins={
            host: (each.username, each.password)
            for host, each in upstreams.items()
            if each.username is not None and each.password is not None
        },
    )
