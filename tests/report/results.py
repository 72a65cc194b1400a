"""Made-up results to render: the figures mean nothing, the shapes are real."""

from __future__ import annotations

from dataclasses import replace

from squashproxy.pipeline.results import (
    CopyResult,
    HiddenFile,
    HiddenFolder,
    LayerPlan,
    LayerRole,
    PlanResult,
    PlatformCopy,
    PlatformPlan,
    Suspect,
)
from squashproxy.squash.secret_patterns import SuspectKind

DIGEST = "sha256:" + "ab" * 32
SOURCE_DIGEST = "sha256:" + "cd" * 32

PLATFORM = PlatformCopy(
    platform="linux/amd64",
    source_digest=SOURCE_DIGEST,
    digest=DIGEST,
    layers_before=12,
    layers_after=2,
    base_layers=1,
    compressed_before=554_000_000,
    compressed_after=301_000_000,
    unpacked_before=1_280_000_000,
    unpacked_after=700_000_000,
    hidden_bytes=580_000_000,
    uploaded_bytes=250_000_000,
    reused_bytes=51_000_000,
    mounted_blobs=1,
    spliced_bytes=0,
    reencoded_bytes=250_000_000,
    fallbacks=0,
)

COPY = CopyResult(
    source="registry.dev.example.com/apps/web:1.4",
    source_digest=SOURCE_DIGEST,
    target="registry.example.com/apps/web:1.4",
    digest=DIGEST,
    skipped=False,
    warnings=(),
    seconds=6.54,
    platforms=(PLATFORM,),
)

SKIPPED = replace(COPY, skipped=True, platforms=(), seconds=0.04)

BASE_LAYER = LayerPlan(
    digest=DIGEST,
    media_type="application/vnd.oci.image.layer.v1.tar+gzip",
    role=LayerRole.BASE,
    created_by="/bin/sh -c #(nop) ADD file:0123 in / ",
    compressed=51_000_000,
    unpacked=120_000_000,
    entries=6_300,
    hidden_bytes=20_000_000,
    hidden_entries=410,
    in_target=False,
    mountable_from="base/debian",
)

UPPER_LAYER = replace(
    BASE_LAYER,
    role=LayerRole.SQUASHED,
    created_by="RUN /bin/sh -c apt-get update && apt-get install -y [lots] and a great deal more",
    compressed=503_000_000,
    unpacked=1_280_000_000,
    entries=18_331,
    hidden_bytes=580_000_000,
    hidden_entries=9_000,
    mountable_from=None,
)

PLAN = PlanResult(
    source="registry.dev.example.com/apps/web:1.4",
    source_digest=SOURCE_DIGEST,
    target="registry.example.com/apps/web:1.4",
    up_to_date=False,
    warnings=(),
    platforms=(
        PlatformPlan(
            platform="linux/amd64",
            source_digest=SOURCE_DIGEST,
            base_layers=1,
            base_reason="the first layer",
            layers_before=2,
            layers_after=2,
            compressed_before=554_000_000,
            compressed_after=300_000_000,
            estimated_after=301_000_000,
            unpacked_before=1_280_000_000,
            unpacked_after=700_000_000,
            hidden_bytes=580_000_000,
            total_unpacked=1_400_000_000,
            total_hidden=600_000_000,
            efficiency=1 - 600 / 1_400,
            reused_bytes=0,
            mountable_bytes=51_000_000,
            upload_bytes=250_000_000,
            layers=(BASE_LAYER, UPPER_LAYER),
            largest_hidden=(
                HiddenFile("var/cache/apt/pkgcache.bin", 48_000_000, 1, 2),
                HiddenFile("tmp/evil\x1b[2J[name]", 12, 1, 2),
            ),
            hidden_folders=(
                HiddenFolder("var/cache/apt", 500_000_000, 70),
                HiddenFolder("/", 90_000_000, 8_000),
            ),
            suspects=(
                Suspect("ssh-key", SuspectKind.SECRET, "root/.ssh/id_rsa", 2_602, 1, 1, 2),
                Suspect("dotenv", SuspectKind.SECRET, "srv/\x1b[2J/.env", 120, 1, 0, 1),
                Suspect("apt-cache", SuspectKind.CACHE, "var/cache/apt", 500_000_000, 70, 1, 2),
            ),
            secrets=2,
            fallbacks=0,
        ),
    ),
)

KNOWN = replace(
    PLAN,
    platforms=(
        replace(
            PLAN.platforms[0],
            layers=(
                BASE_LAYER,
                replace(UPPER_LAYER, role=LayerRole.PRUNED, compressed_after=249_000_000),
            ),
            estimated=True,
        ),
    ),
)
"""The same to be pruned, of layers that were known and not read."""
