"""The names of Celery's queues, and of the broker's lists of their messages."""

from __future__ import annotations

from squashproxy.fleet.job import QueueName
from squashproxy.fleet.settings import FleetSettings


def queue_name(settings: FleetSettings, queue: str, version: str) -> str:
    """The name of a queue; workers of another version have others."""
    return f"{settings.prefix}.{queue}.{version}"


def key_prefix(settings: FleetSettings) -> str:
    """How all keys of Celery begin."""
    return f"{settings.prefix}:celery:"


def message_list(settings: FleetSettings) -> str:
    """The broker's list of a queue's messages, with QUEUE and VERSION in its name."""
    return f"{key_prefix(settings)}{queue_name(settings, 'QUEUE', 'VERSION')}"


def queue_list(settings: FleetSettings, queue: QueueName) -> str:
    """The broker's list of the messages of a queue of this version."""
    return f"{key_prefix(settings)}{queue_name(settings, queue.value, settings.version)}"
