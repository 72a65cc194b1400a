"""Values of another type in configs, manifests and annotations: ignored, or one sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import SquashproxyError
from squashproxy.oci.mediatypes import OCI_MANIFEST
from squashproxy.pipeline.inspect import inspect_image
from squashproxy.pipeline.mode import Mode
from squashproxy.verify.verification import verify_images
from tests.pipeline.images import BASE_DIGEST, BASE_NAME, app
from tests.pipeline.lab import Lab, Listener

Json = dict[str, Any]
ODD: tuple[Any, ...] = (5, [], {"a": 5}, True, "\x1b[31m")
FIELDS = {
    "created": ("created",),
    "system": ("os",),
    "architecture": ("architecture",),
    "variant": ("variant",),
    "config": ("config",),
    "labels": ("config", "Labels"),
    "a label": ("config", "Labels", BASE_NAME),
    "history": ("history",),
    "an entry of the history": ("history", 0),
    "an author": ("history", 0, "created_by"),
    "a comment": ("history", -1, "comment"),
    "no layer": ("history", 0, "empty_layer"),
    "file system": ("rootfs",),
    "diff IDs": ("rootfs", "diff_ids"),
    "a diff ID": ("rootfs", "diff_ids", 0),
}
NAMED = {
    "annotations": ("annotations",),
    "the name of the base": ("annotations", BASE_NAME),
    "the digest of the base": ("annotations", BASE_DIGEST),
    "the date": ("annotations", "org.opencontainers.image.created"),
    "the source": ("annotations", "dev.squashproxy.source.digest"),
    "the chain": ("annotations", "dev.squashproxy.source.chain"),
    "the options": ("annotations", "dev.squashproxy.options"),
    "the artifact type": ("artifactType",),
    "the subject": ("subject",),
    "layers": ("layers",),
    "a layer": ("layers", 0),
    "the type of a layer": ("layers", 0, "mediaType"),
    "the size of a layer": ("layers", 0, "size"),
    "the annotations of a layer": ("layers", 0, "annotations"),
    "addresses of a layer": ("layers", 0, "urls"),
}
VERBS: dict[str, Callable[[Lab], object]] = {
    "copy": lambda lab: lab.copy(),
    "copy as it is": lambda lab: lab.copy(target="exact:1", mode=Mode.COPY),
    "prune": lambda lab: lab.copy(target="pruned:1", mode=Mode.PRUNE),
    "plan": lambda lab: lab.plan(),
    "inspect": lambda lab: inspect_image(lab.source()),
    "verify": lambda lab: verify_images(
        lab.source(), lab.source(), observer=Listener(), clock=time.monotonic
    ),
}


def put(
    lab: Lab, *, config: Mapping[tuple[str | int, ...], Any], manifest: Mapping[Any, Any]
) -> None:
    """The usual image, with other values at some places of its config and its manifest."""
    image = app()
    image.push(lab.old, "app", "1")
    document = json.loads(image.blobs[image.config.digest])
    document["config"] = {"Env": ["A=1"], "Labels": {"a": "b"}}
    data = json.dumps(_changed(document, config)).encode()
    stated = json.loads(image.manifest.data)
    stated["annotations"] = {BASE_NAME: "localhost:1/base:1"} | stated.get("annotations", {})
    stated["config"] |= {"digest": digest_of(data), "size": len(data)}
    lab.old.put_blob("app", data)
    lab.old.put_manifest("app", "1", json.dumps(_changed(stated, manifest)).encode(), OCI_MANIFEST)


def _changed(document: Json, values: Mapping[tuple[str | int, ...], Any]) -> Json:
    for place, value in values.items():
        at: Any = document
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = value
    return document


@pytest.mark.parametrize("place", [*FIELDS.items(), *NAMED.items()], ids=[*FIELDS, *NAMED])
def test_it_is_ignored_or_an_error_of_our_own(
    lab: Lab, place: tuple[str, tuple[str | int, ...]]
) -> None:
    name, keys = place
    for value in ODD:
        changes = {keys: value}
        put(
            lab, config=changes if name in FIELDS else {}, manifest=changes if name in NAMED else {}
        )
        for verb in VERBS.values():
            with suppress(SquashproxyError):
                verb(lab)


@pytest.mark.parametrize("key", [BASE_NAME, BASE_DIGEST])
def test_a_base_that_is_no_text_is_ignored_with_a_warning(lab: Lab, key: str) -> None:
    put(lab, config={}, manifest={("annotations", key): 5})
    result = lab.copy()
    assert result.warnings == (f"{key} of {result.source} is no text; ignored",)
    assert key not in lab.arrived().manifest["annotations"] or key == BASE_NAME
