"""Squashing before the first pull: on request, by webhook, or by the configuration's list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from squashproxy.errors import SquashproxyError
from squashproxy.oci.descriptor import Json
from squashproxy.pipeline.results import PlanResult
from squashproxy.reference import Reference
from squashproxy.server.auth.caller import ANYONE, Caller
from squashproxy.server.jobs.job import Job
from squashproxy.server.pull.context import PullContext
from squashproxy.server.pull.estimates import Estimates
from squashproxy.server.pull.manifests import Manifests


@dataclass(frozen=True, slots=True)
class Warmed:
    """The state of an image: a running `job`, or the `digest` of its squashed image, or neither.

    It has neither if no rule squashes it.
    """

    image: str
    job: Job | None = None
    digest: str | None = None

    def to_json(self) -> Json:
        """The answer of `POST /api/v1/warm`."""
        state = "squashed" if self.digest else self.job.state.value if self.job else "not_squashed"
        source = self.job.key.source if self.job else None
        return {
            "image": self.image,
            "state": state,
            "digest": self.digest,
            "source_digest": source,
        }


class Warming:
    """Begins jobs; `on_warning` is called for images that could not be warmed."""

    def __init__(
        self, context: PullContext, manifests: Manifests, on_warning: Callable[[str, str], None]
    ) -> None:
        self._manifests = manifests
        self._on_warning = on_warning
        self._estimates = Estimates(context.squasher)

    async def warm(self, caller: Caller, image: Reference) -> Warmed:
        """Begin to squash an image, unless it is squashed already. Raises SquashproxyError."""
        begun = await self._manifests.begin(caller, image)
        if isinstance(begun, Job):
            return Warmed(str(image), job=begun)
        return Warmed(str(image), digest=begun)

    async def estimate(self, caller: Caller, image: Reference) -> Json:
        """What squashing an image would save, in bytes. Reads all layers and keeps nothing."""
        key, options = await self._manifests.key_of(caller, image)
        plan = await self._estimates.estimate(caller, key, options)
        return _estimate(str(image), plan)

    async def keep_warm(self, images: Sequence[Reference], every: float | None) -> None:
        """Warm a list now, and again each `every` seconds; only once if that is None."""
        while True:
            for image in images:
                await self._try_warm(image)
            if every is None:
                return
            await asyncio.sleep(every)

    async def close(self, seconds: float) -> None:
        """Cancel estimates and wait at most `seconds` for their thread."""
        await self._estimates.close(seconds)

    async def _try_warm(self, image: Reference) -> None:
        """Warm one image and wait for it, so that a list leaves jobs free for pulls."""
        try:
            warmed = await self.warm(ANYONE, image)
            if warmed.job is not None:
                await asyncio.shield(warmed.job.result)
        except SquashproxyError as error:
            self._on_warning(str(image), f"could not be warmed: {error}")


def _estimate(image: str, plan: PlanResult) -> Json:
    before = sum(platform.compressed_before for platform in plan.platforms)
    after = sum(platform.compressed_after for platform in plan.platforms)
    return {
        "image": image,
        "state": "estimate",
        "source_digest": plan.source_digest,
        "compressed_before": before,
        "compressed_after": after,
        "saved": before - after,
        "hidden_bytes": sum(platform.hidden_bytes for platform in plan.platforms),
        "platforms": [platform.platform for platform in plan.platforms],
    }
