"""Stories for the alert rules: series over time, and whether an alert fires at the end.

Series are written as promtool reads them: `0x10` is ten more of the same, `0+1x10` a count. The
story begins at the unix time 0.
"""

from __future__ import annotations

from dataclasses import dataclass

_UP = 'up{job="squashproxy", instance="a"}'
_REQUESTS = "squashproxy_requests_total"
_BUCKET = "squashproxy_request_seconds_bucket"
_RULE = "squashproxy_rule_last_end_seconds"
_NAN = " ".join(["NaN"] * 8)
_OF_RULE = 'section="promote", rule="apps"'


@dataclass(frozen=True, slots=True)
class AlertCase:
    """Values a minute of some series, and the number of alerts that fire after `minutes`."""

    alert: str
    series: dict[str, str]
    minutes: int
    firing: int


CASES: dict[str, AlertCase] = {
    "an instance is down": AlertCase(
        "SquashproxyDown", {_UP: "0x20", 'up{job="squashproxy", instance="b"}': "1x20"}, 10, 1
    ),
    "an instance restarts": AlertCase("SquashproxyDown", {_UP: "1 0 0 1x20"}, 10, 0),
    "something else is down": AlertCase("SquashproxyDown", {'up{job="node"}': "0x20"}, 10, 0),
    "no instance is known": AlertCase("SquashproxyMissing", {'up{job="node"}': "1x20"}, 15, 1),
    "one is known": AlertCase("SquashproxyMissing", {_UP: "0x20"}, 15, 0),
    "one answer in ten is an error": AlertCase(
        "SquashproxyErrors",
        {
            f'{_REQUESTS}{{outcome="500", kind="manifest"}}': "0+1x40",
            f'{_REQUESTS}{{outcome="cached", kind="manifest"}}': "0+9x40",
        },
        30,
        1,
    ),
    "one in a hundred": AlertCase(
        "SquashproxyErrors",
        {
            f'{_REQUESTS}{{outcome="503", kind="blob"}}': "0+1x40",
            f'{_REQUESTS}{{outcome="cached", kind="blob"}}': "0+99x40",
        },
        30,
        0,
    ),
    "what does not exist is no error": AlertCase(
        "SquashproxyErrors", {f'{_REQUESTS}{{outcome="404", kind="manifest"}}': "0+9x40"}, 30, 0
    ),
    "manifests take half a minute": AlertCase(
        "SquashproxyPullsSlow",
        {
            f'{_BUCKET}{{kind="manifest", le="25"}}': "0+1x60",
            f'{_BUCKET}{{kind="manifest", le="30"}}': "0+9x60",
            f'{_BUCKET}{{kind="manifest", le="+Inf"}}': "0+9x60",
        },
        40,
        1,
    ),
    "blobs may take their time": AlertCase(
        "SquashproxyPullsSlow",
        {
            f'{_BUCKET}{{kind="blob", le="30"}}': "0x60",
            f'{_BUCKET}{{kind="blob", le="60"}}': "0+9x60",
            f'{_BUCKET}{{kind="blob", le="+Inf"}}': "0+9x60",
        },
        40,
        0,
    ),
    "an upstream is down": AlertCase(
        "SquashproxyUpstreamDown",
        {
            'squashproxy_upstream_up{upstream="docker.io"}': "0x20",
            'squashproxy_upstream_up{upstream="ghcr.io"}': "1x20",
        },
        15,
        1,
    ),
    "an upstream was down for a moment": AlertCase(
        "SquashproxyUpstreamDown",
        {'squashproxy_upstream_up{upstream="ghcr.io"}': "0 0 1x20"},
        15,
        0,
    ),
    "few pulls are left": AlertCase(
        "SquashproxyUpstreamLimitNear",
        {'squashproxy_upstream_ratelimit_remaining{upstream="docker.io"}': "30-1x20"},
        20,
        1,
    ),
    "an upstream that counts nothing": AlertCase(
        "SquashproxyUpstreamLimitNear",
        {
            'squashproxy_upstream_ratelimit_remaining{upstream="ghcr.io"}': _NAN,
        },
        7,
        0,
    ),
    "tags come from memory": AlertCase(
        "SquashproxyServesStale", {'squashproxy_stale_total{upstream="docker.io"}': "0+1x60"}, 50, 1
    ),
    "tags came from memory once": AlertCase(
        "SquashproxyServesStale",
        {'squashproxy_stale_total{upstream="docker.io"}': "0 0 5x60"},
        50,
        0,
    ),
    "all jobs fail": AlertCase(
        "SquashproxyJobsFail", {'squashproxy_jobs_total{outcome="failed"}': "0+1x60"}, 45, 1
    ),
    "few of many jobs fail": AlertCase(
        "SquashproxyJobsFail",
        {
            'squashproxy_jobs_total{outcome="failed"}': "0+1x60",
            'squashproxy_jobs_total{outcome="squashed"}': "0+5x60",
        },
        45,
        0,
    ),
    "jobs wait and none ends": AlertCase(
        "SquashproxyJobsStand",
        {
            'squashproxy_jobs_waiting{instance="a"}': "3x90",
            'squashproxy_jobs_total{instance="a", outcome="squashed"}': "7x90",
        },
        80,
        1,
    ),
    "jobs wait and none has ever ended": AlertCase(
        "SquashproxyJobsStand", {'squashproxy_jobs_waiting{instance="a"}': "3x90"}, 80, 1
    ),
    "jobs wait for others that end": AlertCase(
        "SquashproxyJobsStand",
        {
            'squashproxy_jobs_waiting{instance="a"}': "3x90",
            'squashproxy_jobs_total{instance="a", outcome="squashed"}': "0+1x90",
        },
        80,
        0,
    ),
    "the store is too small": AlertCase(
        "SquashproxyStoreChurns",
        {
            'squashproxy_evictions_total{instance="a"}': "0+2x60",
            'squashproxy_distinct_images{instance="a"}': "20x60",
            'squashproxy_store_bytes{instance="a"}': "95x60",
            'squashproxy_store_max_bytes{instance="a"}': "100x60",
        },
        55,
        1,
    ),
    "the store is full, as it should be": AlertCase(
        "SquashproxyStoreChurns",
        {
            'squashproxy_evictions_total{instance="a"}': "0+0.01x60",
            'squashproxy_distinct_images{instance="a"}': "20x60",
            'squashproxy_store_bytes{instance="a"}': "95x60",
            'squashproxy_store_max_bytes{instance="a"}': "100x60",
        },
        50,
        0,
    ),
    "a rule failed after it succeeded": AlertCase(
        "SquashproxyRuleFails",
        {
            f'{_RULE}{{outcome="done", {_OF_RULE}}}': "100x60",
            f'{_RULE}{{outcome="partial", {_OF_RULE}}}': "200x60",
        },
        40,
        1,
    ),
    "a rule has only ever failed": AlertCase(
        "SquashproxyRuleFails", {f'{_RULE}{{outcome="failed", {_OF_RULE}}}': "200x60"}, 40, 1
    ),
    "a rule succeeded after it failed": AlertCase(
        "SquashproxyRuleFails",
        {
            f'{_RULE}{{outcome="done", {_OF_RULE}}}': "300x60",
            f'{_RULE}{{outcome="failed", {_OF_RULE}}}': "200x60",
        },
        40,
        0,
    ),
    "a rule has not run for days": AlertCase(
        "SquashproxyRuleSilent", {f'{_RULE}{{outcome="done", {_OF_RULE}}}': "-180000x5"}, 5, 1
    ),
    "a rule ran yesterday": AlertCase(
        "SquashproxyRuleSilent", {f'{_RULE}{{outcome="done", {_OF_RULE}}}': "-86400x5"}, 5, 0
    ),
    "nobody reaches the broker": AlertCase(
        "SquashproxyBrokerAway",
        {
            'squashproxy_fleet_broker_up{instance="a"}': "0x20",
            'squashproxy_fleet_broker_up{instance="b"}': "0x20",
        },
        5,
        1,
    ),
    "without a fleet, no broker is away": AlertCase("SquashproxyBrokerAway", {_UP: "1x20"}, 5, 0),
    "one of two does not reach the broker": AlertCase(
        "SquashproxyBrokerUnreachable",
        {
            'squashproxy_fleet_broker_up{instance="a"}': "0x20",
            'squashproxy_fleet_broker_up{instance="b"}': "1x20",
        },
        10,
        1,
    ),
    "if nobody reaches it, the other alert says so": AlertCase(
        "SquashproxyBrokerUnreachable",
        {'squashproxy_fleet_broker_up{instance="a"}': "0x20"},
        10,
        0,
    ),
    "no worker": AlertCase("SquashproxyNoWorkers", {"squashproxy_fleet_workers": "0x20"}, 10, 1),
    "workers restart": AlertCase(
        "SquashproxyNoWorkers", {"squashproxy_fleet_workers": "2 0 0 2x20"}, 10, 0
    ),
    "pulls wait for workers": AlertCase(
        "SquashproxyPullsWait",
        {'squashproxy_fleet_oldest_seconds{queue="interactive"}': "0+60x20"},
        15,
        1,
    ),
    "promotions may wait longer": AlertCase(
        "SquashproxyPullsWait", {'squashproxy_fleet_oldest_seconds{queue="bulk"}': "0+60x20"}, 15, 0
    ),
    "promotions wait for hours": AlertCase(
        "SquashproxyBulkWaits",
        {'squashproxy_fleet_oldest_seconds{queue="bulk"}': "0+60x120"},
        100,
        1,
    ),
    "promotions wait for half an hour": AlertCase(
        "SquashproxyBulkWaits",
        {'squashproxy_fleet_oldest_seconds{queue="bulk"}': "1800x120"},
        100,
        0,
    ),
    "a job is parked": AlertCase(
        "SquashproxyJobParked", {"squashproxy_fleet_parked": "0 0 1x5"}, 5, 1
    ),
    "none is parked": AlertCase("SquashproxyJobParked", {"squashproxy_fleet_parked": "0x5"}, 5, 0),
    "workers die again and again": AlertCase(
        "SquashproxyWorkersDie", {"squashproxy_fleet_redeliveries_total": "0+1x60"}, 40, 1
    ),
    "a node was drained": AlertCase(
        "SquashproxyWorkersDie", {"squashproxy_fleet_redeliveries_total": "0 0 3x60"}, 20, 0
    ),
    "many jobs fail on workers": AlertCase(
        "SquashproxyFleetJobsFail", {"squashproxy_fleet_failed": "30+1x60"}, 50, 1
    ),
    "a few fail": AlertCase(
        "SquashproxyFleetJobsFail", {"squashproxy_fleet_failed": "30 30 30 33x60"}, 50, 0
    ),
    "three workers wait for a registry": AlertCase(
        "SquashproxyRegistryThrottles",
        {
            'squashproxy_fleet_registry_wait_seconds_total{registry="a.example", instance="a"}': (
                "0+180x90"
            ),
            'squashproxy_fleet_registry_wait_seconds_total{registry="a.example", instance="b"}': (
                "0+180x90"
            ),
        },
        60,
        1,
    ),
    "a worker waits now and then": AlertCase(
        "SquashproxyRegistryThrottles",
        {'squashproxy_fleet_registry_wait_seconds_total{registry="a.example"}': "0+10x90"},
        60,
        0,
    ),
}
