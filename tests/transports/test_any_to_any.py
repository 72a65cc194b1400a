"""Copies from every kind of place to every kind: the same tree, true digests and media types."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from squashproxy.analysis.plan import plan_image
from squashproxy.errors import UsageError
from squashproxy.location import parse_location
from squashproxy.oci import mediatypes
from squashproxy.oci.mediatypes import Family
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import PlanResult
from squashproxy.reference import Repository
from squashproxy.testing import AMD64, BuiltImage, BuiltIndex, Packing, index_of
from tests.pipeline.images import ARM64, app, base
from tests.pipeline.lab import Listener, options
from tests.transports.copying import NEW, TREE, copy, tree_of
from tests.transports.places import HOLDING_INDEXES, KINDS, Place, open_places

PAIRS = [pytest.param(one, two, id=f"{one}-to-{two}") for one in KINDS for two in KINDS]


@pytest.mark.parametrize(("one", "two"), PAIRS)
@pytest.mark.parametrize("kept", ["2", "none"])
def test_the_tree_is_the_same(one: str, two: str, kept: str, tmp_path: Path) -> None:
    with open_places(tmp_path, one, two) as (old, new):
        old.put(app())
        result = copy(old, new, base=kept)
        (platform,) = result.platforms
        assert platform.layers_after == (3 if kept == "2" else 1)
        source = new.source(NEW)
        assert source.find_digest() == result.digest
        assert tree_of(source) == TREE


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_a_second_copy_has_nothing_to_do(one: str, two: str, tmp_path: Path) -> None:
    with open_places(tmp_path, one, two) as (old, new):
        old.put(app())
        first = copy(old, new)
        second = copy(old, new)
        assert (first.skipped, second.skipped) == (False, True)
        assert second.digest == first.digest


@pytest.mark.parametrize("two", KINDS)
def test_the_digest_does_not_depend_on_the_way(two: str, tmp_path: Path) -> None:
    """Nor on threads, and the same from a registry, a layout and an archive."""
    digests = set()
    for number, one in enumerate(KINDS):
        with open_places(tmp_path / str(number), one, two) as (old, new):
            old.put(app())
            digests.add(copy(old, new, jobs=number + 1).digest)
    assert len(digests) == 1


@pytest.mark.parametrize("two", KINDS)
@pytest.mark.parametrize("kept", ["1", "4"], ids=["squashed", "as-it-is"])
def test_only_registries_hold_docker_s_media_types(two: str, kept: str, tmp_path: Path) -> None:
    with open_places(tmp_path, "registry", two) as (old, new):
        app(Family.DOCKER).push(old.registry, "app", "1")
        result = copy(old, new, base=kept)
        manifest = new.source(NEW).read_manifest()
        family = Family.DOCKER if two == "registry" else Family.OCI
        assert mediatypes.family_of(manifest.media_type) is family
        kinds = [json.loads(manifest.data)["config"], *json.loads(manifest.data)["layers"]]
        assert all(("docker" in kind["mediaType"]) == (family is Family.DOCKER) for kind in kinds)
        assert tree_of(new.source(NEW)) == TREE
        assert result.digest == manifest.digest
        assert copy(old, new, base=kept).skipped


@pytest.mark.parametrize(("one", "two"), [(a, b) for a in HOLDING_INDEXES for b in HOLDING_INDEXES])
def test_an_index(one: str, two: str, tmp_path: Path) -> None:
    with open_places(tmp_path, one, two) as (old, new):
        old.put(index())
        result = copy(old, new)
        assert [platform.platform for platform in result.platforms] == [
            "linux/amd64",
            "linux/arm64",
        ]
        children = json.loads(new.source(NEW).read_manifest().data)["manifests"]
        assert [child["digest"] for child in children] == [
            platform.digest for platform in result.platforms
        ]
        assert copy(old, new).skipped


@pytest.mark.parametrize("one", HOLDING_INDEXES)
class TestAnIndexIntoADockerArchive:
    def test_needs_a_platform(self, one: str, tmp_path: Path) -> None:
        with open_places(tmp_path, one, "docker-archive") as (old, new):
            old.put(index())
            with pytest.raises(UsageError, match=r"linux/amd64, linux/arm64.*`platforms`"):
                copy(old, new)
            with pytest.raises(UsageError, match=r"linux/amd64, linux/arm64.*`platforms`"):
                plan(old, new)
            assert new.leftovers() == []

    def test_needs_a_digest_where_several_are_for_one_platform(
        self, one: str, tmp_path: Path
    ) -> None:
        with open_places(tmp_path, one, "docker-archive") as (old, new):
            first, second = app(), app(annotations={"built": "again"})
            old.put(index_of([first, second]))
            wanted = rf"{first.digest}, linux/amd64 {second.digest}; name one by its digest"
            with pytest.raises(UsageError, match=wanted):
                copy(old, new)
            with pytest.raises(UsageError, match=wanted):
                copy(old, new, platforms=(AMD64,))

    def test_becomes_the_image_of_it(self, one: str, tmp_path: Path) -> None:
        with open_places(tmp_path, one, "docker-archive") as (old, new):
            old.put(index())
            copy(old, new, platforms=(ARM64,))
            assert tree_of(new.source(NEW)) == TREE

    def test_needs_none_where_there_is_one(self, one: str, tmp_path: Path) -> None:
        with open_places(tmp_path, one, "docker-archive") as (old, new):
            old.put(index_of([app()]))
            copy(old, new)
            assert tree_of(new.source(NEW)) == TREE


class TestPlainLayersOfADockerArchive:
    """`docker save` unpacks all layers, so that says nothing of how anybody wants them."""

    @pytest.mark.parametrize("two", KINDS[:3])
    def test_are_compressed_for_other_places(self, two: str, tmp_path: Path) -> None:
        with open_places(tmp_path, "docker-archive", two) as (old, new):
            old.put(plain())
            copy(old, new, base="2")
            assert packings(new) == [mediatypes.OCI_LAYER_GZIP] * 3
            assert tree_of(new.source(NEW)) == TREE
            assert copy(old, new, base="2").skipped

    def test_stay_plain_in_another_one(self, tmp_path: Path) -> None:
        with open_places(tmp_path, "docker-archive", "docker-archive") as (old, new):
            old.put(plain())
            copy(old, new, base="2")
            assert packings(new) == [mediatypes.OCI_LAYER] * 3

    @pytest.mark.parametrize("one", KINDS[:3])
    def test_stay_plain_where_the_image_chose_it(self, one: str, tmp_path: Path) -> None:
        with open_places(tmp_path, one, "registry") as (old, new):
            old.put(plain())
            copy(old, new, base="2")
            assert packings(new) == [mediatypes.OCI_LAYER] * 3

    def test_are_not_sent_where_the_base_is_known_compressed(self, tmp_path: Path) -> None:
        """The base's own blobs are in the registry: they are mounted, though the tar has others."""
        with open_places(tmp_path, "docker-archive", "registry") as (old, new):
            old.put(plain())
            packed = base()
            packed.push(new.registry, "os", "1")
            result = copy(old, new, base=f"{new.registry.host}/os:1")
            layers = json.loads(new.source(NEW).read_manifest().data)["layers"]
            assert [layer["digest"] for layer in layers[:2]] == [
                layer.digest for layer in packed.layers
            ]
            assert result.platforms[0].mounted_blobs == 2
            assert tree_of(new.source(NEW)) == TREE


