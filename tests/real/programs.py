"""Programs in Go that the tests build: what Debian does not have, or has too old."""

from __future__ import annotations

import fcntl
from functools import cache
from pathlib import Path

from tests.real.judges import run

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
MODULES = {
    "conformance": "github.com/opencontainers/distribution-spec/conformance"
    "@v0.0.0-20260831232431-97274622c111",
    "cosign": "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3",
    "crane": CRANE,
    "helm": "helm.sh/helm/v4/cmd/helm@v4.3.1",
    "regsync": "github.com/regclient/regclient/cmd/regsync@v0.11.7",
}
_OPTIONS = {"policy": ("-tags", "containers_image_openpgp")}
_QUICKLY_BUILT = ("-gcflags=all=-N -l", "-ldflags=-s -w")
"""Without optimisation and debug data, a build takes a quarter less; tests do not time these."""
_OWN = ("customtypes", "distribution3", "policy", "puller", "referrers")
"""Those whose source is here, in a folder of the same name."""


@cache
def find_program(name: str, folder: Path) -> Path:
    """Build one of MODULES, or one of our own, into `folder`, unless it is there.

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
        options = (*_QUICKLY_BUILT, *_OPTIONS.get(name, ()))
        command = ["go", "build", "-C", str(source), *options, "-o", str(folder / name), "."]
        run(command, {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"})
    else:
        # The benchmark measures regsync.
        flags = () if name == "regsync" else _QUICKLY_BUILT
        run(["go", "install", *flags, MODULES[name]], {"GOBIN": str(folder)})
