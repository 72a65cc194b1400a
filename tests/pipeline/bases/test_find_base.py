"""Which layers stay: what `--base` and `--base-repo` promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from squashproxy.errors import BaseMismatch, FormatError, NotFound
from squashproxy.location import Location
from squashproxy.oci.mediatypes import Family
from squashproxy.pipeline.bases.base_image import SourceOpener
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.mode import Mode
from squashproxy.reference import Reference, Repository, parse_reference, parse_repository
from squashproxy.testing import Fault, ImageBuilder, Packing, index_of
from squashproxy.transports.base import ImageSource
from tests.pipeline.images import (
    APP,
    ARM64,
    BASE_DIGEST,
    BASE_NAME,
    LAYERS,
    OS,
    RUNTIME,
    S390X,
    TOP,
    app,
    base,
    image_of,
    other,
)
from tests.pipeline.indexes import artifact, entry, listing, named
from tests.pipeline.lab import Lab, Listener, asked, digests, fails, options, pushed_bytes, tree

Labs = Callable[..., Lab]


class TestAutoTheImageThatTheAnnotationsName:
    """Rule 1: it counts where it can be read and is a prefix."""

    def test_in_the_same_registry(self, lab: Lab) -> None:
        base().push(lab.old, "os", "1")
        annotations = {BASE_NAME: f"{lab.old.host}/os:1", BASE_DIGEST: base().digest}
        lab.put(app(annotations=annotations))
        result = lab.copy()
        assert result.platforms[0].base_layers == 2
        assert result.warnings == ()
        kept = lab.arrived().manifest["annotations"]
        assert {key: kept[key] for key in annotations} == annotations

    def test_in_another_registry(self, labs: Labs) -> None:
        lab, elsewhere = labs(), labs()
        base().push(elsewhere.old, "os", "1")
        lab.put(app(annotations={BASE_NAME: f"{elsewhere.old.host}/os:1"}))
        hosts = frozenset({elsewhere.old.host})
        assert lab.copy(base_hosts=hosts).platforms[0].base_layers == 2
        assert BASE_DIGEST not in lab.arrived().manifest["annotations"]

    @pytest.mark.parametrize(
        "name",
        [
            "127.0.0.1:9/x",
            "localhost/x",
            "[::1]:5000/x",
            "10.0.0.1/x:1",
            "169.254.169.254/latest/meta-data",
            "registry.stranger.example/x:1",
            "{old}.stranger.example/x",
            "0177.0.0.1/x",
            "2130706433:80/x",
        ],
    )
    @pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE], ids=lambda mode: mode.value)
    def test_a_host_that_only_the_image_names_is_never_asked(
        self, lab: Lab, name: str, mode: Mode
    ) -> None:
        name = name.format(old=lab.old.host.partition(":")[0])
        opened: list[str] = []

        def open_source(reference: Location) -> ImageSource:
            opened.append(str(reference))
            return lab.open(reference)

        lab.put(app(annotations={BASE_NAME: name, BASE_DIGEST: base().digest}))
        base().push(lab.new, "bases/os", "1")
        result = copy_image(
            lab.source(),
            lab.sink("app:1"),
            options("auto", base_repos=(parse_repository(f"{lab.new.host}/bases/os"),), mode=mode),
            open_source=open_source,
            observer=Listener(),
            clock=lambda: 0.0,
        )
        (warning,) = result.warnings
        assert f"--base-host {parse_reference(name).repository.host}" in warning
        assert result.platforms[0].base_layers == 2, "the base repository holds it"
        hosts = {parse_reference(each).repository.host for each in opened}
        assert hosts <= {lab.old.host, lab.new.host}

    @pytest.mark.parametrize("host", ["{new}", "docker.io", "index.docker.io", "{allowed}"])
    def test_a_host_that_something_else_names_is_asked(self, lab: Lab, host: str) -> None:
        """The target, a host of the options, and Docker Hub, which nobody can point elsewhere."""
        host = host.format(new=lab.new.host, allowed="allowed.example")
        opened: list[str] = []

        def open_source(reference: Location) -> ImageSource:
            opened.append(str(reference))
            assert isinstance(reference, Reference)
            return lab.open(replace(reference, repository=Repository(lab.old.host, "os")))

        base().push(lab.old, "os", "1")
        lab.put(app(annotations={BASE_NAME: f"{host}/team/os:1"}))
        result = copy_image(
            lab.source(),
            lab.sink("app:1"),
            options("auto", base_hosts=frozenset({"allowed.example"})),
            open_source=open_source,
            observer=Listener(),
            clock=lambda: 0.0,
        )
        assert opened == [f"{host.removeprefix('index.')}/team/os:1"]
        assert (result.warnings, result.platforms[0].base_layers) == ((), 2)

    @pytest.mark.parametrize("key", [BASE_NAME, BASE_DIGEST])
    @pytest.mark.parametrize("value", [5, 0, None, True, 1.5, [], ["a"], {}, {"a": "b"}])
    def test_an_annotation_that_is_no_text_is_ignored_with_a_warning(
        self, lab: Lab, key: str, value: object
    ) -> None:
        base().push(lab.old, "os", "1")
        annotations: dict[str, Any] = {BASE_NAME: f"{lab.old.host}/os:1", key: value}
        lab.put(app(annotations=annotations))
        result = lab.copy()
        assert result.warnings == (f"{key} of {result.source} is no text; ignored",)
        assert result.platforms[0].base_layers == 1
        assert key not in lab.arrived().manifest["annotations"]
        assert lab.copy().skipped

    def test_in_the_target_registry_its_layers_are_mounted(self, lab: Lab) -> None:
        base().push(lab.new, "os", "1")
        lab.put(app(annotations={BASE_NAME: f"{lab.new.host}/os:1"}))
        (copied,) = lab.copy().platforms
        assert (copied.base_layers, copied.mounted_blobs) == (2, 2)

    def test_the_digest_decides_where_the_name_has_moved(self, lab: Lab) -> None:
        base().push(lab.old, "os", "1")
        other().push(lab.old, "os", "1")
        annotations = {BASE_NAME: f"{lab.old.host}/os:1", BASE_DIGEST: base().digest}
        lab.put(app(annotations=annotations))
        assert lab.copy().platforms[0].base_layers == 2

    def test_an_image_that_is_no_prefix_is_passed_over(self, lab: Lab) -> None:
        other().push(lab.old, "os", "1")
        annotations = {BASE_NAME: f"{lab.old.host}/os:1", BASE_DIGEST: other().digest}
        lab.put(app(annotations=annotations))
        assert lab.copy().platforms[0].base_layers == 1
        assert not annotations.keys() & lab.arrived().manifest["annotations"].keys()

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            pytest.param("127.0.0.1:1/os:1", "127.0.0.1:1", id="nobody-answers"),
            pytest.param("{old}/absent:1", "no repository absent", id="no-such-repository"),
            pytest.param("{old}/app:absent", "no tag absent", id="no-such-tag"),
            pytest.param("Not A Name", "is no reference", id="no-reference"),
            pytest.param("{old}/os:1@sha256:12", "is no reference", id="bad-digest"),
            pytest.param("{old}/broken:1", "not valid JSON", id="unreadable"),
            pytest.param("{old}/arm:1", "no image for linux/amd64", id="other-platform"),
        ],
    )
    def test_what_cannot_be_read_is_a_warning_and_the_next_rule_counts(
        self, lab: Lab, name: str, words: str
    ) -> None:
        lab.old.put_manifest("broken", "1", b"{", "application/vnd.oci.image.manifest.v1+json")
        index_of([ImageBuilder(platform=ARM64).layer(OS)]).push(lab.old, "arm", "1")
        lab.put(app(annotations={BASE_NAME: name.format(old=lab.old.host)}))
        result = lab.copy()
        assert result.platforms[0].base_layers == 1
        (warning,) = result.warnings
        assert words in warning
        assert warning.endswith("ignored")
        assert lab.arrived().tree() == tree(*LAYERS)

    @pytest.mark.parametrize(
        "name",
        [
            "scratch",
            "scratch:latest",
            "library/scratch",
            "docker.io/library/scratch",
            "docker.io/scratch:1",
            "index.docker.io/library/scratch",
            "scratch@sha256:" + "0" * 64,
        ],
    )
    @pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE], ids=lambda mode: mode.value)
    def test_scratch_is_a_reserved_word_and_is_never_asked_for(
        self, lab: Lab, name: str, mode: Mode
    ) -> None:
        opened: list[str] = []

        def open_source(reference: Location) -> ImageSource:
            opened.append(str(reference))
            return lab.open(reference)

        base().push(lab.new, "bases/scratch", "latest")
        lab.put(app(annotations={BASE_NAME: name}))
        repositories = (parse_repository(f"{lab.new.host}/bases/scratch"),)
        for base_repos in ((), repositories):
            result = copy_image(
                lab.source(),
                lab.sink(f"app:{len(base_repos)}"),
                options("auto", base_repos=base_repos, mode=mode),
                open_source=open_source,
                observer=Listener(),
                clock=lambda: 0.0,
            )
            assert result.warnings == ()
            assert result.platforms[0].base_layers == (2 if base_repos else 1)
            kept = lab.arrived(str(len(base_repos))).manifest["annotations"]
            assert kept[BASE_NAME] == name
        assert [each for each in opened if "docker.io" in each] == []

    def test_another_repository_called_scratch_is_none(self, lab: Lab) -> None:
        base().push(lab.old, "scratch", "1")
        lab.put(app(annotations={BASE_NAME: f"{lab.old.host}/scratch:1"}))
        assert lab.copy().platforms[0].base_layers == 2

    def test_a_digest_alone_names_no_image(self, lab: Lab) -> None:
        lab.put(app(annotations={BASE_DIGEST: base().digest}))
        assert lab.copy().platforms[0].base_layers == 1
        assert BASE_DIGEST not in lab.arrived().manifest["annotations"]

    def test_it_comes_before_the_base_repositories(self, lab: Lab) -> None:
        base().push(lab.old, "os", "1")
        app().push(lab.new, "held", "1")
        lab.put(app(annotations={BASE_NAME: f"{lab.old.host}/os:1"}))
        held = parse_repository(f"{lab.new.host}/held")
        assert lab.copy(base_repos=(held,)).platforms[0].base_layers == 2

    def test_it_is_looked_up_without_patience_and_an_image_asked_for_with(self, lab: Lab) -> None:
        """An annotation is a hint, so another opener is used, which gives up soon."""
        opened: dict[str, list[str]] = {"asked for": [], "hinted at": []}

        def opener(kind: str) -> SourceOpener:
            def open_source(reference: Location) -> ImageSource:
                opened[kind].append(str(reference))
                return lab.open(reference)

            return open_source

        base().push(lab.old, "os", "1")
        name = f"{lab.old.host}/os:1"
        lab.put(app(annotations={BASE_NAME: name}))
        for choice in ("auto", name):
            copied = copy_image(
                lab.source(),
                lab.sink(),
                options(choice),
                open_source=opener("asked for"),
                quick_source=opener("hinted at"),
                observer=Listener(),
                clock=lambda: 0.0,
            )
            assert copied.platforms[0].base_layers == 2
            assert copied.seconds == 0
        assert opened == {"asked for": [name], "hinted at": [name]}

    def test_with_another_choice_of_base_it_is_not_even_looked_at(self, lab: Lab) -> None:
        base().push(lab.old, "os", "1")
        lab.put(app(annotations={BASE_NAME: f"{lab.old.host}/os:1"}))
        lab.copy(base="1")
        assert not any("os/" in line for line in asked(lab.old))
        assert BASE_NAME not in lab.arrived().manifest["annotations"]


class TestAutoTheLongestRunInABaseRepository:
    """Rule 2: of the repositories of the target that hold base images."""

    def repositories(self, lab: Lab) -> dict[str, Any]:
        """One holds the first layer, one the first two, one others."""
        image_of(OS).push(lab.new, "small", "1")
        base().push(lab.new, "large", "1")
        image_of(RUNTIME, APP).push(lab.new, "unrelated", "1")
        names = ("small", "large", "unrelated", "absent")
        return {"base_repos": tuple(parse_repository(f"{lab.new.host}/{name}") for name in names)}

    def test_it_is_mounted_and_not_uploaded(self, lab: Lab) -> None:
        image = app()
        lab.put(image)
        choices = self.repositories(lab)
        lab.forget_requests()
        (copied,) = lab.copy(**choices).platforms
        base_size = sum(layer.size for layer in image.layers[:2])
        arrived = lab.arrived()
        assert (copied.base_layers, copied.mounted_blobs) == (2, 2)
        assert copied.reused_bytes == base_size
        assert copied.uploaded_bytes == pushed_bytes(lab.new)
        assert (
            copied.uploaded_bytes == arrived.size - base_size + arrived.manifest["config"]["size"]
        )
        assert asked(lab.new).count("POST app/uploads mount 201") == 2
        assert arrived.tree() == tree(*LAYERS)

    def test_a_mount_that_is_declined_costs_an_upload_and_leaves_no_session(
        self, labs: Labs
    ) -> None:
        lab = labs(new={"mounts": False})
        image = app()
        lab.put(image)
        (copied,) = lab.copy(**self.repositories(lab)).platforms
        assert (copied.base_layers, copied.mounted_blobs, copied.reused_bytes) == (2, 0, 0)
        assert copied.uploaded_bytes == pushed_bytes(lab.new)
        assert asked(lab.new).count("DELETE app/uploads 204") >= 2
        assert lab.arrived().layers[:2] == digests(image.layers[:2])

    @pytest.mark.parametrize("status", [401, 403, 404, 405])
    def test_a_mount_that_is_refused_costs_an_upload(self, lab: Lab, status: int) -> None:
        lab.put(app())
        choices = self.repositories(lab)
        lab.new.arm(Fault("POST", "mount=", status=status, times=100))
        (copied,) = lab.copy(**choices).platforms
        assert (copied.base_layers, copied.mounted_blobs) == (2, 0)
        assert lab.arrived().tree() == tree(*LAYERS)

    def test_what_the_target_has_already_is_not_mounted(self, lab: Lab) -> None:
        image = app()
        lab.put(image)
        base().push(lab.new, "app", None)
        (copied,) = lab.copy(**self.repositories(lab)).platforms
        assert (copied.base_layers, copied.mounted_blobs) == (2, 0)
        assert copied.reused_bytes == sum(layer.size for layer in image.layers[:2])

    def test_a_repository_of_another_registry_holds_nothing(self, lab: Lab) -> None:
        image = app()
        lab.put(image)
        base().push(lab.old, "os", "1")
        elsewhere = parse_repository(f"{lab.old.host}/os")
        assert lab.copy(base_repos=(elsewhere,)).platforms[0].base_layers == 1


class TestAutoTheFirstLayer:
    """Rule 3: nothing names the base, so the first layer is taken for it."""

    def test_it_is_copied_unchanged(self, lab: Lab) -> None:
        image = app()
        lab.put(image)
        (copied,) = lab.copy().platforms
        assert (copied.base_layers, copied.layers_after) == (1, 2)
        assert lab.new.blob("app", image.layers[0].digest) == image.blobs[image.layers[0].digest]

    def test_an_image_of_one_layer_stays_as_it_is(self, lab: Lab) -> None:
        image = image_of(OS)
        lab.put(image)
        assert lab.copy().digest == image.digest


class TestANumber:
    def test_all_layers_leave_the_image_as_it_is(self, lab: Lab) -> None:
        image = app()
        lab.put(image)
        result = lab.copy(base="4")
        assert result.digest == image.digest
        assert lab.new.blobs("app") == set(image.blobs)
        assert not result.skipped

    @pytest.mark.parametrize("count", ["5", "99"])
    def test_more_than_there_are_is_an_error(self, lab: Lab, count: str) -> None:
        lab.put(app())
        fails(lab, BaseMismatch, f"a base of {count}", "has 4 layers", base=count)

    def test_a_negative_one_is_wrong(self) -> None:
        with pytest.raises(ValueError, match="-1: a number of layers is 0 or more"):
            options(base="-1")

    @pytest.mark.parametrize("word", ["0", "scratch", "docker.io/library/scratch", "scratch:1"])
    def test_none_0_and_scratch_flatten_all(self, lab: Lab, word: str) -> None:
        lab.put(app())
        flat = lab.copy(base="none")
        assert flat.digest == lab.copy(target="app:0", base=word).digest
        assert len(lab.arrived().layers) == 1


class TestAnImage:
    def test_its_layers_are_a_prefix(self, lab: Lab) -> None:
        image = app(annotations={BASE_NAME: "example.com/other:1"})
        lab.put(image)
        name = f"{lab.new.host}/os:1"
        base().push(lab.new, "os", "1")
        (copied,) = lab.copy(base=name).platforms
        assert (copied.base_layers, copied.mounted_blobs) == (2, 2)
        annotations = lab.arrived().manifest["annotations"]
        assert (annotations[BASE_NAME], annotations[BASE_DIGEST]) == (name, base().digest)

    @pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
    def test_the_same_tars_in_another_packing_are_the_same_layers(
        self, lab: Lab, family: Family
    ) -> None:
        image = app()
        lab.put(image)
        base(family, Packing.ZSTD).push(lab.new, "os", "1")
        (copied,) = lab.copy(base=f"{lab.new.host}/os:1").platforms
        assert (copied.base_layers, copied.mounted_blobs) == (2, 0)
        assert lab.arrived().layers[:2] == digests(image.layers[:2])

    def test_of_an_index_the_image_for_the_platform_is_meant(self, lab: Lab) -> None:
        other_platform = ImageBuilder(platform=S390X).layer(TOP).build()
        index_of([other_platform, base()]).push(lab.new, "os", "1")
        lab.put(app())
        assert lab.copy(base=f"{lab.new.host}/os:1").platforms[0].base_layers == 2

    @pytest.mark.parametrize("is_nested", [False, True], ids=["beside it", "in an index"])
    def test_an_artifact_of_its_platform_before_it_is_no_base(
        self, lab: Lab, is_nested: bool
    ) -> None:
        """Only its manifest tells that it is none."""
        listed = [named(artifact(), "linux/amd64"), entry(base())]
        below = [listing([each]) for each in listed]
        artifact().push(lab.new, "os")
        base().push(lab.new, "os")
        for each in below:
            each.push(lab.new, "os")
        whole = listing([entry(each) for each in below] if is_nested else listed)
        whole.push(lab.new, "os", "1")
        lab.put(app())
        result = lab.copy(base=f"{lab.new.host}/os:1")
        assert result.platforms[0].base_layers == 2

    def test_an_index_without_the_platform_is_an_error(self, lab: Lab) -> None:
        index_of([ImageBuilder(platform=S390X).layer(OS)]).push(lab.old, "os", "1")
        lab.put(app())
        name = f"{lab.old.host}/os:1"
        fails(lab, BaseMismatch, name, "no image for linux/amd64", base=name)

    @pytest.mark.parametrize(
        ("layers", "error", "words"),
        [
            pytest.param((APP,), BaseMismatch, "not the base of", id="other-layers"),
            pytest.param((RUNTIME, OS), BaseMismatch, "not the base of", id="other-order"),
            pytest.param((*LAYERS, OS), BaseMismatch, "not the base of", id="longer"),
            pytest.param((), NotFound, "tag 1", id="absent"),
        ],
    )
    def test_anything_else_is_an_error(
        self, lab: Lab, layers: tuple[object, ...], error: type[BaseMismatch], words: str
    ) -> None:
        lab.put(app())
        other().push(lab.old, "os", "other")
        if layers:
            image_of(*layers).push(lab.old, "os", "1")  # type: ignore[arg-type]
        fails(lab, error, "os", words, base=f"{lab.old.host}/os:1")

    def test_an_unreadable_one_is_an_error(self, lab: Lab) -> None:
        lab.put(app())
        lab.old.put_manifest("os", "1", b"[]", "application/vnd.oci.image.manifest.v1+json")
        fails(lab, FormatError, "not a JSON object", base=f"{lab.old.host}/os:1")


def test_layers_of_the_base_that_the_target_lacks_are_copied_byte_for_byte(lab: Lab) -> None:
    image = app(packing=Packing.GZIP_MULTI)
    lab.put(image)
    lab.new.put_blob("app", image.blobs[image.layers[0].digest])
    (copied,) = lab.copy(base="2").platforms
    for layer in image.layers[:2]:
        assert lab.new.blob("app", layer.digest) == image.blobs[layer.digest]
    assert copied.reused_bytes == image.layers[0].size
    assert lab.arrived().tree() == tree(*LAYERS)
