"""Programs in Go that the tests build: what Debian does not have, or has too old."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tests.real.judges import run

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
CONFORMANCE = (
    "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111"
)
_PULLER = Path(__file__).parent / "puller"


@cache
def find_program(name: str, folder: Path) -> Path:
    """Build `crane`, `conformance` or `puller` into `folder`, unless it is there."""
    path = folder / name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
    if name == "puller":
        run(["go", "build", "-C", _PULLER, "-o", path, "."], os.environ | environment)
    else:
        source = {"crane": CRANE, "conformance": CONFORMANCE}[name]
        run(["go", "install", source], os.environ | {"GOBIN": str(folder)})
    return path
