"""Archives and pipes on the command line: files in, files out, and what goes wrong with them."""

from __future__ import annotations

import gzip
import json
import os
import pty
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from squashproxy.digest import digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP
from squashproxy.testing import (
    BuiltImage,
    FakeRegistry,
    Fault,
    FaultKind,
    ImageBuilder,
    LayerBuilder,
    Packing,
    RegistryOptions,
    index_of,
)
from tests.cli.command_line import InProcess
from tests.pipeline.images import LAYERS, OS, app, noise
from tests.transports.places import open_places
from tests.transports.tars import docker_20, docker_25, document, tar_of


def large(size: int = 20 << 20) -> BuiltImage:
    """An image of 20 MB, or another size, nearly all of it in its second layer."""
    file = LayerBuilder().file("large", noise(size))
    return ImageBuilder().layer(OS, Packing.NONE).layer(file, Packing.NONE).build()


PLAIN = tar_of(docker_20(app(packing=Packing.NONE), "app:1"))
PACKED = tar_of(docker_25(app(), "app:1"))
LARGE = tar_of(docker_20(large(), "large:1"))


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs processes; their temporary files go to a folder of their own."""

    folder: Path

    def __call__(self, *arguments: str, stdin: bytes | Path = b"", most: int = -1) -> Finished:
        """Run one, with bytes piped in or a file as standard input.

        `most` is how many bytes a file that it writes may have.
        """
        limits = (resource.RLIMIT_FSIZE, (most, most))
        with stdin.open("rb") if isinstance(stdin, Path) else nullcontext() as file:
            done = subprocess.run(
                [sys.executable, "-m", "squashproxy", *arguments],
                stdin=file,
                input=stdin if isinstance(stdin, bytes) else None,
                env={**os.environ, "TMPDIR": str(self.folder)},
                capture_output=True,
                check=False,
                timeout=60,
                preexec_fn=lambda: resource.setrlimit(*limits) if most >= 0 else None,
            )
        assert list(self.folder.iterdir()) == [], "temporary files do not stay"
        return Finished(done.returncode, done.stdout, done.stderr.decode())


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    out: bytes
    err: str


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("temporary"))


@dataclass(frozen=True, slots=True)
class Inside:
    """Runs command lines that need no pipe in this process; checks what a `Shell` does."""

    run: InProcess
    folder: Path

    def __call__(self, *arguments: str) -> Finished:
        done = self.run(*arguments)
        assert list(self.folder.iterdir()) == [], "temporary files do not stay"
        return Finished(done.code, done.out.encode(), done.err)


@pytest.fixture
def inside(
    squashproxy: InProcess,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Inside:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return Inside(squashproxy, folder)


class TestPipes:
    @pytest.mark.parametrize("archive", [PLAIN, PACKED, gzip.compress(PLAIN)])
    def test_through_and_through(self, shell: Shell, archive: bytes, tmp_path: Path) -> None:
        """The report goes to standard error, since the archive has standard output."""
        done = shell("copy", "--base=1", "docker-archive:-", "docker-archive:-:a:2", stdin=archive)
        assert done.code == 0, done.err
        assert "before" in done.err
        (tmp_path / "a.tar").write_bytes(done.out)
        checked = shell("inspect", "--json", f"docker-archive:{tmp_path}/a.tar:a:2")
        assert len(json.loads(checked.out)["images"][0]["layers"]) == 2

    def test_what_was_spooled_is_reported(self, shell: Shell, tmp_path: Path) -> None:
        target = f"oci:{tmp_path}/layout"
        piped = shell("copy", "--json", "docker-archive:-", target, stdin=PLAIN)
        assert json.loads(piped.out)["spooled_bytes"] == len(PLAIN)
        told = shell("copy", "--force", "docker-archive:-", target, stdin=PLAIN)
        assert b"temporary file" in told.out

    @pytest.mark.parametrize(
        ("base", "skip"), [("none", 1), ("2", 2)], ids=["squashed", "compressed as it is"]
    )
    def test_a_lost_upload_is_made_again_from_the_spool(
        self, shell: Shell, base: str, skip: int
    ) -> None:
        """A pipe cannot be read twice, its temporary file can."""
        archive = tar_of(docker_20(large(5 << 20), "large:1"))
        with FakeRegistry(RegistryOptions(resumable_uploads=False)) as registry:
            cut = Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=skip)
            registry.arm(cut)
            target = f"{registry.host}/large:1"
            done = shell(
                "copy",
                "--json",
                "--jobs=1",
                f"--base={base}",
                "docker-archive:-",
                target,
                stdin=archive,
            )
            assert done.code == 0, done.err
            (warning,) = [each for each in json.loads(done.out)["warnings"] if "was lost" in each]
            assert "made again from the source" in warning
            assert json.loads(done.out)["spooled_bytes"] == len(archive)
            assert registry.open_uploads == 0

    def test_a_file_as_standard_input_is_not_spooled(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "app.tar").write_bytes(PLAIN)
        target = f"oci:{tmp_path}/layout"
        done = shell("copy", "--json", "docker-archive:-", target, stdin=tmp_path / "app.tar")
        assert json.loads(done.out)["spooled_bytes"] == 0

    def test_the_same_bytes_through_a_pipe_and_into_a_file(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        piped = shell("copy", "docker-archive:-", "oci-archive:-:1", stdin=PLAIN)
        shell("copy", "docker-archive:-", f"oci-archive:{tmp_path}/a.tar:1", stdin=PLAIN)
        file = f"oci-archive:{tmp_path}/a.tar:1"
        (tmp_path / "b.tar").write_bytes(piped.out)
        pipe = f"oci-archive:{tmp_path}/b.tar:1"
        one, two = (json.loads(shell("inspect", "--json", name).out) for name in (file, pipe))
        assert one["digest"] == two["digest"]

    def test_json_and_an_archive_do_not_share_standard_output(self, shell: Shell) -> None:
        done = shell("copy", "--json", "docker-archive:-", "docker-archive:-", stdin=PLAIN)
        assert (done.code, done.out) == (2, b"")
        assert "--json" in done.err

    def test_a_terminal_is_no_archive_and_shows_none(self, tmp_path: Path) -> None:
        (tmp_path / "app.tar").write_bytes(PLAIN)
        for words in (
            ["docker-archive:-", f"oci:{tmp_path}/x"],
            [f"docker-archive:{tmp_path}/app.tar", "docker-archive:-"],
        ):
            ours, theirs = pty.openpty()
            done = subprocess.run(
                [sys.executable, "-m", "squashproxy", "copy", *words],
                stdin=theirs,
                stdout=theirs,
                stderr=subprocess.PIPE,
                check=False,
                timeout=60,
            )
            os.close(ours)
            os.close(theirs)
            assert done.returncode == 2
            assert b"is a terminal" in done.stderr
        assert not (tmp_path / "x").exists()

    def test_a_base_cannot_come_through_a_pipe(self, shell: Shell) -> None:
        done = shell("copy", "--base=docker-archive:-", "docker-archive:-", "docker-archive:-")
        assert done.code == 2
        assert "base" in done.err


BAD_SOURCES: dict[str, tuple[str, bytes, str]] = {
    "nothing": ("docker-archive", b"", "is empty"),
    "no tar": ("docker-archive", b"hello" * 1000, "no tar archive"),
    "a tar without a list": ("docker-archive", tar_of({"a": b"b"}), "no docker archive"),
    "a docker archive named as OCI": ("oci-archive", PLAIN, "name it as docker-archive:"),
    "half of it": ("docker-archive", PLAIN[: len(PLAIN) // 2], "cut short"),
    "all but its last documents": (
        "docker-archive",
        PLAIN[: PLAIN.rindex(b"manifest.json")],
        "cut",
    ),
    "half of an OCI archive": ("oci-archive", PACKED[: len(PACKED) // 2], "cut short"),
    "half a gzip": ("docker-archive", gzip.compress(PLAIN)[:3000], "cut short"),
    "xz": ("docker-archive", b"\xfd7zXZ\0" + bytes(600), "compressed with xz"),
    "damage within": ("docker-archive", PLAIN[:512] + b"X" * 512 + PLAIN[1024:], "no tar header"),
}


@pytest.mark.parametrize("name", BAD_SOURCES)
@pytest.mark.parametrize("piped", [True, False], ids=["piped", "file"])
def test_a_bad_source(
    name: str, shell: Shell, inside: Inside, tmp_path: Path, *, piped: bool
) -> None:
    kind, data, words = BAD_SOURCES[name]
    (tmp_path / "bad.tar").write_bytes(data)
    source = f"{kind}:-" if piped else f"{kind}:{tmp_path}/bad.tar"
    target = tmp_path / "target.tar"
    words_of_command = ("copy", source, f"docker-archive:{target}:a:1")
    done = shell(*words_of_command, stdin=data) if piped else inside(*words_of_command)
    assert (done.code, done.out) == (1, b"")
    assert words in done.err
    assert done.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar"]


class TestKilled:
    """A killed process cannot clean up, and still leaves no file behind."""

    @pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
    def test_a_file_that_was_begun_has_no_name(self, kind: str, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", kind) as (old, new):
            old.put(large())
            hanging = old.registry.arm(
                Fault("GET", large().layers[1].digest, FaultKind.HANG, after_bytes=4 << 20)
            )
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "squashproxy", "copy", "-q", "--base=none"),
                    *(old.reference(), new.reference()),
                ]
            )
            _wait_for_a_large_file_of(process.pid)
            process.kill()
            assert process.wait(30) == -signal.SIGKILL
            hanging.release()
            assert list(new.folder.iterdir()) == []


def _wait_for_a_large_file_of(process: int) -> None:
    """Wait until the process has written a megabyte to a file that it holds open."""
    deadline = time.monotonic() + 30
    while not any(size > 1 << 20 for size in _sizes_of_open_files(process)):
        assert time.monotonic() < deadline, "it never wrote"
        time.sleep(0.01)


def _sizes_of_open_files(process: int) -> Iterator[int]:
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            found = entry.stat()
            if stat.S_ISREG(found.st_mode):
                yield found.st_size


def layout_of(image: BuiltImage, **changes: bytes) -> bytes:
    return tar_of({**docker_25(image, "app:1"), **changes})


def with_wrong_diff_id() -> BuiltImage:
    blob = app().blobs[app().layers[2].digest]
    builder = ImageBuilder().layer(LAYERS[0]).layer(LAYERS[1])
    builder.stored_layer(Descriptor(OCI_LAYER_GZIP, digest_of(blob), len(blob)), digest_of(b"x"))
    image = builder.layer(LAYERS[3]).build()
    return replace(image, blobs={**image.blobs, digest_of(blob): blob})


def without_a_blob() -> bytes:
    entries = docker_25(app(), "app:1")
    del entries[f"blobs/sha256/{app().layers[2].digest[7:]}"]
    return tar_of(entries)


def with_lying_sizes() -> bytes:
    image = app()
    manifest = json.loads(image.manifest.data)
    manifest["layers"][2]["size"] += 1
    data = document(manifest)
    entries = {**docker_25(image, "app:1"), f"blobs/sha256/{digest_of(data)[7:]}": data}
    entries["index.json"] = document(
        {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": manifest["mediaType"],
                    "digest": digest_of(data),
                    "size": len(data),
                    "annotations": {"org.opencontainers.image.ref.name": "1"},
                }
            ],
        }
    )
    return tar_of(entries)


BAD_LAYOUTS: dict[str, tuple[bytes, str, *tuple[str, ...]]] = {
    "a missing blob": (without_a_blob(), "holds no blobs/sha256/"),
    "sizes that are not true": (with_lying_sizes(), "descriptor says"),
    "a wrong diff ID": (
        tar_of(docker_25(with_wrong_diff_id(), "app:1")),
        "unpacks to",
        "--check-diff-ids",
    ),
    "a changed manifest": (
        layout_of(
            app(), **{f"blobs/sha256/{app().digest[7:]}": app().manifest.data.replace(b":2", b":3")}
        ),
        "instead of",
    ),
}


@pytest.mark.parametrize("name", BAD_LAYOUTS)
@pytest.mark.parametrize("verb", ["copy", "plan"])
def test_a_bad_layout(name: str, verb: str, inside: Inside, tmp_path: Path) -> None:
    data, words, *options = BAD_LAYOUTS[name]
    (tmp_path / "bad.tar").write_bytes(data)
    source, target = f"oci-archive:{tmp_path}/bad.tar:1", f"oci:{tmp_path}/new/layout:1"
    done = inside(verb, *options, source, target)
    assert (done.code, done.out) == (1, b"")
    assert words in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar"]


def test_an_index_without_the_image_that_was_asked_for(shell: Shell, tmp_path: Path) -> None:
    index = index_of([app()])
    entries = {**docker_25(app(), "app:1"), f"blobs/sha256/{index.digest[7:]}": index.manifest.data}
    entries["index.json"] = document(
        {"schemaVersion": 2, "manifests": [index.manifest.descriptor.to_json()]}
    )
    (tmp_path / "index.tar").write_bytes(tar_of(entries))
    source = f"oci-archive:{tmp_path}/index.tar"
    done = shell("copy", "--platform=linux/s390x", source, f"oci:{tmp_path}/new")
    assert done.code == 1
    assert "no image for linux/s390x; it has linux/amd64" in done.err
    assert not (tmp_path / "new").exists()


class TestTargetsThatFillUp:
    @pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci"])
    def test_nothing_stays_of_a_file_that_did_not_fit(
        self, kind: str, shell: Shell, tmp_path: Path
    ) -> None:
        (tmp_path / "large.tar").write_bytes(LARGE)
        source = f"docker-archive:{tmp_path}/large.tar"
        done = shell("copy", "--base=1", source, f"{kind}:{tmp_path}/new", most=5 << 20)
        assert done.code == 1
        assert "could not be written: file too large" in done.err
        assert [path.name for path in tmp_path.iterdir()] == ["large.tar"]

    def test_nor_of_a_spool(self, shell: Shell, tmp_path: Path) -> None:
        done = shell("copy", "docker-archive:-", f"oci:{tmp_path}/new", stdin=LARGE, most=5 << 20)
        assert done.code == 1
        assert "set TMPDIR" in done.err
        assert list(tmp_path.iterdir()) == []

    def test_a_full_device(self, shell: Shell) -> None:
        done = shell("copy", "docker-archive:-", "docker-archive:/dev/full", stdin=PLAIN)
        assert done.code == 1
        assert "no space left" in done.err

    def test_a_folder_that_is_not_there(self, shell: Shell, tmp_path: Path) -> None:
        done = shell("copy", "docker-archive:-", f"oci-archive:{tmp_path}/a/b.tar", stdin=PLAIN)
        assert done.code == 1
        assert "make it first" in done.err


class TestTargetsThatAreTaken:
    @pytest.mark.parametrize(
        ("kind", "there", "words"),
        [
            ("docker-archive", b"a letter to a friend, and no archive", "will not be replaced"),
            ("oci-archive", PLAIN, "will not be replaced"),
            ("docker-archive", PLAIN, "would be lost"),
        ],
        ids=["something else", "another kind", "another image"],
    )
    def test_files_stay(
        self, kind: str, there: bytes, words: str, shell: Shell, tmp_path: Path
    ) -> None:
        (tmp_path / "taken").write_bytes(there)
        target = f"{kind}:{tmp_path}/taken:other:2"
        done = shell("copy", "docker-archive:-", target, stdin=PLAIN)
        assert done.code == 1
        assert words in done.err
        assert (tmp_path / "taken").read_bytes() == there

    def test_a_folder_of_something_else(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "letter").write_bytes(b"dear friend")
        done = shell("copy", "docker-archive:-", f"oci:{tmp_path}:1", stdin=PLAIN)
        assert done.code == 1
        assert "something else" in done.err
        assert [path.name for path in tmp_path.iterdir()] == ["letter"]

    def test_no_clobber(self, shell: Shell, tmp_path: Path) -> None:
        target = f"docker-archive:{tmp_path}/a.tar:a:1"
        shell("copy", "docker-archive:-", target, stdin=PLAIN)
        before = (tmp_path / "a.tar").read_bytes()
        done = shell("copy", "--no-clobber", "--base=none", "docker-archive:-", target, stdin=PLAIN)
        assert (done.code, (tmp_path / "a.tar").read_bytes()) == (0, before)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci"])
def test_an_interrupted_copy_leaves_nothing(
    name: signal.Signals, kind: str, tmp_path: Path
) -> None:
    """The pipe that it reads stays open, so that it is caught while it waits."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "image").mkdir()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "squashproxy", "copy"),
            *("docker-archive:-", f"{kind}:{tmp_path}/image/new"),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(LARGE[: len(LARGE) // 2])
        process.stdin.flush()
        process.send_signal(name)
        said = process.stderr.read().decode()
        process.wait(30)
    assert process.returncode == 130
    assert said.count("\n") == 1
    assert list((tmp_path / "temporary").iterdir()) == []
    assert list((tmp_path / "image").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["copy", "oci:", "oci:x"], "names no path"),
        (["copy", "oci:x:", "oci:y"], "ends in a colon"),
        (["copy", "oci:x", "oci-archive:y/"], "ends in a slash"),
        (["copy", "docker-daemon:app:1", "oci:y"], "docker save"),
        (["copy", "oci:x@sha256:12", "oci:y"], "not a reference"),
        (["copy", "oci:x", f"oci:y@{digest_of(b'')}"], "cannot be a target"),
        (["copy", "oci:x", "oci:y:-bad"], "cannot name an image"),
        (["copy", "oci:x", "docker-archive:y:UPPER"], "not a reference"),
        (["copy", "oci:x", "docker-archive:y:@0"], "give a name such as app:1 instead"),
    ],
)
def test_wrong_usage(squashproxy: InProcess, words: list[str], part: str) -> None:
    outcome = squashproxy(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert part in outcome.err


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("docker-archive:folder", "is a folder; name an archive in it"),
        ("oci-archive:a:b.tar", "is not there; check the path, which ends at the first colon"),
        ("oci:a:b", "is not there; check the path, which ends at the first colon"),
        ("oci:dangling", "is a link to nowhere, which is not there; check where it leads"),
        ("oci:file", "is no folder; name a tar as oci-archive:"),
        ("oci:folder", "has no index.json; name one that holds an image"),
        ("docker-archive:file", "is no tar archive; give a file"),
    ],
)
def test_a_path_that_leads_to_no_image_says_what_to_do(
    squashproxy: InProcess,
    reference: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"letter")
    (tmp_path / "dangling").symlink_to("nowhere")
    outcome = squashproxy("inspect", reference)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert words in outcome.err


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_nothing_there(squashproxy: InProcess, kind: str, tmp_path: Path) -> None:
    outcome = squashproxy("inspect", f"{kind}:{tmp_path}/absent")
    assert (outcome.code, outcome.out) == (1, "")
    assert "absent" in outcome.err
    assert outcome.err.count("\n") == 1
