"""A second run finds out with a few small requests that nothing is left to do; bytes repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from squashproxy.oci.mediatypes import OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Family
from squashproxy.pipeline.options import Limits
from squashproxy.reference import parse_repository
from squashproxy.registry.http import connections
from squashproxy.streams import CHUNK
from squashproxy.testing import AMD64, BuiltImage, ImageBuilder, LayerBuilder, Packing, index_of
from tests.pipeline.images import (
    APP,
    ARM64,
    LAYERS,
    OS,
    RUNTIME,
    S390X,
    app,
    base,
    image_of,
    noise,
    other,
)
from tests.pipeline.lab import Lab, asked, methods, tree

PLATFORMS = (AMD64, ARM64, S390X)
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
FAMILIES = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)


def three(family: Family = Family.OCI) -> Any:
    return index_of([app(family, platform=platform) for platform in PLATFORMS], family)


def again(lab: Lab, **choices: Any) -> tuple[list[str], list[str]]:
    """The requests of a copy that must find nothing to do: to the source, to the target."""
    before = lab.new.tags("app")
    lab.forget_requests()
    result = lab.copy(**choices)
    assert result.skipped
    assert result.platforms == ()
    assert result.digest == before["1"]
    assert lab.new.tags("app") == before
    return asked(lab.old), asked(lab.new)


class TestASecondRun:
    def test_costs_two_heads_and_a_small_get(self, lab: Lab) -> None:
        lab.put(app())
        digest = lab.copy().digest
        old, new = again(lab)
        assert old == ["HEAD app/manifests/1 200"]
        assert new == ["HEAD app/manifests/1 200", f"GET app/manifests/{digest} 200"]

    def test_of_a_docker_image_reads_its_config_too(self, lab: Lab) -> None:
        source = app(Family.DOCKER)
        lab.put(source)
        digest = lab.copy().digest
        old, new = again(lab)
        assert old == ["HEAD app/manifests/1 200"]
        assert new == [
            "HEAD app/manifests/1 200",
            f"GET app/manifests/{digest} 200",
            f"GET app/blobs/{lab.arrived().manifest['config']['digest']} 200",
        ]

    def test_of_an_index_reads_no_image(self, lab: Lab) -> None:
        lab.put(three())
        digest = lab.copy().digest
        old, new = again(lab)
        assert old == ["HEAD app/manifests/1 200"]
        assert new == ["HEAD app/manifests/1 200", f"GET app/manifests/{digest} 200"]

    def test_of_a_docker_list_reads_each_image(self, lab: Lab) -> None:
        source = three(Family.DOCKER)
        lab.put(source)
        copied = lab.copy()
        old, new = again(lab)
        assert old == ["HEAD app/manifests/1 200", "GET app/manifests/1 200"]
        assert new[:2] == ["HEAD app/manifests/1 200", f"GET app/manifests/{copied.digest} 200"]
        assert len(new) == 2 + 2 * len(copied.platforms)
        assert not any("uploads" in line for line in new)

    def test_of_one_platform_of_an_index(self, lab: Lab) -> None:
        lab.put(three())
        digest = lab.copy(platforms=(ARM64,)).digest
        old, new = again(lab, platforms=(ARM64,))
        assert old == ["HEAD app/manifests/1 200", "GET app/manifests/1 200"]
        assert new == ["HEAD app/manifests/1 200", f"GET app/manifests/{digest} 200"]

    @FAMILIES
    def test_of_two_platforms_in_any_order(self, lab: Lab, family: Family) -> None:
        lab.put(three(family))
        lab.copy(platforms=(ARM64, S390X))
        again(lab, platforms=(S390X, ARM64))

    @pytest.mark.parametrize("base", ["1", "none", "auto"])
    def test_of_what_was_copied_as_it_is(self, lab: Lab, base: str) -> None:
        lab.put(image_of(OS))
        lab.copy(base=base)
        again(lab, base=base)

    def test_of_an_index_of_such_images(self, lab: Lab) -> None:
        lab.put(index_of([ImageBuilder(platform=platform).layer(OS) for platform in PLATFORMS]))
        lab.copy()
        again(lab)

    @pytest.mark.parametrize(
        "choices",
        [
            pytest.param({"base": "2"}, id="base-number"),
            pytest.param({"base": "none"}, id="no-base"),
            pytest.param({"compression": "zstd:19"}, id="compression"),
        ],
    )
    @FAMILIES
    def test_with_options(self, lab: Lab, family: Family, choices: dict[str, Any]) -> None:
        lab.put(app(family))
        lab.copy(**choices)
        again(lab, **choices)

    def test_with_a_base_of_another_repository(self, lab: Lab) -> None:
        base().push(lab.new, "os", "1")
        lab.put(app())
        choices: dict[str, Any] = {"base_repos": (parse_repository(f"{lab.new.host}/os"),)}
        lab.copy(**choices)
        again(lab, **choices)

    @pytest.mark.parametrize(
        "choices",
        [
            pytest.param({"jobs": 1}, id="jobs"),
            pytest.param({"strict": True}, id="strict"),
            pytest.param({"limits": Limits(entries=1000)}, id="limits"),
            pytest.param({"backup": "{tag}-before"}, id="backup"),
        ],
    )
    def test_with_options_that_shape_no_byte(self, lab: Lab, choices: dict[str, Any]) -> None:
        lab.put(app())
        lab.copy()
        again(lab, **choices)
        assert set(lab.new.tags("app")) == {"1"}


class TestAThirdThatHasToWork:
    """Whatever changed, the copy is made again and the tag moves."""

    @FAMILIES
    @pytest.mark.parametrize(
        "choices",
        [
            pytest.param({"base": "none"}, id="base"),
            pytest.param({"base": "2"}, id="base-number"),
            pytest.param({"compression": "zstd"}, id="compression"),
        ],
    )
    def test_other_options(self, lab: Lab, family: Family, choices: dict[str, Any]) -> None:
        lab.put(app(family))
        first = lab.copy()
        second = lab.copy(**choices)
        assert not second.skipped
        assert second.digest != first.digest
        assert lab.new.tags("app") == {"1": second.digest}
        assert lab.arrived().tree() == tree(*LAYERS)

    @FAMILIES
    def test_other_platforms(self, lab: Lab, family: Family) -> None:
        lab.put(three(family))
        digests = {
            lab.copy(platforms=platforms).digest
            for platforms in ((ARM64,), (AMD64,), (AMD64, ARM64), ())
        }
        assert len(digests) == 4

    @FAMILIES
    def test_a_tag_that_moved_at_the_source(self, lab: Lab, family: Family) -> None:
        lab.put(app(family))
        lab.copy()
        lab.put(image_of(OS, RUNTIME, APP, family=family))
        result = lab.copy()
        assert not result.skipped
        assert lab.arrived().tree() == tree(OS, RUNTIME, APP)

    @FAMILIES
    def test_an_image_for_another_platform_that_moved(self, lab: Lab, family: Family) -> None:
        lab.put(three(family))
        lab.copy(platforms=(ARM64, AMD64))
        moved = ImageBuilder(family, platform=ARM64).layer(OS).layer(APP).layer(RUNTIME)
        images = [app(family, platform=AMD64), moved.build()]
        lab.put(index_of(images, family))
        assert not lab.copy(platforms=(ARM64, AMD64)).skipped

    @FAMILIES
    def test_an_index_that_lost_an_image(self, lab: Lab, family: Family) -> None:
        lab.put(three(family))
        lab.copy()
        lab.put(index_of([app(family, platform=platform) for platform in PLATFORMS[:2]], family))
        result = lab.copy()
        assert not result.skipped
        assert len(json.loads(lab.new.manifest("app", "1").data)["manifests"]) == 2

    def test_another_compression_of_what_was_copied_as_it_is(self, lab: Lab) -> None:
        lab.put(image_of(OS, RUNTIME))
        lab.copy()
        assert not lab.copy(compression="zstd").skipped
        types = [layer["mediaType"] for layer in lab.arrived().manifest["layers"]]
        assert types == [OCI_LAYER_GZIP, OCI_LAYER_ZSTD]
        assert lab.arrived().tree() == tree(OS, RUNTIME)

    def test_an_unrelated_image_at_the_target(self, lab: Lab) -> None:
        other().push(lab.new, "app", "1")
        lab.put(app())
        result = lab.copy()
        assert not result.skipped
        assert lab.new.tags("app") == {"1": result.digest}
        assert lab.arrived().tree() == tree(*LAYERS)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"{", id="no-json"),
            pytest.param(b'{"schemaVersion":1}', id="schema-1"),
            pytest.param(b'{"schemaVersion":2,"manifests":7}', id="a-broken-index"),
        ],
    )
    def test_something_unreadable_at_the_target(self, lab: Lab, data: bytes) -> None:
        lab.new.put_manifest("app", "1", data, "application/vnd.oci.image.manifest.v1+json")
        lab.put(app())
        assert lab.new.tags("app") != {"1": lab.copy().digest} or not lab.copy(force=True).skipped
        assert lab.arrived().tree() == tree(*LAYERS)

    def test_the_very_image_unsquashed_at_the_target(self, lab: Lab) -> None:
        image = app()
        lab.put(image)
        image.push(lab.new, "app", "1")
        (copied,) = lab.copy(base="1").platforms
        assert copied.digest != image.digest
        assert copied.reused_bytes == image.layers[0].size
        assert lab.arrived().tree() == tree(*LAYERS)

    @FAMILIES
    def test_a_stamp_that_speaks_of_another_source(self, lab: Lab, family: Family) -> None:
        lab.put(app(family))
        lab.copy()
        squashed = lab.new.manifest("app", "1")
        lab.new.put_manifest("app", "1", squashed.data, squashed.media_type)
        lab.put(image_of(OS, APP, RUNTIME, family=family))
        assert not lab.copy().skipped


class TestTheSameBytes:
    def forced(self, lab: Lab, **choices: Any) -> str:
        result = lab.copy(force=True, **choices)
        assert not result.skipped
        return result.digest

    @FAMILIES
    @pytest.mark.parametrize("packing", [Packing.NONE, Packing.GZIP, Packing.ZSTD])
    def test_force_gives_the_same_digest(self, lab: Lab, family: Family, packing: Packing) -> None:
        lab.put(app(family, packing=packing))
        assert len({lab.copy(base="1").digest, *(self.forced(lab, base="1") for _ in "ab")}) == 1

    @FAMILIES
    def test_of_an_index_too(self, lab: Lab, family: Family) -> None:
        lab.put(three(family))
        assert lab.copy().digest == self.forced(lab)

    def test_whatever_the_number_of_jobs(self, lab: Lab) -> None:
        lab.put(three())
        assert len({self.forced(lab, base="2", jobs=jobs) for jobs in (1, 2, 8)}) == 1

    @pytest.mark.parametrize("packing", [Packing.GZIP, Packing.ZSTD])
    def test_whatever_the_size_of_the_chunks(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch, packing: Packing
    ) -> None:
        lab.put(large(packing))
        found = set()
        for size in (CHUNK, 1 << 20, 4099, 333):
            monkeypatch.setattr(connections, "CHUNK", size)
            found.add(self.forced(lab, base="none"))
        assert len(found) == 1

    def test_whatever_the_target_held(self, labs: Callable[..., Lab]) -> None:
        found = set()
        for number in range(3):
            lab = labs()
            image = app()
            lab.put(image)
            for layer in image.layers[:number]:
                lab.new.put_blob("app", image.blobs[layer.digest])
            found.add(lab.copy(base="2").digest)
        assert len(found) == 1


def large(packing: Packing) -> BuiltImage:
    """Content that compresses a little, so that block boundaries could change the result."""
    text = b"".join(
        b"%d %s\n" % (number, noise(9, number).hex().encode()) for number in range(30_000)
    )
    builder = ImageBuilder().layer(LayerBuilder().file("old", text).file("b", text[::-1]), packing)
    return builder.layer(LayerBuilder().whiteout("old").file("c", text[:99_999]), packing).build()


@pytest.mark.parametrize("image", [app(), three()], ids=["image", "index"])
def test_two_copies_at_once_both_succeed_with_the_same_digest(lab: Lab, image: Any) -> None:
    lab.put(image)
    with ThreadPoolExecutor(2) as pool:
        results = [run.result(60) for run in [pool.submit(lab.copy) for _ in range(2)]]
    assert len({result.digest for result in results}) == 1
    assert lab.new.tags("app") == {"1": results[0].digest}
    assert again(lab)


class TestTagsThatExist:
    def test_no_clobber_leaves_one_alone_and_says_so(self, lab: Lab) -> None:
        before = other().push(lab.new, "app", "1")
        lab.put(app())
        result = lab.copy(no_clobber=True)
        assert (result.skipped, result.digest, result.platforms) == (True, before, ())
        assert "left alone, as asked for" in result.warnings[0]
        assert not methods(lab.new) & WRITES
        assert asked(lab.old) == ["HEAD app/manifests/1 200"]

    def test_no_clobber_fills_one_that_is_free(self, lab: Lab) -> None:
        lab.put(app())
        result = lab.copy(no_clobber=True)
        assert not result.skipped
        assert lab.new.tags("app") == {"1": result.digest}

    @pytest.mark.parametrize(
        ("template", "name"),
        [
            pytest.param("before", "before", id="a-name"),
            pytest.param("{tag}-before", "1-before", id="tag"),
            pytest.param("{tag}-{digest}", "1-{digits}", id="digest"),
        ],
    )
    def test_a_backup_keeps_the_old_image(self, lab: Lab, template: str, name: str) -> None:
        before = other().push(lab.new, "app", "1")
        lab.put(app())
        result = lab.copy(backup=template)
        kept = name.format(digits=before.removeprefix("sha256:")[:12])
        assert lab.new.tags("app") == {"1": result.digest, kept: before}
        puts = [line for line in asked(lab.new) if line.startswith("PUT app/manifests")]
        assert puts == [f"PUT app/manifests/{kept} 201", "PUT app/manifests/1 201"]

    def test_a_backup_of_nothing_is_none(self, lab: Lab) -> None:
        lab.put(app())
        result = lab.copy(backup="{tag}-before")
        assert lab.new.tags("app") == {"1": result.digest}

    def test_a_backup_of_the_same_image_is_none(self, lab: Lab) -> None:
        lab.put(app())
        result = lab.copy()
        lab.copy(backup="{tag}-before", force=True)
        assert lab.new.tags("app") == {"1": result.digest}

    def test_a_backup_of_an_index(self, lab: Lab) -> None:
        before = three().push(lab.new, "app", "1")
        lab.put(app())
        lab.copy(backup="{tag}-before")
        assert lab.new.tags("app")["1-before"] == before
        assert len(json.loads(lab.new.manifest("app", "1-before").data)["manifests"]) == 3
