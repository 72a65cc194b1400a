"""The section `engine`."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.automation.fleet import fleet_settings, is_fleet
from squashproxy.config.configuration import Configuration
from squashproxy.config.read import parse_configuration
from squashproxy.config.warnings import warnings_of
from squashproxy.errors import BadConfiguration, UsageError


def parse(text: str) -> Configuration:
    return parse_configuration(text, "sp.yml", Path("/folder"), {"PASSWORD": "s3/cr@t"})


def engine(keys: str) -> str:
    return f"engine: {{kind: celery, {keys}}}"


BAD = {
    "no scheme": ("broker: 's3cret@127.0.0.1:6379'", "this is no URL of a broker; write redis://"),
    "no scheme and no password": ("broker: '127.0.0.1:6379/0'", "this is no URL of a broker"),
    "a host alone": ("broker: redis", "this is no URL of a broker"),
    "another broker": ("broker: 'amqp://s3cret@h//'", "this is no URL of a broker"),
    "a web address": ("broker: 'https://h/0'", "this is no URL of a broker"),
    "no host": ("broker: 'redis:///0'", "names no host"),
    "a password that breaks the URL": ("broker: 'redis://:s3c/ret@h:1/0'", "a password with odd"),
    "a port of letters": ("broker: 'redis://h:port/0'", "this URL cannot be read"),
    "a port of nothing": ("broker: 'redis://h:0/0'", "names no host"),
    "a port that is too high": ("broker: 'redis://h:99999/0'", "this URL cannot be read"),
    "a database of letters": ("broker: 'redis://h:1/db'", "more than host, port and number"),
    "a host with an empty part": ("broker: 'redis://a..b:1/0'", "this URL cannot be read"),
    "a host that is too long": (f"broker: 'redis://{'a' * 64}/0'", "this URL cannot be read"),
    "options": ("broker: 'redis://h:1/0?ssl=1'", "more than host, port and number"),
    "a number": ("broker: 6379", "cannot stand here; write a text"),
    "a queue of several words": ("broker: 'redis://h', queue: 'a b'", "begins no name of a queue"),
    "a queue with a colon": ("broker: 'redis://h', queue: 'a:b'", "begins no name of a queue"),
    "a queue without a name": ("broker: 'redis://h', queue: ''", "begins no name of a queue"),
    "a lease of no time": ("broker: 'redis://h', lease: 0s", "a lease is from 1s to 1h"),
    "a lease of a day": ("broker: 'redis://h', lease: 1d", "a lease is from 1s to 1h"),
    "a drain of a day": ("broker: 'redis://h', drain: 1d", "write 1h or less"),
    "two passwords": (
        "broker: 'redis://:s3cret@h', password: s3cret",
        "engine.broker and engine.password hold a password each; write one of them",
    ),
    "an unknown key": ("broker: 'redis://h', leese: 60s", "did you mean 'lease'?"),
}


@pytest.mark.parametrize(("keys", "sentence"), BAD.values(), ids=list(BAD))
def test_what_is_wrong_with_an_engine_is_said_without_its_password(
    keys: str, sentence: str
) -> None:
    with pytest.raises(BadConfiguration) as caught:
        parse(engine(keys))
    (told,) = caught.value.sentences()
    assert told.startswith("sp.yml:1: ")
    assert sentence in told
    assert "s3c" not in told
    assert caught.value.exit_code == 2


GOOD = {
    "a host": ("broker: redis://h", "redis://h"),
    "a port and a database": ("broker: 'redis://h:6380/3'", "redis://h:6380/3"),
    "TLS": ("broker: 'rediss://user:pw@h:6380/0'", "rediss://user:pw@h:6380/0"),
    "an address of IPv6": ("broker: 'redis://[::1]:6379'", "redis://[::1]:6379"),
    "a password apart": (
        "broker: 'redis://h/1', password: '${PASSWORD}'",
        "redis://:s3%2Fcr%40t@h/1",
    ),
    "a user in the URL and a password apart": (
        "broker: 'redis://me@h/1', password: '${PASSWORD}'",
        "redis://me:s3%2Fcr%40t@h/1",
    ),
}


@pytest.mark.parametrize(("keys", "url"), GOOD.values(), ids=list(GOOD))
def test_a_broker_is_where_its_url_says(keys: str, url: str) -> None:
    found = parse(engine(keys))
    assert is_fleet(found)
    assert fleet_settings(found).url == url


def test_what_is_not_written_has_a_default() -> None:
    settings = fleet_settings(parse(engine("broker: redis://h")))
    assert (settings.prefix, settings.lease, settings.drain, settings.jobs) == (
        *("squashproxy", 60.0),
        *(30.0, 2),
    )


def test_what_is_written_counts() -> None:
    keys = "broker: rediss://h, queue: team-a, lease: 5s, drain: 2m, jobs: 7, ca: ca.pem"
    settings = fleet_settings(parse(engine(keys)))
    assert (settings.prefix, settings.lease, settings.drain, settings.jobs) == (
        *("team-a", 5.0),
        *(120.0, 7),
    )
    assert settings.ca == Path("/folder/ca.pem")


def test_a_fleet_is_known_by_its_rules_and_its_store() -> None:
    text = f"""{engine("broker: redis://h")}
promote: [{{name: apps, from: a.io/b, to: c.io/d}}]
cleanup: [{{name: old, action: squash, repositories: [c.io/d]}}]
serve: {{upstreams: {{docker.io: {{}}}}, store: {{registry: c.io/cache}}}}
"""
    assert fleet_settings(parse(text)).marks == {"promote:apps", "cleanup:old", "store:c.io/cache"}


def test_there_are_no_workers_without_the_engine() -> None:
    local = parse("engine: {kind: local}")
    assert not is_fleet(local)
    with pytest.raises(UsageError, match=r"there are no workers, since engine\.kind is local"):
        fleet_settings(local)


ODD = {
    "a broker that nobody uses": (
        "engine: {broker: redis://h}",
        "engine.broker is not used, since engine.kind is local; write kind: celery",
    ),
    "an authority that nobody uses": (
        engine("broker: redis://h, ca: ca.pem"),
        "engine.ca is not used, since engine.broker does not begin with rediss://",
    ),
    "an engine as it should be": (engine("broker: rediss://h, ca: ca.pem"), None),
}


@pytest.mark.parametrize(("text", "warning"), ODD.values(), ids=list(ODD))
def test_an_engine_that_looks_unintended_is_warned_of(text: str, warning: str | None) -> None:
    assert warnings_of(parse(text)) == ([] if warning is None else [warning])


def test_no_text_of_a_configuration_shows_the_password() -> None:
    found = parse(engine("broker: 'redis://h', password: '${PASSWORD}'"))
    assert "s3/cr@t" not in repr(found)
    assert "s3/cr@t" not in repr(fleet_settings(found))
    in_url = parse(engine("broker: 'redis://:s3cret@h'"))
    assert "s3cret" not in repr(in_url) + repr(fleet_settings(in_url))
