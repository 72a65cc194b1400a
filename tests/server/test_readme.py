"""The room's README names every wing and module."""

from __future__ import annotations

from pathlib import Path

import squashproxy.server

ROOM = Path(squashproxy.server.__file__).parent


def test_every_module_is_named() -> None:
    text = (ROOM / "README.md").read_text()
    modules = [path for path in ROOM.rglob("*.py") if path.name != "__init__.py"]
    wings = {path.parent.name for path in modules if path.parent != ROOM}
    assert [wing for wing in sorted(wings) if f"**{wing}**" not in text] == []
    missing = [
        path.stem
        for path in modules
        if f"`{path.relative_to(ROOM).with_suffix('')}`" not in text
        and f"`{path.stem}`" not in text
    ]
    assert missing == []
