"""A base image with Python, made of this machine's files: none can be pulled by tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_PROGRAMS = ("/bin/sh", "/bin/mkdir")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_UNUSED = ("test", "idlelib", "tkinter", "turtledemo", "__pycache__", "site-packages", "config-*")
_OF_THE_SYSTEM = (
    *("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6", "libresolv.so.2"),
    *("libnss_dns.so.2", "libnss_files.so.2", "libstdc++.so.6", "libgcc_s.so.1"),
)
"""Libraries that wheels expect of any Linux."""
_PREFIX = Path("usr/local")


def make_root(root: Path) -> None:
    """Fill a folder with Python, pip, a shell and the libraries of these; some 60 MB.

    Python moves to /usr/local; it finds its library from there.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(os.path.realpath(os.__file__)).parent
    _copy(Path(os.path.realpath(sys._base_executable)), root, _PREFIX / "bin" / version)  # type: ignore[attr-defined]
    (root / _PREFIX / "bin" / "python3").symlink_to(version)
    there = root / _PREFIX / "lib" / version
    shutil.copytree(library, there, symlinks=True, ignore=shutil.ignore_patterns(*_UNUSED))
    for program in _PROGRAMS:
        _copy(Path(program), root, Path(program).relative_to("/"))
    binaries = [path for path in root.rglob("*") if path.is_file() and _is_elf(path)]
    libraries = _libraries(binaries)
    (libc,) = [path for path in libraries if path.name == "libc.so.6"]
    libraries |= {libc.with_name(name) for name in _OF_THE_SYSTEM}
    for found in libraries:
        if found.exists():
            _copy(found, root, found.relative_to("/"))
    _write(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    _write(root, "etc/group", "root:x:0:\n")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    _trust_registries(root)


def _trust_registries(root: Path) -> None:
    """Let pip in the image trust what pip here trusts."""
    if _CERTIFICATES.exists():
        _copy(_CERTIFICATES, root, _CERTIFICATES.relative_to("/"))
        _write(root, "etc/pip.conf", f"[global]\ncert = {_CERTIFICATES}\n")


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    """The shared libraries that programs and modules need, and the loader."""
    done = subprocess.run(
        ["ldd", *binaries],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return {
        Path(name) for name in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE)
    }


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _copy(source: Path, root: Path, place: Path) -> None:
    target = root / place
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy(source, target)


def _write(root: Path, place: str, text: str) -> None:
    target = root / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
