"""Opening the engine: whoever is about to wait for workers hears that there are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from squashproxy.automation.engine import open_engine
from squashproxy.automation.fleet import fleet_settings
from squashproxy.automation.options import RunOptions
from squashproxy.config.read import parse_configuration
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.members import Member
from tests.fleet.redis_server import redis_server

RULES = "promote: [{name: apps, from: a.example.com/b, to: c.example.com/d}]"
WORKERS: dict[str, tuple[Sequence[QueueName], str, bool]] = {
    "one that takes all": (tuple(QueueName), "", True),
    "one for pulls alone": ((QueueName.INTERACTIVE,), "", False),
    "one of another version": (tuple(QueueName), "0.0", False),
    "none": ((), "", False),
}


@pytest.mark.parametrize(("queues", "version", "works"), WORKERS.values(), ids=WORKERS)
def test_it_says_that_nobody_will_do_the_work(
    queues: Sequence[QueueName], version: str, works: bool, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as server:
        text = f'engine: {{kind: celery, broker: "{server.url}"}}\n{RULES}'
        configuration = parse_configuration(text, "c.yml", Path(), {})
        settings = fleet_settings(configuration)
        worker = {
            "role": "worker",
            "version": version or settings.version,
            "product": "1",
            "queues": [queue.value for queue in queues],
            "processes": 1,
        }
        broker = Broker(settings)
        Member(broker, "worker", worker).say()
        said: list[str] = []
        with open_engine(configuration, RunOptions(), said.append):
            pass
        broker.close()
    expected = f"no worker takes bulk jobs of version {settings.version} from the broker"
    assert [sentence.startswith(expected) for sentence in said] == ([] if works else [True])
