"""The table of kills: every verb gets a signal at a moment that the seed chooses.

    python -m tests.bench.kills [--runs 10] [--seed 1] [--verb copy] [--number 7]

A moment is a request, counted by the registry, or the change of a file, counted in the process; so
it does not depend on the load of the machine. Half of the signals at a request come before its
answer, the others up to 30 ms later, in the middle of something. Right means:

1. Tags, layouts, archives, stores, plans, reports and audit logs are whole, and each is as before
   or as after a calm run, as soon as the process is dead.
2. SIGTERM and SIGINT: exit code 130 and one sentence (0 for commands that last until a signal
   comes); no temporary file is left, and no upload session is open. Only a session that the
   registry began after the signal may be, since nobody learned its name.
3. A second run ends with 0, and everything is as after a calm run. What SIGKILL left is cleared.

A run hangs if the process does nothing for a minute: no processor time, no request. What is wrong
goes to standard error, with the number by which it can be repeated.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from squashproxy.digest import Digest
from squashproxy.testing import FakeRegistry
from tests.bench.kill_scenes import SCENES, Found, Scene
from tests.bench.outages import Ending, write_row

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_INTERRUPTED = 130
_IDLE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_LATEST_SECONDS = 0.03
_ROOT = Path(__file__).parents[2]
_TICKS = slice(13, 15)
"""utime and stime among the fields of /proc/PID/stat, behind its name (man 5 proc)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a signal is sent: some seconds after a request, or before the change of a file."""

    name: signal.Signals = signal.SIGKILL
    request: int = 0
    seconds: float = 0.0
    change: int = 0

    def __str__(self) -> str:
        at = f"request {self.request} + {self.seconds * 1000:.0f} ms"
        return f"{self.name.name} at {f'change {self.change}' if self.change else at}"


CALM = Moment()


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended: its exit code, standard error, requests, and changes of files."""

    code: int
    said: str
    requests: int
    changes: int
    may_be_cut: bool = False
    """Whether the system may have ended it by the signal: Python had taken down its handlers, as
    all was done; or it was a second signal, which ends a command that lasts at once.
    """


class Hung(Exception):
    """A process did nothing for a minute; the text is where its threads stood."""


class Runner:
    """Runs the command of a scene, and sends it a signal."""

    def __init__(self, scene: Scene, base: Path) -> None:
        self._scene = scene
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None
        self._moment = CALM
        self._asked = 0
        self._begun_before: int | None = None
        self._lock = threading.Lock()
        scene.registry.before_each(self._hear)
        for name in ("tmp", "cache"):
            (base / name).mkdir()

    def run(self, moment: Moment) -> Ended:
        """Run the command to its end. Raises Hung."""
        self._moment, self._asked, self._begun_before = moment, 0, None
        count, said = self._base / "count", self._base / "said"
        count.unlink(missing_ok=True)
        line = [sys.executable, "-X", "faulthandler", "-m", "tests.bench.kill_at"]
        line += [str(moment.change), str(int(moment.name)), str(count), *self._scene.command]
        environ = os.environ | {
            "XDG_CACHE_HOME": str(self._base / "cache"),
            "TMPDIR": str(self._base / "tmp"),
        }
        with (
            said.open("wb") as errors,
            subprocess.Popen(
                line, env=environ, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=errors
            ) as process,
        ):
            self._process = process
            was_ended = self._wait(process, said)
        was_over = count.exists()
        changes = int(count.read_text()) if was_over else 0
        may_be_cut = moment != CALM and (was_ended or was_over)
        return Ended(process.returncode, said.read_text(), self._asked, changes, may_be_cut)

    def leftovers(self) -> list[str]:
        """Temporary files, wherever they may be."""
        named = [path for path in self._base.rglob("*") if _is_temporary(path)]
        return sorted(path.name for path in [*named, *(self._base / "tmp").iterdir()])

    @property
    def unheard_sessions(self) -> int:
        """Upload sessions that the registry began after a signal at a request."""
        before = self._begun_before
        return 0 if before is None else self._sessions_begun() - before

    def _sessions_begun(self) -> int:
        return sum(each.method == "POST" for each in self._scene.registry.requests)

    def _hear(self, _: str, __: str) -> None:
        with self._lock:
            self._asked += 1
            is_due = self._asked == self._moment.request
        if not is_due:
            return
        if self._moment.seconds:
            threading.Timer(self._moment.seconds, self._send).start()
        else:
            self._send()

    def _send(self) -> None:
        process = self._process
        assert process is not None
        self._begun_before = self._sessions_begun()
        process.send_signal(self._moment.name)
        if self._moment.name is signal.SIGKILL:
            process.wait(_IDLE_SECONDS)

    def _wait(self, process: subprocess.Popen[bytes], said: Path) -> bool:
        """Wait for the end; whether a command that lasts was ended, since it was done."""
        is_done = self._scene.is_done
        before, moved = (-1, -1), time.monotonic()
        while process.poll() is None:
            if is_done is not None and is_done(self._scene, said.read_text()):
                process.terminate()
                is_done = None
            now = (self._asked, _ticks_of(process.pid))
            if now != before:
                before, moved = now, time.monotonic()
            elif time.monotonic() - moved > _IDLE_SECONDS:
                process.send_signal(signal.SIGABRT)
                process.wait(_IDLE_SECONDS)
                raise Hung(said.read_text())
            time.sleep(_LOOK_SECONDS)
        return self._scene.is_done is not None and is_done is None


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".squashproxy-") or path.suffix in (".part", ".partial", ".copy")


