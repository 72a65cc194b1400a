"""The Helm chart, and what helm made of it for a table of values.

`python -m tests.deploy.chart HELM` renders all of them again. The files in `rendered/` are checked
in every test run, which needs no helm; the longer proofs check that helm still makes them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "squashproxy"
RENDERED = Path(__file__).parent / "rendered"
RELEASE = "demo"

_DIGEST = "sha256:4bc453b53cb3d914b45f4b250294236adba2c0e09ff6f03793949e7e39fd4cc1"
_SHARED_STORE = {
    "upstreams": {"docker.io": {}, "ghcr.io": {}},
    "store": {"registry": "registry.example.com/cache"},
}
_RULES: dict[str, list[dict[str, Any]]] = {
    "promote": [
        {
            "name": "apps",
            "from": "registry.dev.example.com/apps/*",
            "to": "registry.example.com/prod/{repo}",
            "tags": {"semver": ">=1.0", "newest": 10},
            "schedule": "*/15 * * * *",
        }
    ],
    "cleanup": [
        {
            "name": "old-builds",
            "repositories": ["registry.example.com/prod/*"],
            "keep": {"tags": ["latest"], "newest": 20},
            "action": "delete",
            "max_deletions": 200,
            "schedule": "0 3 * * *",
        }
    ],
}
_SIGNED = {
    "name": "signed",
    "from": "registry.dev.example.com/apps/*",
    "to": "registry.example.com/signed/{repo}",
    "require_signature": ["/secrets/keys/build.pub"],
    "sign": {"key": "/secrets/keys/signing.key", "password": "${SIGNING_PASSWORD}"},
}
_PASSWORD = {
    "name": "SIGNING_PASSWORD",
    "valueFrom": {"secretKeyRef": {"name": "signing", "key": "password"}},
}

CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "nothing-lasts": {"persistence": {"enabled": False}, "serviceAccount": {"create": False}},
    "one-process": {
        "config": {**_RULES, "serve": {"first_pull": {"then": "error"}}},
        "run": {"enabled": True},
        "existingSecret": {"registries": "logins"},
        "persistence": {"existingClaim": "images", "resourcePolicy": ""},
        "metrics": {"serviceMonitor": {"enabled": True}},
    },
    "replicas-without-a-fleet": {
        "image": {"digest": _DIGEST},
        "config": {"serve": _SHARED_STORE},
        "existingSecret": {"registries": "logins", "htpasswd": "users", "tls": "certificate"},
        "extraCA": {"existingSecret": "authority", "key": "root.pem"},
        "serve": {
            "replicas": 3,
            "podDisruptionBudget": {"enabled": True},
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule",
                }
            ],
            "priorityClassName": "system-cluster-critical",
        },
        "service": {"type": "NodePort", "nodePort": 30500, "labels": {"team": "platform"}},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
            "hosts": [{"host": "squash.example.com"}],
            "tls": [{"secretName": "certificate", "hosts": ["squash.example.com"]}],
        },
        "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    },
    "fleet": {
        "image": {"digest": _DIGEST},
        "imagePullSecrets": [{"name": "pull"}],
        "commonLabels": {"team": "platform"},
        "config": {**_RULES, "serve": _SHARED_STORE, "engine": {"jobs": 4}},
        "existingSecret": {"registries": "logins"},
        "extraCA": {"existingConfigMap": "authority"},
        "redis": {"existingSecret": "broker"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
        "extraVolumes": [{"name": "more", "configMap": {"name": "more"}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "podAnnotations": {"example.com/owner": "platform"},
        "podLabels": {"example.com/owner": "platform"},
        "serve": {"autoscaling": {"enabled": True}, "podDisruptionBudget": {"enabled": True}},
        "run": {
            "enabled": True,
            "replicas": 2,
            "podDisruptionBudget": {"enabled": True},
            "persistence": {"storageClass": "fast", "resourcePolicy": ""},
        },
        "worker": {
            "enabled": True,
            "autoscaling": {"enabled": True},
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": "25%"},
            "nodeSelector": {"example.com/pool": "workers"},
            "tolerations": [{"key": "example.com/pool", "operator": "Exists"}],
        },
        "httpRoute": {
            "enabled": True,
            "parentRefs": [{"name": "gateway", "namespace": "gateways"}],
            "hostnames": ["squash.example.com"],
            "timeouts": {"request": "300s"},
        },
        "networkPolicy": {
            "enabled": True,
            "ingressFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
            "extraEgress": [{"ports": [{"port": 5000, "protocol": "TCP"}]}],
        },
        "metrics": {"serviceMonitor": {"enabled": True}},
    },
    "watched": {
        "metrics": {
            "serviceMonitor": {"enabled": True, "interval": "1m"},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "registries"}},
        },
    },
    "odd-names": {
        # What YAML would take for a number or a truth value, what is too long, what stands twice.
        "nameOverride": "123",
        "fullnameOverride": "a-team-with-a-name-that-is-longer-than-pods-may-have",
        "commonLabels": {"team": "platform", "on-call": "true"},
        "podLabels": {"team": "images"},
        "config": {
            **_RULES,
            "engine": None,
            "serve": {**_SHARED_STORE, "listen": ["0.0.0.0:5000", "127.0.0.1:5001"]},
        },
        "redis": {"existingSecret": "true", "key": "123"},
        "serviceAccount": {"name": "123"},
        "serve": {"priorityClassName": "true", "preStopSeconds": 0},
        "run": {"enabled": True},
        "worker": {"enabled": True, "terminationGracePeriodSeconds": 1000000},
        "networkPolicy": {"enabled": True, "egressPorts": [6379]},
        "metrics": {"serviceMonitor": {"enabled": True, "labels": {"team": "images"}}},
        "ingress": {"enabled": True, "hosts": [{"host": "*.example.com", "path": "/#"}]},
    },
    "no-way-out": {
        # What a file of values has where all lines below a key are comments.
        **dict.fromkeys(("commonLabels", "podLabels", "podAnnotations", "config")),
        **dict.fromkeys(("extraEnv", "extraEnvFrom", "extraVolumes", "extraVolumeMounts")),
        "networkPolicy": {"enabled": True, "egressPorts": []},
    },
    "rules-alone": {
        "config": _RULES,
        "serve": {"enabled": False},
        "run": {"enabled": True},
        "existingSecret": {"registries": "logins"},
        "networkPolicy": {"enabled": True},
    },
    "cron-jobs": {
        "config": {"promote": [*_RULES["promote"], _SIGNED], "cleanup": _RULES["cleanup"]},
        "serve": {"enabled": False},
        "existingSecret": {"registries": "logins", "keys": "signing"},
        "extraEnv": [_PASSWORD],
        "cronJobs": {
            "promote": {"enabled": True, "timeZone": "Europe/Berlin"},
            "cleanup": {"enabled": True, "extraArgs": ["--rule=old-builds"]},
        },
        "networkPolicy": {"enabled": True},
    },
    "workers-alone": {
        "config": {**_RULES, "serve": _SHARED_STORE},
        "serve": {"enabled": False},
        "worker": {"enabled": True, "replicas": 4, "queues": ["bulk"]},
        "redis": {"existingSecret": "broker", "key": "redis-url"},
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    },
}
"""Values by the name of the case; the file of the same name holds what helm makes of them."""


@cache
def fingerprint(case: str) -> str:
    """A digest of all that decides what helm makes of a case."""
    found = hashlib.sha256(json.dumps(CASES[case], sort_keys=True).encode())
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        if path.suffix != ".md":
            found.update(f"{path.relative_to(CHART)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def render(helm: Path, case: str, folder: Path) -> str:
    """Run `helm template` on a case. Raises CalledProcessError."""
    values = folder / f"{case}.values.yaml"
    values.write_text(yaml.safe_dump(CASES[case]))
    done = subprocess.run(
        [helm, "template", RELEASE, CHART, "--values", values],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    text = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    return f"# helm template of {fingerprint(case)}\n{text.rstrip()}\n"


def rendered(case: str) -> str:
    """What helm made of a case when it was rendered last."""
    return (RENDERED / f"{case}.yaml").read_text()


@cache
def objects(case: str) -> list[dict[str, Any]]:
    """The objects of a case; to be read only."""
    return [each for each in yaml.safe_load_all(rendered(case)) if each]


def pod_templates(case: str) -> dict[str, dict[str, Any]]:
    """The templates of pods of a case, by KIND/NAME of what makes them."""
    found = {}
    for each in objects(case):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[f"{each['kind']}/{each['metadata']['name']}"] = spec["template"]
    return found


def configuration(case: str) -> str:
    """The text of the configuration of a case."""
    (found,) = [
        each["data"]["squashproxy.yml"]
        for each in objects(case)
        if each["kind"] == "ConfigMap" and "squashproxy.yml" in each["data"]
    ]
    return str(found)


def _render_all(helm: Path, folder: Path) -> None:
    for case in CASES:
        (RENDERED / f"{case}.yaml").write_text(render(helm, case, folder))


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as temporary:
        _render_all(Path(sys.argv[1]), Path(temporary))
