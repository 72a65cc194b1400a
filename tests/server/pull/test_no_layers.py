"""Images without layers are handed out as they are."""

from __future__ import annotations

import pytest

from squashproxy.testing import FakeRegistry
from tests.pipeline.images import BARE, without_layers
from tests.server.serving import Served


@pytest.mark.parametrize("shape", BARE)
def test_an_image_without_layers_is_served(
    served: Served, upstream: FakeRegistry, shape: str
) -> None:
    built = without_layers(shape)
    built.push(upstream, "app", "1")
    answer = served.manifest("app", "1")
    assert answer.status_code == 200
    assert answer.headers["Docker-Content-Digest"] == built.digest
    assert answer.content == built.manifest.data
    assert served.blob("app", built.config.digest).content == built.blobs[built.config.digest]
