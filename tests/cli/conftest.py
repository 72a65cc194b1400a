from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.cli.command_line import InProcess


@pytest.fixture
def squashproxy(capsys: pytest.CaptureFixture[str]) -> InProcess:
    """The command line, in this process."""
    return InProcess(capsys)


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Each command sets up the package's log; other tests get it back as it was."""
    logger = logging.getLogger("squashproxy")
    before = (logger.handlers[:], logger.propagate, logger.level)
    yield
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])
