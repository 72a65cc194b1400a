"""Reports before the run whether tests marked `real` can run; in CI, a skipped test fails."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterator
from uuid import uuid4

import pytest
from hypothesis import settings

# How long an example takes is the machine's business.
settings.register_profile("squashproxy", deadline=None)
settings.load_profile("squashproxy")

COMPONENTS = (
    *("docker-registry", "skopeo", "umoci", "buildah", "podman", "dockerd"),
    *("pigz", "go", "chromium", "promtool", "systemd-analyze"),
)


def _missing() -> list[str]:
    """What the tests marked `real` need and this machine does not have."""
    missing = [program for program in COMPONENTS if shutil.which(program) is None]
    if sys.platform != "linux":
        missing.append("Linux")
    elif os.geteuid() != 0:
        missing.append("root (owners, devices and mounts are part of what is compared)")
    return missing


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test remembers layers in the user's caches, or knows what another has read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / uuid4().hex))


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Each command sets up the package's log; other tests get it back as it was."""
    logger = logging.getLogger("squashproxy")
    before = (logger.handlers[:], logger.propagate, logger.level)
    yield
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long` runs the tests marked `long`, and no others."""
    parser.addoption("--long", action="store_true", help="run the longer proofs, and only these")


def pytest_configure() -> None:
    """Take Ctrl-C even where a shell started the tests in the background, which ignores it.

    What is ignored stays so in the processes that tests start and interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    missing = _missing()
    if not missing:
        return "real components: all there"
    return f"REAL COMPONENTS MISSING: {', '.join(missing)}: tests marked `real` cannot run"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _select_length(config, items)
    missing = _missing()
    real = [item for item in items if item.get_closest_marker("real")]
    if not missing or not real:
        return
    reason = f"real components missing: {', '.join(missing)}; tests/run installs them on Debian"
    if _is_ci():
        raise pytest.UsageError(f"CI skips nothing, but {reason}")
    for item in real:
        item.add_marker(pytest.mark.skip(reason=reason))


def _select_length(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_long = bool(config.getoption("--long"))
    of_length: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        of_length[item.get_closest_marker("long") is not None].append(item)
    if of_length[not is_long]:
        config.hook.pytest_deselected(items=of_length[not is_long])
        items[:] = of_length[is_long]


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the tests themselves: they are many, and they stay."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed test, whoever skipped it."""
    report = yield
    if report.skipped and _is_ci() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI skips nothing: {report.longrepr}"
    return report
