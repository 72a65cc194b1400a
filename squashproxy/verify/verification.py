"""Verification: both images unpacked, platform by platform, and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from squashproxy.cancellation import Cancellation
from squashproxy.limits import Limits
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.oci.platform import Platform
from squashproxy.progress import Observer, RecordingObserver
from squashproxy.transports.base import ImageReader, warn_of_absence
from squashproxy.transports.documents import short
from squashproxy.verify.compare import Comparison, compare
from squashproxy.verify.compare_layers import compare_blobs, compare_layers, unread
from squashproxy.verify.images import PlatformImage, read_images
from squashproxy.verify.layers import ImageLayer
from squashproxy.verify.pair import ImagePair, pair_images
from squashproxy.verify.results import Difference, LayersVerify, PlatformVerify, VerifyResult
from squashproxy.verify.tree import Tree


def verify_images(
    a: ImageReader,
    b: ImageReader,
    *,
    platforms: Sequence[Platform] = (),
    observer: Observer,
    clock: Callable[[], float],
    cancellation: Cancellation | None = None,
    limits: Limits | None = None,
) -> VerifyResult:
    """Compare what `a` and `b` unpack to, on every platform or on those of `platforms`.

    `clock` gives seconds, for the report only; `cancellation` is asked between chunks. Each image
    is unpacked within `limits`, by default the usual ones; both trees are in memory together.
    Raises SquashproxyError where an image cannot be read: NotFound, IntegrityError, FormatError,
    NoSuchPlatform, LimitExceeded and others; and Cancelled.
    """
    started = clock()
    watcher = RecordingObserver(observer)
    for side in (a, b):
        warn_of_absence(side, watcher)
    ours, theirs = read_images(a, platforms), read_images(b, platforms)
    asked = cancellation or Cancellation()
    pairs = pair_images(ours, theirs, platforms)
    compared = tuple(_verify(pair, watcher, asked, limits or Limits()) for pair in pairs)
    return VerifyResult(
        a=ours.name,
        a_digest=ours.digest,
        b=theirs.name,
        b_digest=theirs.digest,
        identical=not any(platform.differences for platform in compared),
        seconds=round(clock() - started, 3),
        warnings=watcher.warnings,
        platforms=compared,
    )


def _verify(
    pair: ImagePair, observer: Observer, cancellation: Cancellation, limits: Limits
) -> PlatformVerify:
    comparison = Comparison(0, ())
    if pair.a is not None and pair.b is not None:
        comparison = _compare_pair(pair.a, pair.b, observer, cancellation, limits)
    differences = comparison.differences
    if not pair.is_of_one_platform:
        said = Difference("", "platform", _platform_text(pair.a), _platform_text(pair.b))
        differences = (said, *differences)
    verified = PlatformVerify(
        platform=str(pair.platform),
        a_digest=pair.a.digest if pair.a else None,
        b_digest=pair.b.digest if pair.b else None,
        paths=comparison.paths,
        differences_count=len(differences),
        differences=differences,
    )
    if comparison.layers is None:
        return verified
    return LayersVerify(
        verified.platform,
        verified.a_digest,
        verified.b_digest,
        verified.paths,
        verified.differences_count,
        verified.differences,
        comparison.layers,
    )


def _compare_pair(
    a: PlatformImage,
    b: PlatformImage,
    observer: Observer,
    cancellation: Cancellation,
    limits: Limits,
) -> Comparison:
    """Compare the trees of two images; where nobody can unpack them, their blobs."""
    blobs = a.blobs()
    if blobs is not None and blobs == b.blobs():
        observer.warn(
            f"{short(a.digest)} of {a.source.name} holds no layers that can be unpacked; its blobs "
            "were compared"
        )
        return compare_blobs((a.source, b.source), blobs, observer, cancellation)
    one, other = a.read(limits), b.read(limits)
    one.spent.compare_with(other.spent)
    is_merged = not (one.other_system or other.other_system)
    compare_them = _compare if is_merged else compare_layers
    return compare_them(one.layers, other.layers, observer, cancellation)


def _platform_text(image: PlatformImage | None) -> str:
    return str(image.platform) if image else "absent"


def _compare(
    ours: Sequence[ImageLayer],
    theirs: Sequence[ImageLayer],
    observer: Observer,
    cancellation: Cancellation,
) -> Comparison:
    """Unpack and compare. The leading layers that both images share are unpacked once, from A.

    Shared layers have the same blob. The same diff ID is not enough: it is a claim that only
    reading the blob proves. That B stores the same bytes is a claim, too, so its blobs are read as
    well. The tree of the shared layers is copied; the copy shares its inodes.
    """
    common = _count_common(ours, theirs)
    tree = Tree()
    for layer, other_layer in zip(ours[:common], theirs, strict=False):
        if is_foreign(layer.descriptor.media_type):
            observer.warn(f"{unread(layer)}; both images have it, and it was not read")
        else:
            layer.apply_to(tree, observer, cancellation)
            other_layer.check(observer, cancellation)
    other = tree.copy()
    for layer in ours[common:]:
        layer.spent.memory = other.memory
        layer.apply_to(tree, observer, cancellation)
    for layer in theirs[common:]:
        layer.spent.memory = tree.memory
        layer.apply_to(other, observer, cancellation)
    tree.require_whole()
    other.require_whole()
    return compare(tree, other)


def _count_common(ours: Sequence[ImageLayer], theirs: Sequence[ImageLayer]) -> int:
    """The number of leading layers that have the same blob and diff ID in both."""
    count = 0
    for one, other in zip(ours, theirs, strict=False):
        if (one.descriptor.digest, one.diff_id) != (other.descriptor.digest, other.diff_id):
            break
        count += 1
    return count
