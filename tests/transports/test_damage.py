"""Archives that lost something on their way: an error or the whole image, never another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from squashproxy.errors import SquashproxyError
from squashproxy.location import ArchiveReference, Transport
from squashproxy.testing import Packing
from squashproxy.transports import archives
from tests.pipeline.images import LAYERS, app
from tests.transports.copying import TREE, tree_of
from tests.transports.tars import docker_1_9, docker_20, docker_25, tar_of

ARCHIVES = {
    "docker 1.9": docker_1_9([layer.tar() for layer in LAYERS], "app:1"),
    "docker 20": docker_20(app(packing=Packing.NONE), "app:1"),
    "docker 25": docker_25(app(), "app:1"),
}
FREELY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def is_whole_or_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        source = archives.open_source(ArchiveReference(Transport.DOCKER_ARCHIVE, str(path)))
    except SquashproxyError:
        return
    try:
        assert tree_of(source) == TREE
    except SquashproxyError as error:
        assert path.name in str(error)  # noqa: PT017 - there need not be one
    finally:
        source.close()


@pytest.mark.parametrize("name", ARCHIVES)
@FREELY
@given(share=st.floats(0, 1))
def test_cut_anywhere(name: str, share: float, tmp_path: Path) -> None:
    data = tar_of(ARCHIVES[name])
    is_whole_or_refused(tmp_path / "cut.tar", data[: int(share * len(data))])


@pytest.mark.parametrize("name", ["docker 20", "docker 25"])
@FREELY
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_bit_flipped_anywhere_in_what_has_digests(
    name: str, share: float, bit: int, tmp_path: Path
) -> None:
    """What docker 1.9 wrote has none, nor have the other documents that name things."""
    data = bytearray(tar_of(ARCHIVES[name]))
    first, last = data.index(b"layer.tar" if name == "docker 20" else b"sha256/"), len(data)
    data[first + int(share * (last - first))] ^= 1 << bit
    is_whole_or_refused(tmp_path / "flipped.tar", bytes(data))
