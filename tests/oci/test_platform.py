"""Platforms: how they are written, and which image is for whom."""

from __future__ import annotations

import pytest

from squashproxy.oci import mediatypes
from squashproxy.oci.platform import Platform, other_system, parse_platform, platform_of


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/i386", "linux/386"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("windows/amd64", "windows/amd64"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_written(text: str, written: str) -> None:
    assert str(parse_platform(text)) == written


@pytest.mark.parametrize(
    "text", ["", "linux", "/", "linux/", "/amd64", "linux//v8", "linux/arm/v7/", "a/b/c/d"]
)
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(ValueError, match="is not a platform; write OS/ARCH, as in linux/amd64"):
        parse_platform(text)


@pytest.mark.parametrize(
    ("image", "wanted", "matches"),
    [
        pytest.param("linux/amd64", "linux/amd64", True, id="the same"),
        pytest.param("linux/amd64", "linux/arm64", False, id="another architecture"),
        pytest.param("linux/amd64", "windows/amd64", False, id="another system"),
        pytest.param("linux/amd64/v1", "linux/amd64", True, id="amd64 is v1"),
        pytest.param("linux/amd64", "linux/amd64/v1", True, id="v1 is amd64"),
        pytest.param("linux/amd64/v3", "linux/amd64", False, id="amd64 is not v3"),
        pytest.param("linux/amd64", "linux/amd64/v3", False, id="v3 is not amd64"),
        pytest.param("linux/arm64", "linux/arm64/v8", True, id="arm64 is v8"),
        pytest.param("linux/arm64/v8", "linux/arm64", True, id="v8 is arm64"),
        pytest.param("linux/arm64/v9", "linux/arm64", False, id="v9 is not arm64"),
        pytest.param("linux/arm/v6", "linux/arm", True, id="any arm, v6"),
        pytest.param("linux/arm/v7", "linux/arm", True, id="any arm, v7"),
        pytest.param("linux/arm", "linux/arm", True, id="any arm"),
        pytest.param("linux/arm", "linux/arm/v7", True, id="arm is v7"),
        pytest.param("linux/arm", "linux/arm/v6", False, id="arm is not v6"),
        pytest.param("linux/arm/v6", "linux/arm/v7", False, id="v6 is not v7"),
        pytest.param("linux/arm/v7", "linux/arm/v7", True, id="v7"),
        pytest.param("linux/arm/v7", "linux/arm64", False, id="arm is not arm64"),
        pytest.param("linux/ppc64le", "linux/ppc64le", True, id="no variants"),
        pytest.param("linux/ppc64le/power9", "linux/ppc64le", False, id="a variant not asked for"),
    ],
)
def test_which_image_is_for_whom(image: str, wanted: str, matches: bool) -> None:
    assert parse_platform(image).matches(parse_platform(wanted)) == matches


def test_an_unknown_platform_matches_no_other() -> None:
    unknown = Platform("unknown", "unknown")
    assert not unknown.matches(parse_platform("linux/amd64"))
    assert not parse_platform("linux/amd64").matches(unknown)


SPELLINGS = {
    "linux/arm/7": "linux/arm/v7",
    "linux/arm/V6": "linux/arm/v6",
    "linux/arm64/8": "linux/arm64/v8",
    "linux/arm64/v8.0": "linux/arm64/v8",
    "linux/aarch64/9": "linux/arm64/v9",
    "linux/armhf": "linux/arm/v7",
    "linux/armel": "linux/arm/v6",
    "macOS/aarch64": "darwin/arm64",
}


@pytest.mark.parametrize(("text", "written"), SPELLINGS.items(), ids=SPELLINGS)
def test_other_spellings_mean_the_same_on_every_side(text: str, written: str) -> None:
    system, architecture, *variant = text.split("/")
    stated = {"os": system, "architecture": architecture, "variant": "".join(variant)}
    assert str(parse_platform(text)) == str(platform_of(stated)) == written


def test_a_system_that_is_not_stated_is_linux() -> None:
    unstated = platform_of({"architecture": "amd64"})
    assert unstated.is_linux
    assert unstated.matches(parse_platform("linux/amd64"))
    assert not unstated.matches(parse_platform("windows/amd64"))
    assert not parse_platform("windows/amd64").is_linux


WINDOWS, AMD64 = Platform("windows", "amd64"), Platform("linux", "amd64")
SYSTEMS: dict[str, tuple[dict[str, object], Platform | None, str | None]] = {
    "linux": ({"os": "linux"}, None, None),
    "Linux": ({"os": "Linux"}, WINDOWS, None),
    "nothing": ({}, None, None),
    "empty": ({"os": ""}, None, None),
    "null": ({"os": None}, AMD64, None),
    "windows": ({"os": "windows"}, None, "windows"),
    "Windows": ({"os": "Windows "}, None, "windows"),
    "the config before the index": ({"os": "freebsd"}, AMD64, "freebsd"),
    "the index where the config is silent": ({"os": ""}, WINDOWS, "windows"),
    "an index that knows nothing": ({}, Platform("unknown", "amd64"), None),
    "another name": ({"os": "macos"}, None, "darwin"),
    "no text": ({"os": 7}, None, "7"),
    "a version, which only Windows has": ({"os.version": "10.0.20348.2227"}, AMD64, "windows"),
    "features, which only Windows has": ({"os": "", "os.features": ["win32k"]}, None, "windows"),
    "empty features": ({"os.features": [], "os.version": ""}, None, None),
    "linux with a version": ({"os": "linux", "os.version": "6.1"}, None, None),
}


@pytest.mark.parametrize(("config", "stated", "system"), SYSTEMS.values(), ids=SYSTEMS)
def test_the_systems_whose_layers_are_never_merged(
    config: dict[str, object], stated: Platform | None, system: str | None
) -> None:
    assert other_system(config, stated) == system


@pytest.mark.parametrize(
    ("config", "stated", "system"),
    [({}, None, "windows"), ({"os": "linux"}, None, None), ({}, AMD64, None)],
    ids=["nothing else tells", "the config tells", "the index tells"],
)
def test_foreign_layers_are_those_of_windows(
    config: dict[str, object], stated: Platform | None, system: str | None
) -> None:
    types = [mediatypes.DOCKER_FOREIGN_LAYER, mediatypes.DOCKER_LAYER_GZIP]
    assert other_system(config, stated, types) == system


def test_what_a_config_leaves_out_its_index_tells() -> None:
    stated = Platform("windows", "arm64", "v8")
    assert platform_of({}, stated) == Platform("windows", "arm64")
    assert platform_of({"os": "linux", "variant": "v9"}, stated) == Platform("linux", "arm64", "v9")
    assert platform_of({"architecture": "amd64", "os.version": "10.0.1"}) == WINDOWS