class TestABaseInSquashedForm:
    @pytest.mark.parametrize(("one", "two"), PAIRS)
    def test_is_named_wherever_it_is(self, one: str, two: str, tmp_path: Path) -> None:
        """The base is in a place of the source's kind, in squashed form."""
        with (
            open_places(tmp_path / "base", one, one) as (original, squashed),
            open_places(tmp_path / "app", one, two) as (old, new),
        ):
            original.put(base())
            copy(original, squashed, base="none")
            old.put(app())
            name = squashed.reference(NEW)
            result = copy(old, new, base=name)
            (copied,) = result.platforms
            assert (copied.base_layers, copied.layers_after) == (2, 2)
            assert tree_of(new.source(NEW)) == TREE
            assert copy(old, new, base=name).skipped

    def test_is_compressed_if_it_comes_from_a_docker_archive(self, tmp_path: Path) -> None:
        with (
            open_places(tmp_path / "base", "docker-archive", "docker-archive") as (original, form),
            open_places(tmp_path / "app", "docker-archive", "registry") as (old, new),
        ):
            original.put(base(packing=Packing.NONE))
            copy(original, form, base="none")
            old.put(plain())
            copy(old, new, base=form.reference(NEW))
            assert packings(new) == [mediatypes.OCI_LAYER_GZIP] * 2
            assert tree_of(new.source(NEW)) == TREE

    def test_is_found_for_the_plain_layers_of_a_docker_archive(self, tmp_path: Path) -> None:
        with open_places(tmp_path, "docker-archive", "registry") as (old, new):
            packed = base()
            packed.push(new.registry, "original", "1")
            form = new.open(parse_location(f"{new.registry.host}/original:1"))
            copy_image(
                form,
                new.sink("base/os:1"),
                options("none"),
                open_source=new.open,
                observer=Listener(),
                clock=time.monotonic,
            )
            old.put(plain())
            repository = Repository(new.registry.host, "base/os")
            result = copy(old, new, base_repos=(repository,))
            assert result.platforms[0].base_layers == 2
            assert result.platforms[0].mounted_blobs == 1
            assert tree_of(new.source(NEW)) == TREE


