"""`copy --mode copy` between real registries, beside skopeo's copy of the same image."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from squashproxy.cli.main import run as squashproxy
from squashproxy.digest import Digest
from squashproxy.oci.mediatypes import Family
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.referrers import fallback_tag
from squashproxy.testing import BuiltIndex, index_of
from tests.pipeline.images import ARM64, app
from tests.real.judges import run
from tests.real.programs import find_program
from tests.real.pushing import PushToRegistry
from tests.real.registries import RealRegistry, run_referrers
from tests.real.test_cleanup_real import told
from tests.real.test_referrers import sign

pytestmark = pytest.mark.real

SKOPEO = ("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests")
PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient(environ={}) as client:
        yield client


@pytest.fixture
def other_make(tmp_path: Path, programs: Path) -> Iterator[RealRegistry]:
    """A registry with the referrers API, which Debian's has not."""
    program = find_program("referrers", programs)
    with run_referrers(tmp_path / "registry", program) as started:
        yield started


def index(family: Family) -> BuiltIndex:
    images = [app(family), app(family, platform=ARM64)]
    return index_of(images, family, attestations=family is Family.OCI)


def raw_of(place: str) -> str:
    """The manifest that a place holds, as skopeo reads it."""
    access = ["--tls-verify=false"] if place.startswith("docker:") else []
    return run(["skopeo", "inspect", "--raw", *access, place])


@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
def test_the_copy_is_what_skopeo_makes_of_it(
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    client: RegistryClient,
    family: Family,
) -> None:
    repo = f"exact-{family.value}"
    digest = index(family).push(PushToRegistry(source_registry), repo, "1")
    source = f"{source_registry.host}/{repo}:1"
    ours, theirs = (f"{target_registry.host}/{who}-{repo}:1" for who in ("ours", "theirs"))
    assert squashproxy(("copy", "-q", "--mode", "copy", source, ours)) == 0
    run([*SKOPEO, *PLAIN, f"docker://{source}", f"docker://{theirs}"])
    assert raw_of(f"docker://{ours}") == raw_of(f"docker://{theirs}")
    for who in ("ours", "theirs"):
        remote = client.repository(Repository(target_registry.host, f"{who}-{repo}"))
        found = remote.find_manifest("1")
        assert found is not None
        assert found.digest == digest
    back = f"{source_registry.host}/back-{repo}:1"
    run([*SKOPEO, *PLAIN, f"docker://{ours}", f"docker://{back}"])


def test_skopeo_reads_the_layout_of_an_index(
    source_registry: RealRegistry, target_registry: RealRegistry, tmp_path: Path
) -> None:
    index(Family.OCI).push(PushToRegistry(source_registry), "exact-layout", "1")
    source = f"{source_registry.host}/exact-layout:1"
    for place in (f"oci:{tmp_path}/layout:1", f"oci-archive:{tmp_path}/archive.tar:1"):
        assert squashproxy(("copy", "-q", "--mode", "copy", source, place)) == 0
        assert raw_of(place) == raw_of(f"docker://{source}")
        target = f"docker://{target_registry.host}/from-{place.partition(':')[0]}:1"
        run([*SKOPEO, *PLAIN, place, target])
        assert raw_of(target) == raw_of(f"docker://{source}")


THROUGH = {"straight": "", "layout": "oci:{}:1", "archive": "oci-archive:{}.tar:1"}


@pytest.mark.parametrize("way", THROUGH)
def test_signatures_cross_from_a_registry_with_lists_to_one_without_and_back(
    source_registry: RealRegistry,
    other_make: RealRegistry,
    client: RegistryClient,
    tmp_path: Path,
    way: str,
) -> None:
    start = client.repository(Repository(other_make.host, f"signed-{way}"))
    digest = index(Family.OCI).push(PushToRegistry(other_make), start.name.path, "1")
    signature = sign(start, digest)
    second = sign(start, signature)
    debian = client.repository(Repository(source_registry.host, start.name.path))
    back = client.repository(Repository(other_make.host, f"back-{way}"))
    for number, (before, after) in enumerate(((start, debian), (debian, back))):
        between = THROUGH[way].format(tmp_path / str(number))
        places = [place for place in (f"{before.name}:1", between, f"{after.name}:1") if place]
        for step in pairwise(places):
            assert squashproxy(("copy", "-q", "--mode", "copy", "--referrers", *step)) == 0
        assert referrers_of(after, digest) == {signature}
        assert referrers_of(after, signature) == {second}
    assert debian.find_manifest(fallback_tag(digest)) is not None


def referrers_of(remote: RemoteRepository, digest: Digest) -> set[Digest]:
    listed = remote.list_referrers(digest)
    found = remote.list_referrers_by_tag(digest) if listed is None else listed
    return {each.digest for each in found}


def test_a_second_copy_with_signatures_is_up_to_date(
    source_registry: RealRegistry,
    other_make: RealRegistry,
    client: RegistryClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digest = index(Family.OCI).push(PushToRegistry(other_make), "again", "1")
    sign(client.repository(Repository(other_make.host, "again")), digest)
    names = (f"{other_make.host}/again:1", f"{source_registry.host}/again:1")
    arguments = ("copy", "--json", "--mode", "copy", "--referrers", *names)
    assert told(capsys, *arguments)[1]["referrers"] != []
    assert told(capsys, *arguments)[1]["skipped"]
