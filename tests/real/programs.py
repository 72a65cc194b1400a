"""Programs in Go that the tests build: what Debian does not have, or has too old."""

from __future__ import annotations

import fcntl
from functools import cache
from pathlib import Path

from tests.real.judges import run

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
REGSYNC = "github.com/regclient/regclient/cmd/regsync@v0.11.7"
CONFORMANCE = (
    "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111"
)
_QUICKLY_BUILT = ("-gcflags=all=-N -l", "-ldflags=-s -w")
"""Without optimisation and debug data, a build takes a quarter less; tests do not time these."""
_OWN = ("distribution3", "puller", "referrers")
"""Those whose source is here, in a folder of the same name."""


@cache
def find_program(name: str, folder: Path) -> Path:
    """Build `crane`, `conformance`, `regsync` or one of our own into `folder`, unless it is there.

    Test processes that want the same program wait for the first of them.
    """
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _build(name, folder)
    return path


def _build(name: str, folder: Path) -> None:
    if name in _OWN:
        source = Path(__file__).parent / name
        command = ["go", "build", "-C", str(source), *_QUICKLY_BUILT, "-o", str(folder / name), "."]
        run(command, {"GOFLAGS": "-mod=mod"})
    else:
        module = {"crane": CRANE, "conformance": CONFORMANCE, "regsync": REGSYNC}[name]
        # The benchmark measures regsync.
        flags = () if name == "regsync" else _QUICKLY_BUILT
        run(["go", "install", *flags, module], {"GOBIN": str(folder)})
