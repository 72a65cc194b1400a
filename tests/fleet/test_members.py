"""The processes of a fleet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from squashproxy.fleet.errors import ForeignFleet
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.settings import FleetSettings

A, B, AB = frozenset({"promote:a"}), frozenset({"promote:b"}), frozenset({"promote:a", "promote:b"})

TOGETHER = {
    "the same rules": (A, A),
    "some in common": (AB, B),
    "no rules yet": (A, frozenset()),
    "rules where there were none": (frozenset(), A),
}


@pytest.mark.parametrize(("first", "second"), TOGETHER.values(), ids=list(TOGETHER))
def test_configurations_that_belong_together_share_a_queue(
    settings: FleetSettings, first: frozenset[str], second: frozenset[str]
) -> None:
    with (
        Fleet(replace(settings, marks=first)) as one,
        Fleet(replace(settings, marks=second)) as other,
    ):
        one.join()
        other.join()


def test_an_unrelated_configuration_is_refused_while_the_first_lives(
    settings: FleetSettings,
) -> None:
    with Fleet(replace(settings, marks=A), name="host:1:aa") as one:
        one.join()
        with (
            Fleet(replace(settings, marks=B)) as other,
            pytest.raises(ForeignFleet) as caught,
        ):
            other.join()
        assert str(caught.value) == (
            f"the queue squashproxy on the broker {one.address} belongs to another configuration, "
            "which host:1:aa runs; give one of them another name as `engine.queue`"
        )
        assert caught.value.exit_code == 2
        with Fleet(replace(settings, marks=B, prefix="others")) as elsewhere:
            elsewhere.join()
    with Fleet(replace(settings, marks=B)) as other:
        other.join()


def test_a_configuration_in_between_brings_no_strangers_together(settings: FleetSettings) -> None:
    with (
        Fleet(replace(settings, marks=A)) as one,
        Fleet(replace(settings, marks=AB)) as between,
        Fleet(replace(settings, marks=B)) as other,
    ):
        one.join()
        between.join()
        other.join()


def test_a_worker_is_seen_with_what_it_takes(settings: FleetSettings) -> None:
    with Fleet(settings, name="host:1:aa") as fleet:
        fleet.join(
            {
                "role": "worker",
                "version": "5.1",
                "product": "0.1.0",
                "queues": ["bulk"],
                "processes": 3,
            }
        )
        (worker,) = fleet.snapshot().workers
        assert (worker.name, worker.version, worker.processes) == ("host:1:aa", "5.1", 3)
    with Fleet(settings) as other:
        assert other.snapshot().workers == ()