class TestOptionsThatMeanNothing:
    @pytest.mark.parametrize("two", KINDS[1:])
    def test_base_repositories_of_no_registry(self, two: str, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", two) as (old, new):
            old.put(app())
            with pytest.raises(UsageError, match="`base_repos`"):
                copy(old, new, base_repos=(Repository("example.com", "base"),))
            assert new.leftovers() == []

    @pytest.mark.parametrize("two", KINDS[2:])
    def test_a_backup_beside_a_file(self, two: str, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", two) as (old, new):
            old.put(app())
            with pytest.raises(UsageError, match="a backup stands beside"):
                copy(old, new, backup="{tag}-old")

    def test_a_backup_in_a_layout(self, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", "oci") as (old, new):
            old.put(app())
            first = copy(old, new).digest
            second = copy(old, new, base="none", backup="{tag}-old").digest
            assert new.source("new:1").find_digest() == second
            assert new.source("new:1-old").find_digest() == first

    def test_a_backup_of_an_image_without_a_tag(self, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", "oci") as (old, new):
            old.put(app())
            with pytest.raises(UsageError, match=r"a backup.* by writing oci:.*/layout:TAG"):
                copy(old, new, name="", backup="{tag}-old")


class TestWithoutAName:
    def test_what_another_name_points_to_is_not_the_image_s_own(self, tmp_path: Path) -> None:
        """Though a source without a name is the only image that there is, whatever its name."""
        with open_places(tmp_path, "registry", "oci") as (old, new):
            old.put(app())
            assert not copy(old, new).skipped
            assert not copy(old, new, name="").skipped
            assert copy(old, new, name="").skipped
            assert new.source().find_digest() == new.source(NEW).find_digest()

    @pytest.mark.parametrize("two", KINDS[1:])
    def test_docker_would_show_an_id_alone(self, two: str, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", two) as (old, new):
            old.put(app())
            warnings = copy(old, new, name="").warnings
            assert len(warnings) == (two == "docker-archive")
            assert all("image.tar:NAME:TAG to give it one" in text for text in warnings)


def index() -> BuiltIndex:
    return index_of([app(), app(platform=ARM64)])


def plain() -> BuiltImage:
    return app(packing=Packing.NONE)


def packings(place: Place) -> list[str]:
    manifest = json.loads(place.source(NEW).read_manifest().data)
    return [layer["mediaType"] for layer in manifest["layers"]]


def plan(old: Place, new: Place, base: str = "2") -> PlanResult:
    return plan_image(
        old.source(), new.sink(NEW), options(base), open_source=old.open, observer=Listener()
    )


class TestAPlan:
    @pytest.mark.parametrize(("one", "two"), PAIRS)
    def test_says_what_a_copy_then_does(self, one: str, two: str, tmp_path: Path) -> None:
        with open_places(tmp_path, one, two) as (old, new):
            old.put(app())
            planned = plan(old, new)
            assert new.kind == "registry" or new.leftovers() == []
            (before,), (after,) = planned.platforms, copy(old, new, base="2").platforms
            assert (before.layers_after, before.hidden_bytes) == (
                after.layers_after,
                after.hidden_bytes,
            )
            assert before.upload_bytes is not None
            assert before.upload_bytes == after.uploaded_bytes
            assert before.compressed_after == after.compressed_after
            done = plan(old, new)
            assert done.up_to_date
            (unmoved,) = done.platforms
            assert (unmoved.upload_bytes, unmoved.mountable_bytes) == (0, 0)
            assert unmoved.reused_bytes == after.uploaded_bytes + after.reused_bytes

    def test_knows_a_base_that_is_mounted_in_place_of_plain_layers(self, tmp_path: Path) -> None:
        with open_places(tmp_path, "docker-archive", "registry") as (old, new):
            old.put(plain())
            packed = base()
            packed.push(new.registry, "os", "1")
            planned = plan(old, new, f"{new.registry.host}/os:1")
            (platform,) = planned.platforms
            assert platform.mountable_bytes == sum(layer.size for layer in packed.layers)
            assert planned.warnings == ()

    def test_says_that_plain_layers_of_the_base_would_be_compressed(self, tmp_path: Path) -> None:
        with open_places(tmp_path, "docker-archive", "registry") as (old, new):
            old.put(plain())
            (warning,) = plan(old, new).warnings
            assert "compresses those of the base" in warning


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_a_pruned_image_has_the_same_tree_everywhere(one: str, two: str, tmp_path: Path) -> None:
    with open_places(tmp_path, one, two) as (old, new):
        old.put(app())
        result = copy(old, new, base="1", mode=Mode.PRUNE)
        (platform,) = result.platforms
        actions = [layer.action.value for layer in platform.layers]
        assert actions == ["base", "kept", "pruned", "kept"]
        source = new.source(NEW)
        manifest = source.read_manifest()
        assert [layer["digest"] for layer in json.loads(manifest.data)["layers"]] == [
            layer.digest for layer in platform.layers
        ]
        assert source.find_digest() == result.digest == manifest.digest
        assert tree_of(source) == TREE
        assert copy(old, new, base="1", mode=Mode.PRUNE).skipped


@pytest.mark.parametrize("two", KINDS)
@pytest.mark.parametrize("packing", [Packing.NONE, Packing.GZIP, Packing.ZSTD])
@pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
def test_pruned_layers_of_every_family_and_compression(
    two: str, packing: Packing, family: Family, tmp_path: Path
) -> None:
    with open_places(tmp_path, "registry", two) as (old, new):
        app(family, packing=packing).push(old.registry, "app", "1")
        copy(old, new, base="none", mode=Mode.PRUNE)
        assert tree_of(new.source(NEW)) == TREE


@pytest.mark.parametrize(("one", "two"), [(a, b) for a in HOLDING_INDEXES for b in HOLDING_INDEXES])
def test_a_pruned_index(one: str, two: str, tmp_path: Path) -> None:
    with open_places(tmp_path, one, two) as (old, new):
        old.put(index_of([app(), app(platform=ARM64)]))
        result = copy(old, new, base="1", mode=Mode.PRUNE)
        first, second = result.platforms
        assert [layer.digest for layer in first.layers] == [layer.digest for layer in second.layers]
        children = json.loads(new.source(NEW).read_manifest().data)["manifests"]
        assert [child["digest"] for child in children] == [first.digest, second.digest]
