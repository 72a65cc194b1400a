"""Each parser under a fuzzer that is led by coverage, for a minute."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz.parsers import PARSERS

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 60

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed"),
]


@pytest.mark.parametrize("name", PARSERS)
def test_no_input_raises_an_error_that_is_not_documented(name: str, tmp_path: Path) -> None:
    inputs, found = tmp_path / "inputs", tmp_path / "found"
    inputs.mkdir()
    found.mkdir()
    known = [path.read_bytes() for path in CORPUS.glob(f"{name},*")]
    for number, seed in enumerate([*PARSERS[name].seeds, *known]):
        (inputs / str(number)).write_bytes(seed)
    command = [sys.executable, "-m", "tests.fuzz.harness", name, f"-max_total_time={SECONDS}"]
    limits = ["-timeout=10", "-rss_limit_mb=2000", "-max_len=4096", f"-artifact_prefix={found}/"]
    done = subprocess.run(
        [*command, *limits, str(inputs)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    artifacts = [path.read_bytes()[:500] for path in found.iterdir()]
    assert done.returncode == 0, (artifacts, done.stderr[-3000:])
