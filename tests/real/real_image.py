"""A real image: six layers of Debian packages, changed as the steps of a Dockerfile change them.

    python -m tests.real.real_image --into oci:DIR[:TAG]

Needs Debian, root and apt's mirrors; installs nothing. The layers are what overlayfs recorded.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.real.layout import LayoutWriter
from tests.real.packages import (
    Package,
    closure,
    download,
    essential,
    files_of,
    unpack,
    versions,
)
from tests.real.snapshot import mounted, write_upper

TAG = "v1"
TOOLS = ("git", "perl", "bzip2", "e2fsprogs")
TOOLCHAIN = ("python3", "g++", "make")
LARGE_TOOLCHAIN = (*TOOLCHAIN, "openjdk-17-jdk-headless", "golang-go", "clang", "cmake")
"""What makes the image larger than a gigabyte, for benchmarks."""
ARCHIVES = Path("var/cache/apt/archives")
_DOCUMENTATION = ("usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")
_MERGED = ("bin", "sbin", "lib", "lib64")
_SOURCES = ("real_image.py", "packages.py", "snapshot.py", "layout.py")

Change = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """The packages of the first three layers, and the newer versions that the fourth brings."""

    base: Sequence[Package]
    tools: Sequence[Package]
    toolchain: Sequence[Package]
    upgrades: Sequence[Package]

    @classmethod
    def from_mirrors(cls, toolchain: Sequence[str]) -> Selection:
        """What the mirrors hold today; packages with several versions begin with the oldest."""
        base = essential()
        tools = closure(TOOLS) - base
        compilers = closure(toolchain) - base - tools
        known = versions(base | tools | compilers)

        def oldest(names: Iterable[str]) -> list[Package]:
            return [known[name][-1] for name in sorted(names)]

        upgrades = [held[0] for _, held in sorted(known.items()) if len(held) > 1]
        return cls(oldest(base), oldest(tools), oldest(compilers), upgrades)

    def all(self) -> list[Package]:
        """Every package of every layer."""
        return [*self.base, *self.tools, *self.toolchain, *self.upgrades]


class Dockerfile:
    """The six steps; each is given the root of the container as it stands."""

    def __init__(self, selection: Selection, debs: dict[Package, Path]) -> None:
        self.selection = selection
        self.debs = debs

    def steps(self) -> list[Change]:
        """The steps, base first."""
        return [self.base, self.tools, self.toolchain, self.upgrade, self.purge, self.clean]

    def base(self, root: Path) -> None:
        """The essential packages, with /bin and the like as symlinks into /usr."""
        for name in _MERGED:
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        for package in self.selection.base:
            unpack(self.debs[package], root)

    def tools(self, root: Path) -> None:
        """A set of tools, unpacked as apt-get install leaves them: with its archives."""
        self._install(root, self.selection.tools)

    def toolchain(self, root: Path) -> None:
        """Interpreters and compilers."""
        self._install(root, self.selection.toolchain)

    def upgrade(self, root: Path) -> None:
        """Newer versions where there are any; the others are only touched or linked."""
        self._install(root, self.selection.upgrades)
        deb = next(self.debs[package] for package in self.selection.tools if package.name == "git")
        for name in files_of(deb)[::7]:
            path = root / name
            if path.is_file() and not path.is_symlink():
                path.touch()
        os.link(root / "usr/bin/git", root / "usr/bin/git.distrib")
        os.link(root / "usr/bin/git", root / "usr/bin/git.real")

    def purge(self, root: Path) -> None:
        """The largest package of the toolchain goes, with the directories that it leaves empty."""
        deb = max((self.debs[package] for package in self.selection.toolchain), key=_size)
        for name in reversed(files_of(deb)):
            path = root / name
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        (root / "usr/bin/git").unlink()

    def clean(self, root: Path) -> None:
        """Documentation and caches go; some directories are made again, and are opaque then."""
        for name in _DOCUMENTATION:
            shutil.rmtree(root / name, ignore_errors=True)
        for folder in (root / "usr/share/doc", root / ARCHIVES):
            shutil.rmtree(folder)
            folder.mkdir()
        (root / "usr/share/doc/README").write_text("The documentation was taken out.\n")

    def _install(self, root: Path, packages: Iterable[Package]) -> None:
        (root / ARCHIVES).mkdir(parents=True, exist_ok=True)
        for package in packages:
            deb = self.debs[package]
            unpack(deb, root)
            if _size(deb) > 1 << 20:
                shutil.copy2(deb, root / ARCHIVES)


def _size(path: Path) -> int:
    return path.stat().st_size


def build(layout: Path, debs: Path, toolchain: Sequence[str]) -> None:
    """Build the image into an OCI layout, under the tag `v1`; `debs` keeps what was fetched."""
    selection = Selection.from_mirrors(toolchain)
    dockerfile = Dockerfile(selection, download(selection.all(), debs))
    writer = LayoutWriter(layout)
    layers = []
    with tempfile.TemporaryDirectory(dir=layout.parent) as scratch:
        uppers: list[Path] = []
        for number, step in enumerate(dockerfile.steps()):
            upper = Path(scratch) / f"{number}"
            with mounted(uppers, upper, Path(scratch) / f"work{number}") as root:
                step(root)
            uppers.append(upper)
            layers.append(writer.store_layer(partial(write_upper, upper)))
    writer.add_image(TAG, layers)


def cached(cache: Path, toolchain: Sequence[str] = TOOLCHAIN) -> Path:
    """The layout of the image, built at most once for each version of the scripts."""
    here = Path(__file__).parent
    sources = [(here / name).read_bytes() for name in _SOURCES]
    key = hashlib.sha256(b"".join((*sources, repr(toolchain).encode()))).hexdigest()[:16]
    layout = cache / f"real-image-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not layout.exists():
            with tempfile.TemporaryDirectory(dir=cache) as building:
                build(Path(building) / "image", cache / "debs", toolchain)
                (Path(building) / "image").rename(layout)
    return layout


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/squashproxy-tests`, or `.cache/squashproxy-tests` in the checkout."""
    fallback = Path(__file__).parents[2] / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or fallback) / "squashproxy-tests"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--into", required=True, metavar="TRANSPORT:NAME", help="as skopeo takes it"
    )
    into: str = parser.parse_args().into
    source = f"oci:{cached(cache_folder())}:{TAG}"
    insecure = ["--dest-tls-verify=false"] if into.startswith("docker://127.") else []
    command = ["skopeo", "--insecure-policy", "copy", *insecure, source, into]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
