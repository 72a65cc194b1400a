"""Checks that the packages of the extra `fleet` are installed, before anything imports them."""

from __future__ import annotations

from importlib.util import find_spec

from squashproxy.fleet.errors import FleetMissing


def check_installed() -> None:
    """Raise FleetMissing where they are not."""
    missing = [name for name in ("celery", "redis") if find_spec(name) is None]
    if missing:
        raise FleetMissing(
            f"engine.kind is celery, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed",
            advice="install squashproxy[fleet]",
        )
