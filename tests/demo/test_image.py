"""The demo's image holds what it promises, from this machine's files, the same each time."""

from __future__ import annotations

import io
import tarfile

from squashproxy.demo.image import build_layers
from tests.verify.unpacking import nodes, unpack


def test_the_layers_delete_replace_change_modes_and_orphan_a_link() -> None:
    layers = [layer.tar for layer in build_layers()]
    installed, final = nodes(unpack(layers[:3])), nodes(unpack(layers))
    gone = installed.keys() - final.keys()
    assert any(path.startswith(b"var/cache/build/") for path in gone)
    assert b"opt/tools/report-1" in gone
    assert b"opt/tools/report" in final
    changed = [path for path in final if path in installed and final[path] != installed[path]]
    assert any(final[path].content != installed[path].content for path in changed)
    assert any(
        final[path].content == installed[path].content and final[path].mode == 0o755
        for path in changed
    )


def test_the_same_machine_builds_the_same_bytes_and_not_too_many() -> None:
    layers = build_layers()
    assert layers == build_layers()
    assert 10_000_000 < sum(len(layer.tar) for layer in layers) < 80_000_000


def test_parents_stand_before_their_files() -> None:
    for layer in build_layers():
        with tarfile.open(fileobj=io.BytesIO(layer.tar)) as archive:
            seen: set[str] = set()
            for member in archive:
                folder = member.name.rpartition("/")[0]
                assert not folder or folder in seen
                seen.add(member.name.rstrip("/"))
