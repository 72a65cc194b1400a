"""The broker, Redis or Valkey: a client that changes jobs by scripts, and whose errors are ours."""

from __future__ import annotations

import ssl
import threading
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from squashproxy.errors import UsageError, reason_of
from squashproxy.fleet.broker_errors import broker_error
from squashproxy.fleet.errors import BrokerRefused, FleetError
from squashproxy.fleet.settings import FleetSettings
from squashproxy.printable import printable

OLDEST = (6, 2)
"""The oldest version of Redis that works: 6.2 (Valkey: any)."""

_SECONDS = 5.0
"""For an answer; less where leases are short, so that one slow answer costs no lease."""

_CONNECTIONS = 512


def address_of(url: str) -> str:
    """The broker's scheme, host and port, without anything secret."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{parts.port or 6379}"


class Broker:
    """A client of the broker of some settings; usable from several threads.

    Every method raises BrokerAway and BrokerRefused. Nothing is retried here: a script may have run
    although its answer was lost, and bears to run twice.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self.settings = settings
        self.address = address_of(settings.broker)
        self._client = _client(settings)
        self._scripts: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Broker({self.address!r})"

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def run(self, script: str, *arguments: str | bytes | float) -> Any:
        """Run `scripts/{script}.lua`."""
        with self._lock:
            found = self._scripts.get(script)
            if found is None:
                found = self._scripts[script] = self._client.register_script(_source(script))
        try:
            return found(keys=[self.settings.prefix], args=arguments)
        except exceptions.RedisError as error:
            raise self.error(error) from error

    def ask(self, *command: str | bytes | float) -> Any:
        """Send one command."""
        try:
            return self._client.execute_command(*command)
        except exceptions.RedisError as error:
            raise self.error(error) from error

    def ask_all(self, commands: list[tuple[str | bytes | float, ...]]) -> list[Any]:
        """Send several commands at once; the answers in their order."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            answers: list[Any] = pipeline.execute()
        except exceptions.RedisError as error:
            raise self.error(error) from error
        return answers

    def subscription(self) -> Any:
        """A subscription of redis-py's own; its errors are to be passed to `error`."""
        return self._client.pubsub(ignore_subscribe_messages=True)

    def key(self, *parts: str) -> str:
        """The name of a key below the prefix."""
        return ":".join((self.settings.prefix, *parts))

    def milliseconds(self) -> int:
        """The broker's clock."""
        seconds, micros = self.ask("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def run_id(self) -> str:
        """A name that the broker has until it starts again, or another one takes its place."""
        return _facts(self.ask("INFO", "server")).get("run_id", "")

    def check(self) -> list[str]:
        """Warnings about the broker. Raises where it is of no use, as one that is too old."""
        facts = _facts(self.ask("INFO"))
        version = facts.get("redis_version", "")
        if "valkey_version" not in facts and _numbers(version) < OLDEST:
            raise BrokerRefused(
                f"the broker {self.address} is Redis {printable(version)}",
                advice=f"use {OLDEST[0]}.{OLDEST[1]} or newer, or Valkey",
            )
        if facts.get("redis_mode") == "cluster":
            raise BrokerRefused(
                f"the broker {self.address} is a cluster, and the fleet needs one server",
                advice="use a server of its own, with replicas if you like",
            )
        policy = facts.get("maxmemory_policy", "noeviction")
        if policy != "noeviction" and facts.get("maxmemory", "0") != "0":
            sentence = (
                f"the broker {self.address} evicts keys when it is full (maxmemory-policy is "
                f"{printable(policy)}), and jobs with them; set noeviction"
            )
            return [sentence]
        return []

    def error(self, error: exceptions.RedisError) -> FleetError:
        """The error of the tree for one of redis-py's."""
        return broker_error(error, self.address)


def _client(settings: FleetSettings) -> Any:
    options: dict[str, Any] = {}
    if settings.broker.startswith("rediss://"):
        options["ssl_cert_reqs"] = "required"
        options["ssl_check_hostname"] = True
        if settings.ca is not None:
            _check_authority(settings.ca)
            options["ssl_ca_certs"] = str(settings.ca)
    seconds = min(_SECONDS, settings.lease / 4)
    try:
        return redis.Redis.from_url(
            settings.url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            socket_keepalive=True,
            health_check_interval=30,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            max_connections=_CONNECTIONS,
            **options,
        )
    except ValueError as error:
        raise UsageError(
            f"the broker {address_of(settings.broker)} has options that mean nothing",
            advice="write `engine.broker` as redis://HOST:PORT/NUMBER",
        ) from error


def _check_authority(file: Path) -> None:
    """Both clients would blame the broker for a file that is missing, or is no certificate."""
    what = f"{file}, which `engine.ca` or --ca names for the broker,"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        raise UsageError(f"{what} holds no PEM certificate", advice="name one that does") from error
    except OSError as error:
        raise UsageError(
            f"{what} cannot be read: {reason_of(error)}", advice="mend its name or its rights"
        ) from error


def _source(script: str) -> str:
    folder = resources.files("squashproxy.fleet") / "scripts"
    return "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in ("common", script))


def _facts(info: Any) -> dict[str, str]:
    """The answer to INFO, which redis-py has parsed already, or not."""
    if isinstance(info, dict):
        return {str(name): str(value) for name, value in info.items()}
    text = info.decode("utf-8", "replace")
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, colon, value in pairs if colon}


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())
