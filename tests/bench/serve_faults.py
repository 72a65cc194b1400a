"""The table of faults for serve: pulls through a server whose upstream or store fails, by seeds.

    python -m tests.bench.serve_faults [--runs 10] [--seed 1] [--registry distribution2]

Each row has a `squashproxy serve` of its own. Each run pulls an image that the server has not seen,
whole, by its tag and by its digest, while one to three faults of one kind wait for the server, as
in tests/bench/faults.py. The client tries each request five times, as docker does, and checks every
digest. Right means the squashed image of a calm server, or the original where the server says that
it is that. Right again is asked of each image after the faults have passed: it has to be squashed
within a minute, without a restart.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from squashproxy.digest import digest_of
from squashproxy.oci.mediatypes import INDEXES, MANIFESTS
from squashproxy.oci.platform import Platform
from squashproxy.testing import BuiltImage, BuiltIndex, ImageBuilder, LayerBuilder, index_of
from tests.bench.faults import READS, WRITES, Kind, add_options, chosen_kinds, write_command
from tests.bench.outages import Ending, show_wrong, write_row
from tests.bench.places import FAKE, Place, new_place
from tests.real.serving import RealServer, run_server
from tests.server.serving import UP, settings

_MADE_FROM = "X-Squashproxy-Source-Digest"
_ACCEPT = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}
_TRIES = 5
_BETWEEN_TRIES_SECONDS = 1.0
_SILENT_SECONDS = 90.0
_HUNG_SECONDS = 400.0
_RECOVERY_SECONDS = 60.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Setting:
    """What of a server fails, and its store."""

    at: str
    store: str
    methods: tuple[str, ...]


SETTINGS = (
    Setting("upstream", "folder", READS),
    Setting("upstream", "registry", READS),
    Setting("store", "registry", ("GET", *WRITES)),
)


class Refused(Exception):
    """The server gave an error as often as the client tried."""


class Wrong(Exception):
    """The server gave what it must never give."""


class Hung(Exception):
    """The server gave nothing."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """The digest of an image that came whole, and whether the server says that it squashed it."""

    digest: str
    is_squashed: bool


@dataclass(frozen=True, slots=True)
class Client:
    """Pulls images from a server, by HEAD and digest as docker, or by the tag as others."""

    server: RealServer
    asks_head: bool

    def pull(self, repo: str, selector: str) -> Pulled:
        """Pull an image and all below it. Raises Refused, Wrong and Hung."""
        deadline = time.monotonic() + _HUNG_SECONDS
        told: Mapping[str, str] = {}
        if self.asks_head and ":" not in selector:
            head = self._ask("HEAD", f"{repo}/manifests/{selector}", deadline)
            selector, told = head.headers["Docker-Content-Digest"], head.headers
        answer = self._ask("GET", f"{repo}/manifests/{selector}", deadline)
        digest = _checked(answer, selector)
        document = answer.json()
        for child in document.get("manifests", ()):
            self.pull(repo, child["digest"])
        for blob in (*document.get("layers", ()), *filter(None, [document.get("config")])):
            content = self._ask("GET", f"{repo}/blobs/{blob['digest']}", deadline)
            _checked(content, blob["digest"])
        return Pulled(digest, _MADE_FROM in (told or answer.headers))

    def _ask(self, method: str, path: str, deadline: float) -> requests.Response:
        """An answer that came whole; a server that breaks off or is unavailable is asked again."""
        last = ""
        for _ in range(_TRIES):
            if time.monotonic() > deadline:
                break
            try:
                answer = requests.request(
                    method,
                    f"http://{self.server.host}/v2/{UP}/{path}",
                    headers=_ACCEPT,
                    timeout=_SILENT_SECONDS,
                )
            except requests.Timeout as error:
                raise Hung(f"{method} {path}: {error}") from error
            except requests.RequestException as error:
                last = f"{method} {path}: {error}"
                if self.server.process.poll() is not None:
                    raise Wrong(f"the server has ended: {last}") from error
            else:
                if answer.status_code == 200:
                    return answer
                last = f"{method} {path}: {answer.status_code} {_sentence(answer, method)}"
            time.sleep(_BETWEEN_TRIES_SECONDS)
        if time.monotonic() > deadline:
            raise Hung(last)
        raise Refused(last)


def _checked(answer: requests.Response, expected: str) -> str:
    """The digest of an answer's body. Raises Wrong if another one was asked for or announced."""
    found = digest_of(answer.content)
    announced = answer.headers.get("Docker-Content-Digest", found)
    if found != announced or (":" in expected and found != expected):
        raise Wrong(f"{answer.url} gave {found}, announced as {announced}")
    return found


def _sentence(answer: requests.Response, method: str) -> str:
    """The error as the API has it. Raises Wrong for anything else."""
    if method == "HEAD" and answer.status_code != 500:
        return ""
    try:
        (entry,) = answer.json()["errors"]
        code, message = entry["code"], entry["message"]
    except (ValueError, KeyError, TypeError) as error:
        raise Wrong(f"{answer.url}: {answer.status_code} {answer.text!r}") from error
    if answer.status_code == 500 or not message:
        raise Wrong(f"{answer.url}: {answer.status_code} {code}: {message}")
    return f"{code}: {message}"


