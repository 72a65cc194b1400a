"""A promotion as JUnit XML, which CI systems show: a test case for each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from squashproxy.atomic_file import write_whole
from squashproxy.errors import UsageError, advice_of, reason_of
from squashproxy.printable import printable
from squashproxy.promotion.results import ImageOutcome, ImageResult, PromoteResult


def write_junit(result: PromoteResult, path: Path) -> None:
    """Write the file. Raises UsageError where it cannot be written."""
    suites = Element("testsuites", name="squashproxy promote")
    for rule in dict.fromkeys(image.rule for image in result.images):
        images = [image for image in result.images if image.rule == rule]
        bad = [
            image
            for image in images
            if image.outcome in (ImageOutcome.FAILED, ImageOutcome.REFUSED)
        ]
        skipped = [
            image
            for image in images
            if image.outcome in (ImageOutcome.CURRENT, ImageOutcome.KEPT, ImageOutcome.COPY)
        ]
        suite = SubElement(
            suites,
            "testsuite",
            name=rule,
            tests=str(len(images)),
            failures=str(len(bad)),
            skipped=str(len(skipped)),
            time=f"{sum(image.seconds for image in images):.3f}",
        )
        for image in images:
            _add_case(suite, image)
    _add_problems(suites, result.problems)
    indent(suites)
    try:
        write_whole(path, tostring(suites, "utf-8", xml_declaration=True).decode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {reason_of(error)}",
            advice=advice_of(error, "name another file"),
        ) from error


def _add_problems(suites: Element, problems: Sequence[str]) -> None:
    """Add a failed case for each rule, repository or image that could not be read."""
    if not problems:
        return
    count = str(len(problems))
    suite = SubElement(suites, "testsuite", name="problems", tests=count, failures=count)
    for number, problem in enumerate(problems, 1):
        case = SubElement(suite, "testcase", name=f"problem {number}", classname="problems")
        SubElement(case, "failure", message=printable(problem))


def _add_case(suite: Element, image: ImageResult) -> None:
    case = SubElement(
        suite, "testcase", name=image.target, classname=image.rule, time=f"{image.seconds:.3f}"
    )
    if image.outcome in (ImageOutcome.FAILED, ImageOutcome.REFUSED):
        SubElement(case, "failure", message=printable(image.error or image.outcome))
    elif image.outcome != ImageOutcome.COPIED:
        SubElement(case, "skipped", message=image.outcome)
