"""Debian packages: what depends on what, which versions there are, and their files.

Asks apt's own lists and mirrors, and installs nothing.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_HARD = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a package."""

    name: str
    version: str


def output(*command: str) -> str:
    """What a program wrote. Raises CalledProcessError."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def closure(names: Iterable[str]) -> set[str]:
    """The packages and all that they depend on, virtual ones left out."""
    only = [f"--no-{kind}" for kind in _HARD]
    listed = output("apt-cache", "depends", "--recurse", *only, *names)
    real = {line for line in listed.splitlines() if line[:1].isalnum()}
    return set(versions(name for name in real if ":" not in name))


def essential() -> set[str]:
    """The packages that every Debian system has, with what they depend on."""
    found: set[str] = set()
    name = ""
    for line in output("apt-cache", "dumpavail").splitlines():
        if line.startswith("Package: "):
            name = line.split()[1]
        elif line == "Essential: yes":
            found.add(name)
    return closure(found)


def versions(names: Iterable[str]) -> dict[str, list[Package]]:
    """The versions that the mirrors hold, newest first; virtual packages have none."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for line in output("apt-cache", "madison", *names).splitlines():
        name, version, origin = (part.strip() for part in line.split("|"))
        if origin.endswith("Packages"):
            found[name][version] = None
    return {name: [Package(name, version) for version in held] for name, held in found.items()}


def download(packages: Iterable[Package], folder: Path) -> dict[Package, Path]:
    """Fetch the packages into the folder; what is there already is not fetched again."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list(packages)
    missing = [package for package in wanted if not _found(package, folder)]
    if missing:
        names = [f"{package.name}={package.version}" for package in missing]
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names]
        subprocess.run(command, cwd=folder, check=True)
    return {package: _found(package, folder)[0] for package in wanted}


def _found(package: Package, folder: Path) -> list[Path]:
    version = package.version.replace(":", "%3a")
    return list(folder.glob(f"{package.name}_{version}_*.deb"))


def unpack(deb: Path, root: Path) -> None:
    """Unpack a package's files over what is there, as dpkg does."""
    subprocess.run(["dpkg-deb", "--extract", deb, root], check=True)


def files_of(deb: Path) -> list[str]:
    """The paths in a package, relative to the root, deepest last."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as tar:
        listed = subprocess.run(
            ["tar", "-t"], stdin=tar.stdout, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    return [name.removeprefix("./").rstrip("/") for name in listed.splitlines() if name != "./"]
