from __future__ import annotations

import pytest

from tests.cli.command_line import InProcess


@pytest.fixture
def squashproxy(capsys: pytest.CaptureFixture[str]) -> InProcess:
    """The command line, in this process."""
    return InProcess(capsys)
