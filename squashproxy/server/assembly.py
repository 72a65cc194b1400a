"""The server, assembled from its configuration, and its shutdown."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.config.configuration import Configuration
from squashproxy.config.serve import (
    HtpasswdAuth,
    NoAuth,
    RegistryStoreSettings,
    ServeSettings,
)
from squashproxy.errors import SquashproxyError
from squashproxy.lru import LruCache
from squashproxy.registry.options import ClientOptions
from squashproxy.server.api.control import Access, ControlApi, HookSettings
from squashproxy.server.api.dispatch import Dispatch
from squashproxy.server.api.pull import PullApi
from squashproxy.server.auth.gate import Gate, OpenGate, PasswordGate, UpstreamGate
from squashproxy.server.auth.grants import Grants
from squashproxy.server.auth.htpasswd import UserFile
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.http.peers import Peers, name_of
from squashproxy.server.http.routes import UpstreamNames
from squashproxy.server.jobs.fleet_work import FleetWork, ServeFleet, open_work
from squashproxy.server.jobs.job import Job
from squashproxy.server.jobs.jobs import JobLimits, Jobs, ShuttingDown
from squashproxy.server.jobs.parts import open_parts
from squashproxy.server.jobs.place import Here, WorkPlace
from squashproxy.server.jobs.squasher import Squasher
from squashproxy.server.page.history import History, Problem
from squashproxy.server.page.metrics import Metrics
from squashproxy.server.page.status import Status
from squashproxy.server.pull.allowed import AllowedDigests
from squashproxy.server.pull.blobs import Blobs
from squashproxy.server.pull.context import PullContext
from squashproxy.server.pull.manifests import Manifests
from squashproxy.server.pull.referrers import Referrers
from squashproxy.server.pull.sources import SignedSources
from squashproxy.server.pull.warming import Warming
from squashproxy.server.store.async_store import AsyncStore
from squashproxy.server.store.base import SquashRecord
from squashproxy.server.store.memory import MemoryStore
from squashproxy.server.upstream.fetches import Fetches
from squashproxy.server.upstream.tags import PATIENCE, Freshness, TagResolver
from squashproxy.state.runs import RunHistory

_LOG = logging.getLogger("squashproxy.server")
_TRIM_SECONDS = 5.0
_REMEMBERED_IMAGES = 1000
_REPEAT_SECONDS = 60.0
"""How long a sentence about the store, or about a pull that is refused, is not told again."""
_MOST_TOLD = 100
_STOP_SECONDS = 10.0
"""How long jobs and other threads may take to end after they were cancelled."""
_LAST_SECONDS = 2.0
"""How long the store's own threads may take after that."""


