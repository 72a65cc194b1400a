"""Messages to workers, through Celery. A message wakes a process, and names a job to begin with."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from squashproxy.fleet.job import QueueName
from squashproxy.fleet.queue_names import key_prefix, queue_name
from squashproxy.fleet.records import Message
from squashproxy.fleet.settings import FleetSettings

_LOG = logging.getLogger("squashproxy.fleet")
TASK = "squashproxy.job"
_SECONDS = 5.0


def celery_app(settings: FleetSettings, queues: tuple[QueueName, ...]) -> Any:
    """Celery's application for workers and submitters of `settings`."""
    app = celery.Celery("squashproxy", set_as_current=False)
    transport = {
        "visibility_timeout": settings.visibility,
        "global_keyprefix": key_prefix(settings),
        "queue_order_strategy": "priority",
        "socket_timeout": _SECONDS,
        "socket_connect_timeout": _SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "max_retries": 1,
    }
    app.conf.update(
        broker_url=settings.url,
        broker_transport_options=transport,
        visibility_timeout=settings.visibility,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=False,
        task_default_queue=_queue(settings, queues[0]).name,
        task_queues=[_queue(settings, queue) for queue in queues],
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_proc_alive_timeout=60.0,
        enable_utc=True,
    )
    if settings.broker.startswith("rediss://"):
        app.conf.broker_use_ssl = _tls(settings)
    return app


class Messenger:
    """Sends messages; usable from several threads.

    One that cannot be sent is no error: workers look for queued jobs without a message.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._app = celery_app(settings, tuple(QueueName))

    def send(self, message: Message) -> bool:
        """Tell the workers of a job; False if the broker did not take it."""
        name = queue_name(self._settings, message.queue.value, message.version)
        try:
            self._app.send_task(
                TASK,
                args=(message.job,),
                queue=Queue(name, Exchange(name), routing_key=name, durable=True),
                retry=False,
                ignore_result=True,
            )
        except (OperationalError, OSError) as error:
            _LOG.debug("a message was not sent: %s", type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Close all connections."""
        self._app.close()


def _queue(settings: FleetSettings, queue: QueueName) -> Any:
    name = queue_name(settings, queue.value, settings.version)
    return Queue(name, Exchange(name), routing_key=name, durable=True)


def _tls(settings: FleetSettings) -> dict[str, Any]:
    stated: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    if settings.ca is not None:
        stated["ssl_ca_certs"] = str(settings.ca)
    return stated
