"""Repositories that hold other things than whole Linux images: only their own tags are affected."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.results import StepOutcome
from squashproxy.digest import Digest
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import Platform
from squashproxy.testing import BuiltImage, index_of
from squashproxy.transports.documents import MAX_CONFIG
from tests.cleanup.room import Room, held, image, pulls_whole
from tests.pipeline.images import app
from tests.pipeline.indexes import Whole, artifact, build_cache, entry, listing, named
from tests.pipeline.other_systems import stating, windows, with_config

OLD, NEW = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"
NOBODY = "nobody knows when it was made"


def planned(room: Room, text: str) -> RepositoryPlan:
    (plan,) = room.plan(text).repositories
    assert plan.problem is None
    return plan


def kept(plan: RepositoryPlan) -> dict[str, str]:
    return {each.tag: each.why for each in plan.kept}


def left(plan: RepositoryPlan) -> dict[str, str]:
    return {each.tag: each.why for each in plan.left}


def three(room: Room) -> None:
    for number in (1, 2, 3):
        image(f"image {number}", f"2026-0{number}-01T00:00:00Z").push(
            room.registry, "app", f"v{number}"
        )


class TestBuildCache:
    @pytest.mark.parametrize("family", Family)
    def test_it_is_one_node_beside_three_images(self, room: Room, family: Family) -> None:
        three(room)
        cache = build_cache(family)
        cache.push(room.registry, "app", "cache")
        result = room.clean("action: delete\nkeep: {newest: 1}")
        assert result.problem is None
        assert set(room.registry.tags("app")) == {"v3", "cache"}
        assert room.registry.tags("app")["cache"] == cache.digest

    def test_it_goes_where_nothing_keeps_it(self, room: Room) -> None:
        three(room)
        build_cache().push(room.registry, "app", "cache")
        plan = planned(room, 'action: delete\nkeep: {tags: ["v*"]}')
        assert [removal.kind for removal in plan.remove] == [
            "application/vnd.buildkit.cacheconfig.v0"
        ]
        assert plan.freed_bytes == sum(map(len, build_cache().blobs))

    def test_a_rule_by_names_goes_on(self, room: Room) -> None:
        three(room)
        build_cache().push(room.registry, "app", "cache")
        room.clean('action: delete\nkeep: {tags: ["v3", "cache"]}')
        assert set(room.registry.tags("app")) == {"v3", "cache"}

    def test_it_is_not_squashed(self, room: Room) -> None:
        build_cache().push(room.registry, "app", "cache")
        plan = planned(room, "action: squash")
        assert left(plan) == {"cache": "it is no image but application/vnd.buildkit.cacheconfig.v0"}


class TestSparseIndexes:
    def test_one_is_dated_by_what_is_there(self, room: Room) -> None:
        three(room)
        absent = self.put(room, app_dated(NEW))
        plan = planned(room, "action: delete\nkeep: {newest: 1}")
        assert set(kept(plan)) == {"sparse"}
        (warning,) = plan.warnings
        assert "app:sparse: its index names" in warning
        assert absent in warning

    def test_an_older_one_goes_alone(self, room: Room) -> None:
        three(room)
        self.put(room, app_dated("2025-01-01T00:00:00Z"))
        room.clean("action: delete\nkeep: {newest: 3}")
        assert set(room.registry.tags("app")) == {"v1", "v2", "v3"}

    def test_one_of_which_nothing_is_there_has_no_date(self, room: Room) -> None:
        three(room)
        absent = (image("gone"), image("gone, too"))
        Whole(listing([entry(each) for each in absent]).manifest).push(room.registry, "app", "s")
        plan = planned(room, "action: delete\nkeep: {newest: 1}")
        assert kept(plan)["s"] == NOBODY
        assert set(kept(plan)) == {"s", "v3"}

    def test_its_date_is_looked_up_again_when_it_is_whole(self, room: Room) -> None:
        three(room)
        other = app_dated(NEW, Platform("linux", "arm64"))
        whole = listing([app_dated(OLD), entry(other)])
        Whole(whole.manifest, below=(app_dated(OLD),)).push(room.registry, "app", "sparse")
        assert set(kept(planned(room, "action: delete\nkeep: {newest: 1}"))) == {"v3"}
        other.push(room.registry, "app")
        assert set(kept(planned(room, "action: delete\nkeep: {newest: 1}"))) == {"sparse"}

    def test_it_is_not_squashed_in_place(self, room: Room) -> None:
        absent = self.put(room, image("there", NEW))
        plan = planned(room, "action: squash")
        assert left(plan) == {"sparse": f"its index names {absent}, which is not there"}

    @staticmethod
    def put(room: Room, there: BuiltImage) -> Digest:
        absent = image("absent", NEW)
        Whole(listing([there, entry(absent)]).manifest, below=(there,)).push(
            room.registry, "app", "sparse"
        )
        return absent.digest


def app_dated(created: str | None, platform: Platform | None = None) -> BuiltImage:
    plain = app(platform=platform) if platform else app()
    return stating(plain, created=created)


def dated_artifact(created: str) -> Whole:
    return artifact(annotations={"org.opencontainers.image.created": created})


def attested(created: str, attestation: str) -> Whole:
    """An index whose attestation is of another date than its image."""
    index = index_of([app_dated(created)], attestations=True)
    first, second = json.loads(index.manifest.data)["manifests"]
    other = stating(index.attestations[0], created=attestation)
    second.update(other.manifest.descriptor.to_json())
    return Whole(listing([first, second]).manifest, below=(*index.images, other))


def broken_config() -> BuiltImage:
    return with_config(app(), b"no JSON")


def without_config() -> Whole:
    whole = app_dated(NEW)
    blobs = tuple(data for key, data in whole.blobs.items() if key != whole.config.digest)
    return Whole(whole.manifest, blobs)


UNDATED: dict[str, Callable[[], Whole | BuiltImage]] = {
    "an artifact without a date": artifact,
    "an image whose config has no date": lambda: app_dated(None),
    "an image of 1970": lambda: app_dated("1970-01-01T00:00:00Z"),
    "an index of images without dates": lambda: listing([app_dated(None)]),
    "an index of attestations alone": lambda: Whole(
        listing([json.loads(attested(OLD, NEW).manifest.data)["manifests"][1]]).manifest,
        below=attested(OLD, NEW).below[1:],
    ),
    "an index of nothing": lambda: listing([]),
    "a cache": build_cache,
    "a config that is no JSON": broken_config,
    "a config that is not there": without_config,
    "indexes that are nested too deeply": lambda: deep(10),
}
DATED: dict[str, tuple[Callable[[], Whole], bool]] = {
    "a newer attestation does not count": (lambda: attested(OLD, NEW), False),
    "the image beside an attestation counts": (lambda: attested(NEW, OLD), True),
    "an artifact with a date": (lambda: dated_artifact(NEW), True),
    "a newer artifact in an index": (
        lambda: listing([app_dated(OLD), dated_artifact(NEW)]),
        True,
    ),
    "an image without a date beside a newer one": (
        lambda: listing([app_dated(None), app_dated(NEW, Platform("linux", "arm64"))]),
        True,
    ),
    "an index in an index": (lambda: listing([listing([app_dated(NEW)])]), True),
}


def deep(depth: int) -> Whole:
    whole = listing([app_dated(OLD)])
    for _ in range(depth):
        whole = listing([whole])
    return whole


@pytest.mark.parametrize("make", UNDATED.values(), ids=UNDATED)
@pytest.mark.parametrize("keep", ["newest: 1", "younger_than: 1d"])
def test_what_has_no_date_is_kept_and_the_others_are_as_ever(
    room: Room, make: Callable[[], Whole | BuiltImage], keep: str
) -> None:
    three(room)
    make().push(room.registry, "app", "undated")
    plan = planned(room, f"action: delete\nkeep: {{{keep}}}")
    assert kept(plan)["undated"] == NOBODY
    assert set(kept(plan)) - {"undated"} == ({"v3"} if "newest" in keep else set())


@pytest.mark.parametrize(("make", "is_newest"), DATED.values(), ids=DATED)
def test_the_date_of_an_index(room: Room, make: Callable[[], Whole], *, is_newest: bool) -> None:
    three(room)
    make().push(room.registry, "app", "index")
    plan = planned(room, "action: delete\nkeep: {newest: 1}")
    assert set(kept(plan)) == ({"index"} if is_newest else {"v3"})


class TestSquashInPlace:
    @pytest.mark.parametrize("system", ["windows", "freebsd"])
    @pytest.mark.parametrize("mode", ["squash", "prune"])
    def test_an_image_for_another_system_is_left(self, room: Room, system: str, mode: str) -> None:
        whole = windows(Platform(system, "amd64"))
        whole.push(room.registry, "app", "one")
        index_of([whole]).push(room.registry, "app", "index")
        plan = room.plan(f"action: squash\nmode: {mode}\nbase: none")
        whys = left(plan.repositories[0])
        assert set(whys) == {"one", "index"}
        assert all(f"it is for {system}" in why for why in whys.values())
        before = held(room.registry)
        assert room.apply(plan).problem is None
        assert held(room.registry) == before

    def test_a_config_that_no_copy_would_read_is_not_read(self, room: Room) -> None:
        large = with_config(windows(), b'{"os": "windows"}' + b" " * MAX_CONFIG)
        large.push(room.registry, "app", "large")
        planned(room, "action: squash\nbase: none")
        read = [each.path for each in room.registry.requests if each.method == "GET"]
        assert not any(large.config.digest in path for path in read)

    def test_where_only_the_index_states_the_system(self, room: Room) -> None:
        index_of([windows(system=None)]).push(room.registry, "app", "index")
        assert "it is for windows" in left(planned(room, "action: squash"))["index"]

    def test_the_linux_image_beside_it_is_squashed(self, room: Room) -> None:
        whole = windows()
        index_of([whole, app()]).push(room.registry, "app", "mixed")
        plan = room.plan("action: squash")
        assert any("app:mixed: what it holds for windows stays" in each for each in plan.warnings)
        result = room.apply(plan)
        assert result.count(StepOutcome.SQUASHED) == 1
        children = json.loads(room.registry.manifest("app", "mixed").data)["manifests"]
        assert children[0]["digest"] == whole.digest
        counts = [
            len(json.loads(room.registry.manifest("app", child["digest"]).data)["layers"])
            for child in children
        ]
        assert counts == [3, 2]

    @pytest.mark.parametrize("is_nested", [False, True], ids=["in the index", "in one in it"])
    def test_an_index_with_provenance_is_left_as_signed_images_are(
        self, room: Room, *, is_nested: bool
    ) -> None:
        index = index_of([app()], attestations=True)
        (listing([index]) if is_nested else index).push(room.registry, "app", "attested")
        before = held(room.registry)
        plan = room.plan("action: squash")
        assert left(plan.repositories[0]) == {
            "attested": "it is signed or attested, and squashing would leave that behind"
        }
        room.apply(plan)
        assert held(room.registry) == before

    def test_an_index_in_an_index_is_squashed(self, room: Room) -> None:
        inner = index_of([app()])
        whole = listing([named(inner, "linux/amd64")])
        Whole(whole.manifest, below=(inner,)).push(room.registry, "app", "nested")
        assert room.clean("action: squash").count(StepOutcome.SQUASHED) == 1
        assert pulls_whole(room.registry, room.registry.tags("app")["nested"])
        assert planned(room, "action: squash").squash == ()

    def test_an_image_with_an_old_config_is_squashed(self, room: Room) -> None:
        old = app(Family.DOCKER)
        with_config(old, old.blobs[old.config.digest], "application/octet-stream").push(
            room.registry, "app", "old"
        )
        assert room.clean("action: squash").count(StepOutcome.SQUASHED) == 1


def test_a_kept_index_in_an_index_keeps_all_below_it(room: Room) -> None:
    three(room)
    whole = listing([listing([image("inner")])])
    whole.push(room.registry, "app", "nested")
    room.clean('action: delete\nkeep: {tags: ["nested"]}\nuntagged: {older_than: 1s}')
    assert set(room.registry.tags("app")) == {"nested"}
    assert pulls_whole(room.registry, whole.digest)