class Application:
    """The assembled server: its request handlers, and the tasks that run beside them.

    It is made and used in the event loop. Raises UsageError for a configuration that cannot work
    on this machine, the errors of the store, and those of a fleet that will not have this server;
    nothing stays open then.
    """

    def __init__(
        self,
        configuration: Configuration,
        common: ClientOptions,
        environ: Mapping[str, str],
        runs: RunHistory | None = None,
        fleet: ServeFleet | None = None,
    ) -> None:
        assert configuration.serve is not None, "there is something to serve"
        self.settings = configuration.serve
        self.metrics = Metrics()
        self._runs = runs
        if runs is not None:
            self.metrics.watch_runs(runs)
        self.is_draining = False
        self._history = History(())
        self._cancellation = Cancellation()
        self._telling = threading.Lock()
        self._told: LruCache[str, float] = LruCache(_MOST_TOLD)
        self._gate = _gate_of(self.settings)
        self._work = None if fleet is None else self._enter(fleet)
        with ExitStack() as opened:
            self._parts = opened.enter_context(
                open_parts(
                    *(configuration, common, environ),
                    on_failure=self._note_failure,
                    warn=self._warn_once,
                    pacer=None if self._work is None else self._work.pacer,
                )
            )
            self._upstreams, self._store = self._parts.upstreams, self._parts.store
            for record in reversed(self._store.records(_REMEMBERED_IMAGES)):
                self._history.add(record)
            self.metrics.watch_layers(lambda: self._history.layers)
            self._assemble(configuration.engine.jobs)
            self._opened = opened.pop_all()

    def _assemble(self, jobs: int) -> None:
        self._context = self._make_context(jobs)
        settings = self.settings
        self._manifests = Manifests(
            self._context, settings.first_pull, self._warn, self._history.note_signed
        )
        self._referrers = Referrers(self._context, settings.tag_ttl, settings.negative_ttl)
        self._fetches = Fetches(self._store, self.metrics.count_in, self._warn)
        self._blobs = Blobs(self._context, self._fetches, self._manifests.remake)
        self._warming = Warming(self._context, self._manifests, self._warn)
        self._control = self._make_control()
        self._tasks: list[asyncio.Task[None]] = []
        self.metrics.watch(self._count_jobs, self._store.usage, lambda: self._upstreams.states)

    def _enter(self, fleet: ServeFleet) -> FleetWork:
        store = self.settings.store
        assert isinstance(store, RegistryStoreSettings), "workers write to registries"
        work = open_work(
            fleet,
            str(store.registry),
            lambda text: self._warn_once("the fleet", text),
            self._history.add,
        )
        self.metrics.watch_fleet(lambda: work.watch.state)
        return work

    def handler(self, default: str | None) -> Dispatch:
        """The handler for a listener; names without a host mean repositories of `default`."""
        names = UpstreamNames(self._upstreams.hosts, default)
        pull = PullApi(
            self._context,
            manifests=self._manifests,
            blobs=self._blobs,
            referrers=self._referrers,
            gate=self._gate,
            names=names,
            history=self._history,
            peers=Peers(self.settings.trusted_proxies),
        )
        return Dispatch(pull, self._control, self.metrics)

    def start(self) -> None:
        """Start the tasks that run beside the answers."""
        warm = self.settings.warm
        if self._work is not None:
            self._work.start()
        self._tasks.append(asyncio.create_task(self._look_after_store()))
        if warm.images:
            self._tasks.append(
                asyncio.create_task(self._warming.keep_warm(warm.images, warm.every))
            )

    async def stop(self) -> None:
        """Stop all work, then close what it used. No request is being answered any more.

        1. Tasks of the event loop: trimming, warming, and manifests that are passed through.
        2. Threads that use upstream: jobs, fetches, readers and the rest are cancelled and waited
           for, together at most _STOP_SECONDS.
        3. Threads of the store, after the last uses were noted.
        4. The store and the connections, even if a thread did not end in time.
        """
        try:
            await self._stop_tasks()
            await self._stop_threads()
        finally:
            self._opened.close()

    async def _stop_tasks(self) -> None:
        self._cancellation.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._manifests.close()
        await self._referrers.close()
        await self._context.sources.close()

    async def _stop_threads(self) -> None:
        context = self._context
        context.jobs.cancel()
        self._fetches.cancel()
        self._parts.stop()  # nobody waits for servers that stall
        if self._work is not None:
            await self._work.close(_STOP_SECONDS)
        await asyncio.gather(
            context.jobs.close(_STOP_SECONDS),
            context.tags.close(_STOP_SECONDS),
            context.upstream_threads.close(_STOP_SECONDS),
            self._fetches.close(_STOP_SECONDS),
            self._blobs.close(_STOP_SECONDS),
            self._warming.close(_STOP_SECONDS),
            self._gate.close(_STOP_SECONDS),
        )
        self._fetches.close_files()
        with suppress(SquashproxyError, TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await context.async_store.threads.run(self._note_uses)
        await context.async_store.close(_LAST_SECONDS)

    def _make_context(self, jobs: int) -> PullContext:
        settings = self.settings
        grants = Grants()
        stale = frozenset(host for host, upstream in settings.upstreams.items() if upstream.stale)
        freshness = Freshness(settings.tag_ttl, settings.negative_ttl, stale)
        async_store = AsyncStore(self._store, self._warn_of_store)
        squasher = Squasher(self._upstreams, self._store, self.metrics.count_in)
        places: list[WorkPlace] = [Here(squasher.squash, jobs, len(settings.upstreams))]
        if self._work is not None:
            places.insert(0, self._work.place)
        rules = self._parts.rules
        upstream_threads = SharedThreads(32, "squashproxy-ask")
        sources = SignedSources(self._upstreams, upstream_threads, PATIENCE, settings.negative_ttl)
        return PullContext(
            upstreams=self._upstreams,
            store=self._store,
            memory=MemoryStore(self._store),
            tags=TagResolver(
                self._upstreams, async_store, grants, freshness, self.metrics.count_stale
            ),
            grants=grants,
            rules=rules,
            jobs=Jobs(
                JobLimits(
                    jobs,
                    settings.limits.jobs_waiting,
                    settings.negative_ttl,
                    settings.limits.job_idle,
                ),
                places,
                self._note_end,
            ),
            squasher=squasher,
            async_store=async_store,
            upstream_threads=upstream_threads,
            uses={},
            sources=sources,
            allowed=AllowedDigests(
                rules,
                sources,
                async_store,
                self._upstreams,
                upstream_threads,
                knows_blobs=self._store.knows_blobs,
                on_refusal=self._warn_of_refusal,
            ),
        )

    def _make_control(self) -> ControlApi:
        settings = self.settings
        status = Status(
            listen=tuple(f"{at.host}:{at.port}" for at in settings.listen),
            started=time.time(),
            upstreams=self._upstreams,
            store=self._store,
            jobs=self._context.jobs,
            metrics=self.metrics,
            history=self._history,
            runs=self._runs,
            fleet=None if self._work is None else self._work.watch,
        )
        by_host = {host: host for host in settings.upstreams}
        for host, upstream in settings.upstreams.items():
            if upstream.url is not None:
                by_host.setdefault(urlsplit(upstream.url).netloc, host)
        token = settings.hook.token if settings.hook is not None else None
        return ControlApi(
            self._context,
            gate=self._gate,
            metrics=self.metrics,
            status=status,
            warming=self._warming,
            hooks=HookSettings(token, by_host),
            access=Access(
                Peers(settings.trusted_proxies),
                tuple(name_of(host) for host in settings.hosts),
                settings.page,
                settings.metrics,
            ),
            is_draining=lambda: self.is_draining,
        )

    async def _look_after_store(self) -> None:
        """Do all that is due, every few seconds; what fails keeps nothing else from being done."""
        threads = self._context.async_store.threads
        while True:
            await asyncio.sleep(_TRIM_SECONDS)
            self._context.jobs.end_idle()
            for step in (self._note_uses, self._trim, self._look_after):
                try:
                    await threads.run(step)
                except SquashproxyError as error:
                    self._warn_of_store(str(error))

    def _trim(self) -> None:
        self.metrics.count_evictions(self._store.trim())

    def _look_after(self) -> None:
        with suppress(Cancelled):
            self._store.look_after(self._cancellation)

    def _note_uses(self) -> None:
        uses = list(self._context.uses.items())
        self._store.touch(uses)
        for digest, when in uses:
            if self._context.uses.get(digest) == when:
                self._context.uses.pop(digest, None)

    def _count_jobs(self) -> tuple[int, int, int]:
        jobs = self._context.jobs.current
        running = sum(job.started is not None for job in jobs)
        return running, len(jobs) - running, sum(job.waiters for job in jobs)

    def _note_end(
        self, job: Job, record: SquashRecord | None, error: SquashproxyError | None
    ) -> None:
        seconds = time.monotonic() - job.progress.began
        if record is not None:
            if job.is_own:
                self.metrics.count_job("squashed", seconds)
                self.metrics.count_saved(record.compressed_before - record.compressed_after)
                self.metrics.count_in(job.fetched)
            self._history.add(record)
            self._context.memory.put_result(job.key, record.digest)
        elif error is not None and not isinstance(error, ShuttingDown):
            self.metrics.count_job("failed", seconds)
            self._warn(job.image, str(error))

    def _note_failure(self, host: str, error: SquashproxyError) -> None:
        self.metrics.count_failure(host, type(error).__name__)

    def _warn_of_store(self, sentence: str) -> None:
        self._warn_once("the store", sentence)

    def _warn_of_refusal(self, image: str, sentence: str) -> None:
        """Tell that a pull was refused, which clients try again and again."""
        self._warn_once(image, f"refused: {sentence}")

    def _warn_once(self, image: str, sentence: str) -> None:
        """Tell what is not known already: a full disk is met by every pull."""
        now = time.monotonic()
        with self._telling:
            if now - self._told.get(sentence, -_REPEAT_SECONDS) < _REPEAT_SECONDS:
                return
            self._told[sentence] = now
        self._warn(image, sentence)

    def _warn(self, image: str, sentence: str) -> None:
        _LOG.warning("%s: %s", image, sentence)
        self._history.add_problem(Problem(time.time(), image, sentence))


def _gate_of(settings: ServeSettings) -> Gate:
    auth = settings.auth
    if isinstance(auth, HtpasswdAuth):
        return PasswordGate(UserFile(auth.htpasswd), auth.read)
    return OpenGate() if isinstance(auth, NoAuth) else UpstreamGate()
