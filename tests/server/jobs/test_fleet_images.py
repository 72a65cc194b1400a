"""The list of images that workers squashed: read as it grows, however it is cut."""

from __future__ import annotations

import pytest

from squashproxy.digest import digest_of
from squashproxy.server.jobs.fleet_images import MOST, ImageLog, ImageNews
from squashproxy.server.store.base import SquashRecord
from tests.server.scripted_fleet import ScriptedJournal


def record_of(number: int) -> SquashRecord:
    digest = digest_of(str(number).encode())
    return SquashRecord(str(number), digest, digest, float(number), 1.0, (), 3, 1, 9, 8, 7)


@pytest.mark.parametrize("step", [1, 7, 29, 30, 31, MOST - 1, MOST])
def test_each_image_is_told_once(step: int) -> None:
    journal, told = ScriptedJournal(), list[str]()
    log, news = ImageLog(journal), ImageNews(journal, lambda record: told.append(record.image))
    for number in range(2500):
        log.add(record_of(number))
        if number % step == 0:
            news.look()
    news.look()
    assert told == [str(number) for number in range(2500)]
    assert len(journal.entries) == MOST


def test_of_many_at_once_the_latest_are_told() -> None:
    journal, told = ScriptedJournal(), list[str]()
    log, news = ImageLog(journal), ImageNews(journal, lambda record: told.append(record.image))
    for number in range(2500):
        log.add(record_of(number))
    news.look()
    assert told == [str(number) for number in range(2500 - MOST, 2500)]


def test_an_empty_list_and_one_that_was_lost() -> None:
    journal, told = ScriptedJournal(), list[str]()
    news = ImageNews(journal, lambda record: told.append(record.image))
    news.look()
    ImageLog(journal).add(record_of(1))
    news.look()
    journal.entries.clear()
    news.look()
    ImageLog(journal).add(record_of(2))
    news.look()
    assert told == ["1", "2"]


def test_an_entry_that_is_none_is_skipped() -> None:
    journal, told = ScriptedJournal([{"x": 1}, [], 7]), list[str]()
    news = ImageNews(journal, lambda record: told.append(record.image))
    ImageLog(journal).add(record_of(1))
    news.look()
    assert told == ["1"]


def test_a_list_that_cannot_be_written_fails_no_job() -> None:
    ImageLog(ScriptedJournal(is_away=True)).add(record_of(1))
