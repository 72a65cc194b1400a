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
    apis = {host: urlsplit(urls.get(host, f"//{host}")).netloc for host in registries}
    authorities = {apis[host]: at.ca for host, at in registries.items() if at.ca is not None}
    return ClientOptions(
        authfile=common.authfile,
        ca=common.ca,
        plain_http=common.plain_http | {host for host, at in registries.items() if at.plain_http},
        insecure=common.insecure | {host for host, at in registries.items() if at.insecure},
        upload={host: at.upload for host, at in registries.items()},
        urls=urls,
        rates={host: each.rate for host, each in registries.items() if each.rate is not None},
        authorities=authorities,
        retry_for=common.retry_for,
        retry_for_host={
            host: at.retry_for for host, at in registries.items() if at.retry_for is not None
        },
        least_speed=common.least_speed,
        least_speeds={
            apis[host]: at.least_speed
            for host, at in registries.items()
            if at.least_speed is not None
        },
        logins={
            host: (each.username, each.password)
            for host, each in upstreams.items()
            if each.username is not None and each.password is not None
        },
    )
