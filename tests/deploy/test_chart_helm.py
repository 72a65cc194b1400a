"""Helm's own judgement of the chart. Helm is built from source, which takes minutes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.chart import CASES, CHART, RELEASE, objects, render
from tests.deploy.monitoring import DASHBOARD
from tests.deploy.test_chart_values import REFUSED
from tests.real.judges import run
from tests.real.programs import find_program

pytestmark = [pytest.mark.long, pytest.mark.real, pytest.mark.timeout(1800)]

_GATEWAY = "sigs.k8s.io/gateway-api@v1.6.3"

CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing is enabled": (
        {"serve": {"enabled": False}},
        "nothing is enabled; set serve.enabled, run.enabled, worker.enabled or one of cronJobs",
    ),
    "rules on two schedules": (
        {"run": {"enabled": True}, "cronJobs": {"promote": {"enabled": True}}},
        "run.enabled and cronJobs would both run the rules; enable one of them",
    ),
    "no rule": (
        {"serve": {"enabled": False}, "cronJobs": {"cleanup": {"enabled": True}}},
        "there is no rule to run; write config.promote or config.cleanup",
    ),
    "one folder, two pods": (
        {"serve": {"replicas": 2}},
        "a folder as the store belongs to one pod; set config.serve.store.registry, or serve.rep",
    ),
    "one folder, as many pods as there is load": (
        {"serve": {"autoscaling": {"enabled": True}}},
        "a folder as the store belongs to one pod",
    ),
    "workers without a broker": (
        {"worker": {"enabled": True}},
        "workers need a broker; set redis.existingSecret",
    ),
    "a folder that workers would have to write into": (
        {"worker": {"enabled": True}, "redis": {"existingSecret": "broker"}},
        "workers cannot write into a folder of serve; set config.serve.store.registry",
    ),
    "two schedulers without a broker": (
        {
            "run": {"enabled": True, "replicas": 2},
            "config": {"serve": {"store": {"registry": "registry.example.com/cache"}}},
        },
        "several replicas of run need a broker to agree who schedules",
    ),
    "two schedulers, one state": (
        {
            "run": {"enabled": True, "replicas": 2, "persistence": {"existingClaim": "state"}},
            "config": {"serve": {"store": {"registry": "registry.example.com/cache"}}},
            "redis": {"existingSecret": "broker"},
        },
        "run.persistence.existingClaim is one state, which belongs to one pod",
    ),
    "two authorities": (
        {"extraCA": {"existingSecret": "one", "existingConfigMap": "other"}},
        "extraCA has both existingSecret and existingConfigMap; leave one of them out",
    ),
    "an ingress to nowhere": (
        {
            "serve": {"enabled": False},
            "run": {"enabled": True},
            "config": CASES["rules-alone"]["config"],
            "ingress": {"enabled": True, "hosts": [{"host": "squash.example.com"}]},
        },
        "ingress leads to a server, but none is enabled; set serve.enabled",
    ),
    "a label of the chart's own": (
        {"commonLabels": {"app.kubernetes.io/name": "proxy"}},
        "commonLabels has app.kubernetes.io/name, which the chart sets; leave it out",
    ),
    "a label of the chart's own, on pods": (
        {"podLabels": {"app.kubernetes.io/component": "web"}},
        "podLabels has app.kubernetes.io/component, which the chart sets; leave it out",
    ),
    "the chart's own annotation": (
        {"podAnnotations": {"checksum/configuration": "none"}},
        "podAnnotations has checksum/configuration, which the chart sets; leave it out",
    ),
    "an environment twice": (
        {
            "existingSecret": {"registries": "logins"},
            "extraEnv": [{"name": "DOCKER_CONFIG", "value": "/more"}],
        },
        "extraEnv has DOCKER_CONFIG, which the chart sets; leave it out, or give it another name",
    ),
    "a volume twice": (
        {"extraVolumes": [{"name": "more", "emptyDir": {}}, {"name": "more", "emptyDir": {}}]},
        "extraVolumes has more, which stands there twice; leave it out, or give it another name",
    ),
    "a mount twice": (
        {"extraVolumeMounts": [{"name": "more", "mountPath": "/tmp"}]},
        "extraVolumeMounts has /tmp, which the chart sets; leave it out, or give it another mountP",
    ),
    "a name of capitals": (
        {"fullnameOverride": "My Proxy"},
        "is no name of a Service, which has small letters, digits and '-', and begins with a lett",
    ),
    "a name that begins with a dash": (
        {"nameOverride": "-proxy"},
        'nameOverride is "-proxy", which is no label',
    ),
    "another port than that of the probes": (
        {"config": {"serve": {"listen": "0.0.0.0:8080"}}},
        'config.serve.listen is "0.0.0.0:8080", where neither probes nor the Service reach a pod',
    ),
    "loopback of the pod alone": (
        {"config": {"serve": {"listen": ["127.0.0.1:5000", "0.0.0.0:5001"]}}},
        'config.serve.listen is ["127.0.0.1:5000","0.0.0.0:5001"], where neither probes nor the',
    ),
    "a node port without nodes": (
        {"service": {"nodePort": 30500}},
        "service.nodePort needs a service.type that has node ports; set service.type to NodePort",
    ),
    "metrics that Prometheus may not read": (
        {
            "config": {"serve": {"metrics": "nobody"}},
            "metrics": {"serviceMonitor": {"enabled": True}},
        },
        "metrics.serviceMonitor has no login, and config.serve.metrics is nobody; write everyone",
    ),
    "more replicas at least than at most": (
        {
            "config": {"serve": {"store": {"registry": "registry.example.com/cache"}}},
            "serve": {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 2}},
        },
        "serve.autoscaling.minReplicas is more than maxReplicas; write a lower one",
    ),
    "a pause as long as the end": (
        {"serve": {"preStopSeconds": 60}},
        "serve.preStopSeconds leaves nothing of terminationGracePeriodSeconds; raise the latter",
    ),
    "an ingress without a name": ({"ingress": {"enabled": True}}, "needs ingress.hosts"),
    "a route without a gateway": ({"httpRoute": {"enabled": True}}, "needs httpRoute.parentRefs"),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp().parent / "programs"


@pytest.fixture(scope="module")
def helm(programs: Path) -> Path:
    return find_program("helm", programs)


def _said(helm: Path, values: dict[str, Any], folder: Path) -> str:
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    command = [str(helm), "template", RELEASE, str(CHART), "--values", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_lint_has_nothing_to_say(helm: Path) -> None:
    said = run([helm, "lint", "--strict", CHART])
    assert "1 chart(s) linted, 0 chart(s) failed" in said


@pytest.mark.parametrize("case", CASES)
def test_lint_takes_the_values_of_a_case(case: str, helm: Path, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(CASES[case]))
    assert "0 chart(s) failed" in run([helm, "lint", "--strict", CHART, "--values", path])


@pytest.mark.parametrize("case", CASES)
def test_helm_still_makes_what_was_rendered(case: str, helm: Path, tmp_path: Path) -> None:
    made = [each for each in yaml.safe_load_all(render(helm, case, tmp_path)) if each]
    assert made == objects(case)


@pytest.mark.parametrize(
    "stem",
    [
        "squashproxy-of-the-platform-team-in-oslo-",
        "a-release-whose-name-leaves-no-room-for-",
        "team.",
    ],
)
def test_releases_of_one_namespace_do_not_collide(stem: str, helm: Path) -> None:
    names = []
    for release in (f"{stem}one", f"{stem}two"):
        text = run([str(helm), "template", release, str(CHART)])
        found = {each["metadata"]["name"] for each in yaml.safe_load_all(text) if each}
        assert all(len(name) <= 40 and "." not in name for name in found)
        names.append(found)
    assert names[0].isdisjoint(names[1])


@pytest.mark.parametrize("case", CASES)
def test_the_notes_are_text(case: str, helm: Path, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(CASES[case]))
    said = run([helm, "install", RELEASE, CHART, "--dry-run=client", "--values", path])
    notes = said.partition("NOTES:\n")[2]
    assert "<no value>" not in said
    assert "The image is named by a tag" in notes or CASES[case].get("image", {}).get("digest")


@pytest.mark.parametrize(("values", "sentence"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_contradiction_is_one_sentence(
    values: dict[str, Any], sentence: str, helm: Path, tmp_path: Path
) -> None:
    assert sentence in _said(helm, values, tmp_path)


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused_by_helm_too(
    values: dict[str, Any], helm: Path, tmp_path: Path
) -> None:
    assert "don't meet the specifications of the schema" in _said(helm, values, tmp_path)


def test_custom_objects_have_the_fields_of_their_types(programs: Path, tmp_path: Path) -> None:
    """`customtypes` reads them strictly into the types of prometheus-operator and gateway-api."""
    custom = [
        each
        for case in CASES
        for each in objects(case)
        if each["kind"] in ("HTTPRoute", "PrometheusRule", "ServiceMonitor")
    ]
    assert {each["kind"] for each in custom} == {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}
    path = tmp_path / "objects.json"
    path.write_text("\n".join(json.dumps(each) for each in custom))
    said = run([find_program("customtypes", programs), path])
    assert said.split() == [each["kind"] for each in custom]


def test_grafana_knows_every_field_of_the_dashboard(programs: Path, tmp_path: Path) -> None:
    """`customtypes` reads it strictly into the types of Grafana's foundation SDK."""
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(DASHBOARD))
    assert run([find_program("customtypes", programs), path]).split() == ["Dashboard"]


def test_the_route_fits_the_definition_of_gateway_api() -> None:
    found = json.loads(run(["go", "mod", "download", "-json", _GATEWAY]))
    folder = Path(found["Dir"]) / "config" / "crd" / "standard"
    definition = yaml.safe_load((folder / "gateway.networking.k8s.io_httproutes.yaml").read_text())
    (version,) = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = version["schema"]["openAPIV3Schema"]
    (route,) = [each for each in objects("fleet") if each["kind"] == "HTTPRoute"]
    jsonschema.Draft7Validator(schema).validate(route)
