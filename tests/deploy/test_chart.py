"""What helm makes of the chart: valid for Kubernetes, safe, and understood by our own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from squashproxy.config.read import parse_configuration
from squashproxy.rules.timetable import parse_cron
from tests.cli.command_line import InProcess
from tests.deploy.chart import (
    CASES,
    CHART,
    RENDERED,
    configuration,
    fingerprint,
    objects,
    pod_templates,
    rendered,
)
from tests.deploy.command_lines import parse
from tests.deploy.monitoring import ALERT_FILE, DASHBOARD
from tests.deploy.pod_security import violations

ENVIRONMENT = {
    "SQUASHPROXY_BROKER": "rediss://:a-made-up-word@redis.example.com:6379/0",
    "SIGNING_PASSWORD": "a made-up word",
}
OLDEST, NEWEST = "1.30", "1.37"
CUSTOM = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}
"""Kinds that Kubernetes does not bring; test_chart_helm.py checks them against their own types."""

each_case = pytest.mark.parametrize("case", CASES)


@each_case
def test_it_was_rendered_from_this_chart_and_these_values(case: str) -> None:
    first, _, _ = rendered(case).partition("\n")
    assert first == f"# helm template of {fingerprint(case)}", (
        "the chart changed; build helm (tests/real/programs.py), and run "
        "`python -m tests.deploy.chart HELM`"
    )


def test_nothing_else_was_rendered() -> None:
    assert {path.stem for path in RENDERED.iterdir()} == set(CASES)


@each_case
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(case: str, version: str) -> None:
    for each in objects(case):
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_oldest_version_is_the_one_that_the_chart_asks_for() -> None:
    assert f'kubeVersion: ">={OLDEST}.0-0"' in (CHART / "Chart.yaml").read_text()


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, as the API server does; PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        assert len(found) == len(node.value), f"a key stands twice:{node.start_mark}"
        return found


@each_case
def test_no_key_stands_twice(case: str) -> None:
    list(yaml.load_all(rendered(case), _Strict))


@each_case
def test_a_network_policy_opens_what_it_names_alone(case: str) -> None:
    """To Kubernetes a rule without ports, or with an empty list of them, is one for all ports."""
    for each in objects(case):
        if each["kind"] == "NetworkPolicy":
            assert each["spec"]["policyTypes"] == ["Ingress", "Egress"]
            for rule in [*each["spec"]["ingress"], *each["spec"]["egress"]]:
                assert rule["ports"]


@each_case
def test_objects_of_one_kind_have_different_names(case: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in objects(case)]
    assert len(set(names)) == len(names)


@each_case
def test_pods_keep_to_the_restricted_profile(case: str) -> None:
    found = {name: violations(template) for name, template in pod_templates(case).items()}
    assert found
    assert not any(found.values()), found


def test_pods_have_the_user_of_the_image() -> None:
    containerfile = (CHART.parents[1] / "Containerfile").read_text()
    contexts = [
        template["spec"]["securityContext"]
        for case in CASES
        for template in pod_templates(case).values()
    ]
    users = {f"USER {each['runAsUser']}:{each['runAsGroup']}" for each in contexts}
    assert [line for line in containerfile.splitlines() if line.startswith("USER ")] == [*users]


@each_case
def test_the_configuration_passes_our_own_check(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "squashproxy.yml"
    path.write_text(configuration(case))
    outcome = InProcess(capsys)("config", "check", str(path))
    assert outcome.code == 0, outcome.err
    assert "is valid" in outcome.out


@each_case
def test_every_variable_of_the_configuration_is_in_the_pods(case: str) -> None:
    for name, container in _containers(case):
        given = {each["name"] for each in container["env"]}
        wanted = {each for each in ENVIRONMENT if f"${{{each}}}" in configuration(case)}
        assert wanted <= given, name


@each_case
def test_the_arguments_are_a_command_line_of_ours(case: str) -> None:
    for _, container in _containers(case):
        assert container["args"][-1] == "/etc/squashproxy/squashproxy.yml"
        parse([word.replace("/secrets/ca/ca.crt", __file__) for word in container["args"]])


@each_case
def test_every_file_of_the_configuration_is_mounted(case: str) -> None:
    text = configuration(case)
    for name, container in _containers(case):
        places = [mount["mountPath"] for mount in container["volumeMounts"]]
        for word in text.replace('"', " ").split():
            if word.startswith(("/secrets/", "/var/lib/")):
                assert any(word.startswith(f"{place}/") for place in places), (name, word)


@each_case
def test_mounts_and_volumes_are_the_same(case: str) -> None:
    claims = {
        f"{each['kind']}/{each['metadata']['name']}": {
            claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", ())
        }
        for each in objects(case)
        if "spec" in each
    }
    for name, template in pod_templates(case).items():
        volumes = [volume["name"] for volume in template["spec"]["volumes"]]
        assert len(set(volumes)) == len(volumes)
        (container,) = template["spec"]["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == set(volumes) | claims[name]


@each_case
def test_claims_exist_or_are_said_to(case: str) -> None:
    made = {e["metadata"]["name"] for e in objects(case) if e["kind"] == "PersistentVolumeClaim"}
    values = CASES[case]
    named = {
        values.get("persistence", {}).get("existingClaim"),
        values.get("run", {}).get("persistence", {}).get("existingClaim"),
    }
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for template in pod_templates(case).values()
        for volume in template["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert made <= used <= made | named


@each_case
def test_what_selects_pods_finds_some_and_one_kind_only(case: str) -> None:
    pods = {name: each["metadata"]["labels"] for name, each in pod_templates(case).items()}
    for name, selector in _selectors(case):
        chosen = [
            pod for pod, labels in pods.items() if all(labels.get(k) == v for k, v in selector)
        ]
        assert len(chosen) == 1, (name, chosen)


@each_case
def test_ports_are_named_where_they_are_opened(case: str) -> None:
    opened = {
        port["name"]
        for _, container in _containers(case)
        for port in container.get("ports", ())
        if port["containerPort"] == 5000
    }
    for each in objects(case):
        if each["kind"] == "Service":
            (port,) = each["spec"]["ports"]
            assert port["targetPort"] == 5000 or port["targetPort"] in opened
            assert port["name"] == "http"


@each_case
def test_a_pod_has_time_to_end(case: str) -> None:
    found = parse_configuration(configuration(case), "squashproxy.yml", Path(), ENVIRONMENT)
    drain = 0.0 if found.serve is None else found.serve.drain
    least = {"serve": drain, "run": max(drain, 40.0), "worker": found.engine.drain + 30.0}
    for name, template in pod_templates(case).items():
        (container,) = template["spec"]["containers"]
        verb = container["args"][0]
        if verb not in least:
            continue
        grace = template["spec"]["terminationGracePeriodSeconds"]
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        assert grace > least[verb] + pause.get("seconds", 0), name


@each_case
def test_a_server_has_three_probes_that_speak_as_it_does(case: str) -> None:
    found = parse_configuration(configuration(case), "squashproxy.yml", Path(), ENVIRONMENT)
    for name, container in _containers(case):
        if container["args"][0] not in ("serve", "run"):
            continue
        probes = {
            kind: container[kind]["httpGet"]
            for kind in ("startupProbe", "livenessProbe", "readinessProbe")
            if kind in container
        }
        if found.serve is None:
            assert not probes, name
            continue
        scheme = "HTTPS" if found.serve.tls else "HTTP"
        paths = {kind: probe["path"] for kind, probe in probes.items()}
        assert {probe["scheme"] for probe in probes.values()} == {scheme}
        assert paths == {
            "startupProbe": "/healthz",
            "livenessProbe": "/healthz",
            "readinessProbe": "/readyz",
        }


@pytest.mark.parametrize(
    ("age", "code"), [(0, 0), (30, 0), (120, 1), (None, 1)], ids=["0 s", "30 s", "120 s", "none"]
)
def test_a_worker_is_alive_as_long_as_it_touches_its_file(
    age: float | None, code: int, tmp_path: Path
) -> None:
    (template,) = pod_templates("workers-alone").values()
    (container,) = template["spec"]["containers"]
    program, *arguments = container["livenessProbe"]["exec"]["command"]
    assert container["startupProbe"]["exec"]["command"] == [program, *arguments]
    (option,) = [word for word in container["args"] if word.startswith("--liveness=")]
    place = option.partition("=")[2]
    path = tmp_path / "alive"
    if age is not None:
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    assert place in arguments[-1]
    arguments[-1] = arguments[-1].replace(place, str(path))
    done = subprocess.run([sys.executable, *arguments], check=False, stderr=subprocess.DEVNULL)
    assert done.returncode == code


@each_case
def test_a_cron_job_has_a_schedule_of_ours_and_never_overlaps(case: str) -> None:
    for each in objects(case):
        if each["kind"] == "CronJob":
            parse_cron(each["spec"]["schedule"])
            assert each["spec"]["concurrencyPolicy"] == "Forbid"
            assert each["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0


@each_case
def test_a_volume_that_helm_makes_outlives_the_release(case: str) -> None:
    for each in objects(case):
        if each["kind"] == "PersistentVolumeClaim":
            assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@each_case
def test_no_secret_stands_in_the_objects(case: str) -> None:
    assert not any(each["kind"] == "Secret" for each in objects(case))
    for value in ENVIRONMENT.values():
        assert value not in rendered(case)


def test_a_folder_has_one_pod_that_is_replaced_and_a_registry_has_many() -> None:
    strategies = {
        case: _object(case, "Deployment")["spec"]["strategy"]["type"]
        for case in ("defaults", "replicas-without-a-fleet")
    }
    assert strategies == {"defaults": "Recreate", "replicas-without-a-fleet": "RollingUpdate"}


def test_where_a_folder_is_the_store_one_pod_serves_and_runs_the_rules() -> None:
    (template,) = pod_templates("one-process").values()
    (container,) = template["spec"]["containers"]
    assert container["args"][0] == "run"


def test_an_autoscaled_deployment_states_no_replicas() -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in objects("fleet")
        if each["kind"] == "HorizontalPodAutoscaler"
    }
    assert scaled == {"demo-squashproxy", "demo-squashproxy-worker"}
    for each in objects("fleet"):
        if each["kind"] == "Deployment":
            assert ("replicas" in each["spec"]) == (each["metadata"]["name"] not in scaled)


def _object(case: str, kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects(case) if each["kind"] == kind]
    return found


def _containers(case: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, template in pod_templates(case).items():
        for container in template["spec"]["containers"]:
            yield name, container


def _selectors(case: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What Services, policies, budgets and spreads select, as pairs of label and value."""
    for each in objects(case):
        name, spec = f"{each['kind']}/{each['metadata']['name']}", each.get("spec", {})
        if each["kind"] == "Service":
            yield name, list(spec["selector"].items())
        elif each["kind"] == "NetworkPolicy":
            yield name, list(spec["podSelector"]["matchLabels"].items())
        elif each["kind"] in ("PodDisruptionBudget", "Deployment", "StatefulSet"):
            yield name, list(spec["selector"]["matchLabels"].items())
    for name, template in pod_templates(case).items():
        for spread in template["spec"].get("topologySpreadConstraints", ()):
            yield name, list(spread["labelSelector"]["matchLabels"].items())


def test_the_rules_and_the_dashboard_arrive_as_they_are() -> None:
    (rule,) = [each for each in objects("watched") if each["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load(ALERT_FILE.read_text())
    (shown,) = [
        each["data"]["squashproxy.json"]
        for each in objects("watched")
        if each["metadata"]["name"].endswith("-dashboard")
    ]
    assert json.loads(shown) == DASHBOARD
