"""Checking that options, source and target fit together, and the result to those who run it."""

from __future__ import annotations

from squashproxy.errors import FormatError, LimitExceeded, NoSuchPlatform, UsageError
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import ImageManifest
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import PlatformCopy, PlatformPlan
from squashproxy.progress import Observer
from squashproxy.squash.split import MOST_LAYERS
from squashproxy.transports.base import ImageSink, ImageSource, ReferrerSink, ReferrerSource

_MOST_MOUNTED = 500
"""The most layers that overlayfs stacks (OVL_MAX_STACK in fs/overlayfs/params.h). Older mounts, and
so most runtimes, stop at MOST_LAYERS, since they name all layers in one page of options.
"""


def check_options(options: CopyOptions) -> None:
    """Raise UsageError for options that do not fit each other."""
    if options.max_layer_size is not None and options.mode is not Mode.SQUASH:
        raise UsageError(
            f"only a squashed layer is cut into several, and with mode {options.mode.value} there "
            "is none",
            advice="leave {max-layer-size} out, or squash",
        )


def check_fit(sink: ImageSink, options: CopyOptions) -> None:
    """Raise UsageError for options that the target, or the mode, cannot honour."""
    _check_mode(sink, options)
    if options.base_repos and sink.repository is None:
        raise UsageError(
            f"base repositories belong to the target's registry, and {sink.name} is in none",
            advice="leave {base-repo} out, or name the base with {base}",
        )
    if options.verify and not sink.traits.readable:
        raise UsageError(
            f"a result is read before it is published to verify it, and {sink.name} cannot be read",
            advice="write to a file, and pass that on",
        )
    if options.provenance and sink.repository is None and options.known_as is None:
        raise UsageError(
            f"provenance is pushed beside the image, and {sink.name} is in no registry",
            advice="leave {provenance} out",
        )
    holds_signatures = isinstance(sink, ReferrerSink) and sink.traits.keeps_digests
    if options.signing is not None and not holds_signatures:
        raise UsageError(
            f"a signature stands beside the image that it signs, and {sink.name} holds none",
            advice="copy to a registry, to oci:DIR or to oci-archive:FILE, or leave {sign} out",
        )
    if options.backup is not None and sink.tag is None:
        raise UsageError(
            f"a backup keeps what a tag pointed to, but {sink.name} names none",
            advice=f"name the image by writing {sink.name}:TAG",
        )
    if options.backup is not None and not sink.traits.keeps_others:
        raise UsageError(
            f"a backup stands beside the new image, but {sink.name} is a file that holds one",
            advice="copy the file instead",
        )


def check_source(source: ImageSource, options: CopyOptions) -> None:
    """Raise UsageError where a source cannot hold the signatures or referrers asked for."""
    if options.required_keys and not isinstance(source, ReferrerSource):
        raise UsageError(
            f"{source.name} holds no signatures, so that none can be checked",
            advice="copy from a registry, from oci:DIR or from oci-archive:FILE",
        )
    if options.referrers and not isinstance(source, ReferrerSource):
        raise UsageError(
            f"{source.name} holds no signatures and nothing else that refers to its images",
            advice="leave {referrers} out",
        )


def _check_mode(sink: ImageSink, options: CopyOptions) -> None:
    if options.mode is not Mode.COPY:
        if options.referrers:
            raise UsageError(
                "signatures and other referrers speak of the digest that an image has, and a "
                f"{options.mode.value} gives it another one",
                advice="leave {referrers} out, or keep the digest with {mode} copy",
            )
        return
    if not sink.traits.keeps_digests:
        raise UsageError(
            f"{sink.name}: an archive of docker save keeps neither digests nor referrers",
            advice="copy to a registry, to oci:DIR or to oci-archive:FILE",
        )
    if len(options.platforms) > 1:
        raise UsageError(
            f"an index with only {', '.join(map(str, options.platforms))} would be another index "
            "with another digest",
            advice="name one {platform}, or none to copy all",
        )
    if options.provenance:
        raise UsageError(
            "provenance tells how an image was made, and a copy of the same bytes makes none",
            advice="leave {provenance} out",
        )


def check_holds(sink: ImageSink, what: str) -> None:
    """Raise FormatError where the sink takes nothing but images; `what` is none, and says so."""
    if not sink.traits.keeps_digests:
        raise FormatError(
            f"{what}, and {sink.name} takes nothing but images",
            advice="copy it to a registry, to oci:DIR or to oci-archive:FILE",
        )


def check_depth(layers: int, platform: str) -> None:
    """Raise LimitExceeded for a result with more layers than any kernel mounts."""
    if layers > _MOST_MOUNTED:
        raise LimitExceeded(
            f"the result for {platform} would have {layers} layers, and no kernel mounts more than "
            f"{_MOST_MOUNTED}; nothing was pushed",
            advice="squash it, and keep fewer layers with {base}",
        )


def warn_of_depth(result: PlatformCopy | PlatformPlan, observer: Observer) -> None:
    """Warn about an image with more layers than runtimes mount, as the source may have them.

    Raises LimitExceeded for more than any kernel mounts.
    """
    check_depth(result.layers_after, result.platform)
    if result.layers_after > MOST_LAYERS:
        observer.warn(
            f"the result for {result.platform} has {result.layers_after} layers, and runtimes take "
            f"{MOST_LAYERS}; squash it, and keep fewer as base"
        )


def warn_of_fit(sink: ImageSink, observer: Observer) -> None:
    """Warn about combinations that work but look unintended."""
    if sink.traits.wants_name and sink.tag is None:
        observer.warn(
            f"{sink.name} gives the image no name, so docker load will show its ID alone; write "
            f"{sink.name}:NAME:TAG to give it one"
        )


def unsquashable(manifest: ImageManifest) -> str | None:
    """Why the layers of a manifest cannot be squashed; None where they can."""
    if not manifest.is_image:
        return f"is no container image but an artifact of the type {manifest.kind!r}"
    for layer in manifest.layers:
        if mediatypes.is_encrypted(layer.media_type):
            return "has encrypted layers"
        if not mediatypes.is_layer(layer.media_type) and not mediatypes.is_foreign(
            layer.media_type
        ):
            return f"has a layer of the type {layer.media_type!r}"
    return None


def check_platform(image: Image, options: CopyOptions) -> None:
    """Raise NoSuchPlatform where the image is for none of the platforms asked for.

    Where its index states one, it was chosen by that: configs leave out variants.
    """
    wanted = options.platforms
    if (
        wanted
        and image.listed.platform is None
        and not any(image.platform.matches(platform) for platform in wanted)
    ):
        asked = ", ".join(map(str, wanted))
        raise NoSuchPlatform(
            f"{image.name} is for {image.platform}, not for {asked}",
            advice="leave {platform} out or ask for what there is",
        )