def _ticks_of(pid: int) -> int:
    """The processor time of a process, in ticks of the system; -1 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return -1
    return sum(map(int, fields[_TICKS.start - 2 : _TICKS.stop - 2]))


@dataclass(frozen=True, slots=True)
class Calm:
    """A run without a signal: what was before and after, and how often it asked and changed."""

    before: Found
    after: Found
    manifests: set[Digest]
    requests: int
    changes: int


@cache
def calm_run(verb: str) -> Calm:
    """Run a verb without a signal."""
    with FakeRegistry() as registry, tempfile.TemporaryDirectory() as base:
        scene, runner = _set_up(verb, registry, Path(base))
        before = scene.look()
        ended = runner.run(CALM)
        assert ended.code == 0, ended.said
        after = scene.look()
        assert list(scene.complaints(before, after)) == []
        assert runner.leftovers() == []
        return Calm(before, after, scene.manifests(), ended.requests, ended.changes)


def _set_up(verb: str, registry: FakeRegistry, base: Path) -> tuple[Scene, Runner]:
    folder = base / "folder"
    folder.mkdir()
    scene = SCENES[verb](registry, folder)
    return scene, Runner(scene, base)


def moment_of(calm: Calm, name: signal.Signals, dice: random.Random) -> Moment:
    """A moment of a run, by chance."""
    at = dice.randint(1, calm.requests + calm.changes)
    if at > calm.requests:
        return Moment(name, change=at - calm.requests)
    seconds = dice.choice((0.0, dice.uniform(0.0, _LATEST_SECONDS)))
    return Moment(name, request=at, seconds=seconds)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended, and why it is not right."""

    ending: Ending
    why: str = ""


def kill_once(verb: str, name: signal.Signals, seed: object) -> Verdict:
    """Run a verb, send it a signal at a moment that the seed chooses, and run it again."""
    dice = random.Random(f"{verb} {name.name} {seed}")
    return kill_at(verb, moment_of(calm_run(verb), name, dice))


def kill_at(verb: str, moment: Moment) -> Verdict:
    """Run a verb, send it a signal at a moment, and run it again."""
    calm = calm_run(verb)
    with FakeRegistry() as registry, tempfile.TemporaryDirectory() as base:
        scene, runner = _set_up(verb, registry, Path(base))
        try:
            ended = runner.run(moment)
            wrong = list(_complaints(scene, runner, calm, ended))
            is_clear = _is_clear_error(ended)
            ended = runner.run(CALM)
        except Hung as hung:
            return Verdict(Ending.HUNG, f"{moment}: {hung}")
        wrong += (f"then: {each}" for each in _complaints_at_end(scene, runner, calm, ended))
    if wrong:
        return Verdict(Ending.WRONG, f"{moment}: {'; '.join(wrong)}")
    return Verdict(Ending.CLEAR_ERROR if is_clear else Ending.RIGHT)


def _complaints(scene: Scene, runner: Runner, calm: Calm, ended: Ended) -> Iterator[str]:
    """What is wrong right after the signal."""
    yield from _complaints_of_words(ended)
    yield from scene.complaints(calm.before, calm.after)
    if ended.code != -signal.SIGKILL:
        if scene.registry.open_uploads > runner.unheard_sessions:
            yield f"{scene.registry.open_uploads} upload sessions are open"
        if runner.leftovers():
            yield f"left: {', '.join(runner.leftovers())}"


def _complaints_of_words(ended: Ended) -> Iterator[str]:
    if "Traceback" in ended.said or "this is a bug" in ended.said:
        yield f"it said: {ended.said}"
    was_cut = ended.may_be_cut and ended.code in (-signal.SIGTERM, -signal.SIGINT)
    if ended.code not in (0, 1, 3, _INTERRUPTED, -signal.SIGKILL) and not was_cut:
        yield f"it ended with {ended.code}: {ended.said}"
    if ended.code == _INTERRUPTED and "squashproxy: interrupted" not in ended.said:
        yield f"it did not say that it was interrupted: {ended.said}"


def _is_clear_error(ended: Ended) -> bool:
    return ended.code in (1, 3)


def _complaints_at_end(scene: Scene, runner: Runner, calm: Calm, ended: Ended) -> Iterator[str]:
    """What is wrong after the second run."""
    if ended.code:
        yield f"it ended with {ended.code}: {ended.said}"
    yield from _complaints_of_words(ended)
    yield from scene.complaints(calm.before, calm.after)
    if scene.look() != calm.after:
        yield f"there is {scene.look()} in place of {calm.after}"
    if scene.manifests() != calm.manifests:
        yield f"it has {len(scene.manifests())} manifests in place of {len(calm.manifests)}"
    if runner.leftovers():
        yield f"left: {', '.join(runner.leftovers())}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="for each row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verb", choices=SCENES, action="append", help="by default all")
    parser.add_argument("--number", type=int, action="append", help="only this run of each row")
    arguments = parser.parse_args()
    write_row("verb", "signal", "runs", *(each.value for each in Ending))
    write_row("---", "---", *["--:"] * (len(Ending) + 1))
    for verb in arguments.verb or SCENES:
        for name in SIGNALS:
            found: Counter[Ending] = Counter()
            for number in arguments.number or range(arguments.runs):
                verdict = kill_once(verb, name, f"{arguments.seed} {number}")
                found[verdict.ending] += 1
                if verdict.why:
                    where = f"{verb}, --seed {arguments.seed} --number {number}"
                    print(f"{where}: {verdict.why}", file=sys.stderr, flush=True)  # noqa: T201
            write_row(verb, name.name, found.total(), *(found[each] for each in Ending))


if __name__ == "__main__":
    main()
