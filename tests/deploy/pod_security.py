"""The profile "restricted" of Kubernetes' Pod Security Standards, and what we want beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret"),
}


def violations(template: dict[str, Any]) -> list[str]:
    """What a template of pods does that the profile forbids."""
    return list(_of_pod(template["spec"]))


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a token"
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    for volume in pod.get("volumes", ()):
        if not _VOLUMES & volume.keys():
            yield f"has a volume of another kind: {volume}"
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        yield from _of_container(container)


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("privileged"):
        yield "is privileged"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "has capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "takes a port of the host"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield "has no limit of memory"