def image(number: int) -> BuiltImage | BuiltIndex:
    """An image that shares no blob with that of another number; each third one is an index."""
    if number % 3 == 2:
        return index_of([_image(f"{number} {name}", name) for name in ("amd64", "arm64")])
    return _image(str(number), "amd64")


def _image(seed: str, architecture: str) -> BuiltImage:
    noise = random.Random(seed).randbytes
    builder = ImageBuilder(platform=Platform("linux", architecture))
    builder.layer(LayerBuilder().file("base", noise(300_000)))
    builder.layer(LayerBuilder().file("app", noise(900_000)).file("goes", noise(200_000)))
    builder.layer(LayerBuilder().file("top", noise(300_000)).whiteout("goes"))
    return builder.build()


@dataclass(frozen=True, slots=True)
class Scene:
    """A server, and the registries that it uses."""

    upstream: Place
    store: Place | None
    server: RealServer

    def fill(self, number: int) -> str:
        """Push an image that the server has not seen; the name of its repository."""
        image(number).push(self.upstream.images, f"app{number}", "1")
        return f"app{number}"

    @property
    def said(self) -> str:
        """All that the server has said, apart from its access log."""
        return (self.server.log.parent / "errors").read_text()

    def squash(self, number: int) -> str:
        """Pull an image by its tag until it is squashed; its digest. Raises Wrong otherwise."""
        client = Client(self.server, asks_head=False)
        deadline = time.monotonic() + _RECOVERY_SECONDS
        last = ""
        while time.monotonic() < deadline:
            try:
                found = client.pull(f"app{number}", "1")
            except Refused as refused:
                last = str(refused)
            else:
                if found.is_squashed:
                    return found.digest
                last = "the original"
            time.sleep(_POLL_SECONDS)
        raise Wrong(f"never squashed although the faults have passed: {last}")


@contextmanager
def new_scene(setting: Setting, make: str) -> Iterator[Scene]:
    """A server in front of an empty registry; what fails is of the given make."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(new_place(make))
        store = stack.enter_context(new_place(make)) if setting.store == "registry" else None
        configuration: dict[str, Any] = settings(upstream.faulty.url, folder, negative_ttl="1s")
        if store is not None:
            configuration["serve"]["store"] = {"registry": f"{store.host}/cache"}
        server = stack.enter_context(run_server(folder / "server", configuration))
        yield Scene(upstream, store, server)


def calm_digests(runs: int) -> list[str]:
    """The digests of the squashed images, from a server that meets no fault."""
    with new_scene(SETTINGS[0], FAKE) as scene:
        for number in range(runs):
            scene.fill(number)
        return [scene.squash(number) for number in range(runs)]


@dataclass(frozen=True, slots=True)
class Row:
    """What meets the pulls of a row, and the digests that are right."""

    kind: Kind
    setting: Setting
    right: Sequence[str]

    def run(self, scene: Scene, number: int, chance: random.Random) -> Ending:
        """One pull that meets faults, and one after they have passed."""
        scene.fill(number)
        before = len(scene.said)
        place = scene.upstream if self.setting.at == "upstream" else scene.store
        assert place is not None
        methods = [each for each in self.kind.methods if each in self.setting.methods]
        self.kind.arm(place, methods, chance)
        client = Client(scene.server, asks_head=chance.random() < 0.5)
        try:
            ending = self._pull(client, number)
            place.faulty.disarm()
            self._check_recovery(scene, number, before)
        except (Wrong, Hung) as error:
            place.faulty.disarm()
            where = f"{self.kind.name} at the {self.setting.at}, run {number}"
            show_wrong(where, error, scene.said[before:])
            return Ending.HUNG if isinstance(error, Hung) else Ending.WRONG
        return ending

    def _pull(self, client: Client, number: int) -> Ending:
        original = str(image(number).digest)
        try:
            found = client.pull(f"app{number}", "1")
            right = self.right[number] if found.is_squashed else original
            if found.digest != right:
                raise Wrong(f"{found}, but {right} is right")
            client.pull(f"app{number}", original)
        except Refused:
            return Ending.CLEAR_ERROR
        return Ending.RIGHT

    def _check_recovery(self, scene: Scene, number: int, before: int) -> None:
        if (again := scene.squash(number)) != self.right[number]:
            raise Wrong(f"{again} after the faults have passed, {self.right[number]} is right")
        if "Traceback" in scene.said[before:] or "this is a bug" in scene.said[before:]:
            raise Wrong("the server's log speaks of a bug")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_options(parser, 10)
    arguments = parser.parse_args()
    right = calm_digests(arguments.runs)
    write_command("serve_faults", arguments)
    write_row("fault", "at", "store", "runs", *(each.value for each in Ending))
    write_row("---", "---", "---", *["--:"] * (len(Ending) + 1))
    for kind in chosen_kinds(arguments):
        for setting in SETTINGS:
            if not set(kind.methods) & set(setting.methods):
                continue
            chance = random.Random(f"{arguments.seed} {kind.name} {setting.at} {setting.store}")
            with new_scene(setting, arguments.registry) as scene:
                row = Row(kind, setting, right)
                found = Counter(row.run(scene, number, chance) for number in range(arguments.runs))
            counts = (found[each] for each in Ending)
            write_row(kind.name, setting.at, setting.store, found.total(), *counts)


if __name__ == "__main__":
    main()
