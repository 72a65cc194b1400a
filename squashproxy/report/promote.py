"""The report of a promotion, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from squashproxy.cleanup.results import StepOutcome
from squashproxy.pipeline.mode import Mode
from squashproxy.promotion.results import ImageOutcome, ImageResult, PromoteResult
from squashproxy.report.distinct import APART, PRUNED, distinct_text
from squashproxy.report.screen import Screen, Table
from squashproxy.report.signing import signing_text
from squashproxy.report.sizes import UNIT_NOTE, count_text, size_text

_OUTCOMES = (
    ImageOutcome.COPY,
    ImageOutcome.COPIED,
    ImageOutcome.CURRENT,
    ImageOutcome.KEPT,
    ImageOutcome.REFUSED,
    ImageOutcome.FAILED,
)


def show_promotion(screen: Screen, result: PromoteResult) -> None:
    """Write each image that is not up to date, and a summary."""
    told = [image for image in result.images if image.outcome != ImageOutcome.CURRENT]
    if told:
        table = Table(("source", "target", "outcome", "before", "after"), left=3, names=2)
        for image in told:
            sizes = ("", "")
            if image.outcome == ImageOutcome.COPIED:
                sizes = size_text(image.compressed_before), size_text(image.compressed_after)
            table.add_row(image.source, image.target, _done(image), *sizes)
        screen.show(table)
    lines = list(_remarks(result))
    for line in lines:
        screen.line(f"  {line}")
    if told or lines:
        screen.line()
    counts = [f"{result.count(word):,} {_word(word)}" for word in _OUTCOMES if result.count(word)]
    screen.fact("images", ", ".join(counts) or "none")
    if result.saved_bytes:
        screen.fact("saved", f"{size_text(result.saved_bytes)}, summed over images; {UNIT_NOTE}")
    if result.distinct_images:
        screen.fact("in target", _in_target(result))
    _show_signing(screen, result)
    if result.log is not None:
        screen.fact("log", result.log)
    ending = "nothing was moved" if result.dry_run else f"{result.seconds:.1f} s"
    screen.fact("took", ending)


def _show_signing(screen: Screen, result: PromoteResult) -> None:
    """Who signed the sources, what would be signed, and what was."""
    signers = Counter(
        key for image in result.images for key in {signed.key for signed in image.signed_by}
    )
    for key, count in signers.items():
        screen.fact("signed by", f"{key}: {count_text(count, 'image')}")
    planned = Counter(image.to_sign for image in result.images if image.to_sign is not None)
    for to_sign, count in planned.items():
        screen.fact("to sign", f"{count_text(count, 'image')} {signing_text(to_sign)}")
    made = sum(one.is_new for image in result.images for one in image.signatures)
    if made:
        screen.fact("signed", count_text(made, "new signature"))


def _in_target(result: PromoteResult) -> str:
    is_squashed = any(image.mode is Mode.SQUASH for image in result.images)
    advice = APART if is_squashed else PRUNED
    text = distinct_text(result.distinct_before, result.distinct_after, advice)
    present = result.count(ImageOutcome.COPIED) + result.count(ImageOutcome.CURRENT)
    unknown = present - result.distinct_images
    if not unknown:
        return text
    return f"{text}; without {count_text(unknown, 'image')} whose layers are not on record"


def _remarks(result: PromoteResult) -> Iterator[str]:
    for image in result.images:
        for sentence in (image.error, *image.warnings):
            if sentence is not None:
                yield f"{image.target}: {sentence}"
    yield from result.problems
    for each in result.mirrored:
        yield f"{each.repository}: deleted {each.count(StepOutcome.DELETED)}, as the source did"
        if each.problem is not None:
            yield f"{each.repository} stopped: {each.problem}"


def image_line(image: ImageResult) -> str:
    """A log line for one image."""
    line = f"{image.source} to {image.target}: {_word(image.outcome)}"
    if image.outcome == ImageOutcome.COPIED:
        line += f", {_gain(image)}, {image.seconds:.1f} s"
    return line if image.error is None else f"{line}: {image.error}"


def _done(image: ImageResult) -> str:
    """The outcome, and whether no byte changed."""
    is_exact = image.outcome == ImageOutcome.COPIED and image.mode is Mode.COPY
    return "copied as it is" if is_exact else image.outcome.value


def _gain(image: ImageResult) -> str:
    """What the copy of an image brought: what was saved or, where no byte changed, moved."""
    if image.mode is not Mode.COPY:
        return f"saved {size_text(max(0, image.compressed_before - image.compressed_after))}"
    moved = f"uploaded {size_text(image.uploaded_bytes)}"
    if not image.referrers:
        return moved
    return f"{moved}, with {count_text(image.referrers, 'referrer')}"


def _word(outcome: ImageOutcome) -> str:
    words = {ImageOutcome.CURRENT: "up to date", ImageOutcome.COPY: "to copy"}
    return words.get(outcome, outcome.value)
