"""Events tell the story on the objects: each thing once, in the API's own shape, and never in the way of the work."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cleanhours_plugins.clusters.kubernetes.announcing import (
    Announcement,
    Announcer,
    What,
    event_of,
    shortened,
)
from tests.unit.plugins.clusters.kubernetes.made import a_job, record_of
from tests.unit.plugins.clusters.kubernetes.servers import RESET, Answer, Server

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
TRAIN = record_of(a_job())


def notes(server: Server) -> list[tuple[str, str]]:
    return [(one.body["reason"], one.body["note"]) for one in server.asked if one.method == "POST"]


def test_an_event_has_six_digits_and_regards_its_object() -> None:
    event = event_of(Announcement(TRAIN, What.PLANNED, "why", NOW), "1f", "me")
    assert "2026-03-02T08:00:00.000000Z" == event["eventTime"]
    assert ("Job", "train", "u-1") == tuple(event["regarding"][key] for key in ("kind", "name", "uid"))
    assert ("train.1f", "Normal") == (event["metadata"]["name"], event["type"])


@pytest.mark.parametrize("what", [What.INVALID_REQUEST, What.NOT_HELD, What.NOT_MOVED])
def test_what_an_owner_must_see_is_a_warning(what: What) -> None:
    assert "Warning" == event_of(Announcement(TRAIN, what, "", NOW), "1", "me")["type"]


@pytest.mark.parametrize("note", ["short", "x" * 1024, "ä" * 2000])
def test_a_note_fits_and_is_cut_between_characters(note: str) -> None:
    found = shortened(note)
    assert len(found.encode()) <= 1024
    assert found == note or found.endswith("ä…")


def test_the_same_is_not_said_twice(tmp_path: Path) -> None:
    with Server() as server:
        announcer = Announcer(server.api(tmp_path))
        for note in ("a", "a", "b"):
            announcer.say(TRAIN, What.RELEASED, note, NOW)
        announcer.wait(5)
        assert [("Released", "a"), ("Released", "b")] == notes(server)


def test_that_nobody_held_it_is_said_once_and_of_wrong_words_each_other_fault(tmp_path: Path) -> None:
    with Server() as server:
        announcer = Announcer(server.api(tmp_path))
        for note in ("a", "b", "b"):
            announcer.say(TRAIN, What.NOT_HELD, note, NOW)
            announcer.say(TRAIN, What.INVALID_REQUEST, note, NOW)
        announcer.wait(5)
        assert [("NotHeld", "a"), ("InvalidRequest", "a"), ("InvalidRequest", "b")] == notes(server)


def test_one_that_fails_is_counted_and_the_next_is_posted(tmp_path: Path) -> None:
    counted: list[str] = []
    with Server() as server:
        server.script += [RESET, Answer(403, {"message": "no"})]
        announcer = Announcer(server.api(tmp_path), count=counted.append)
        for note in "abc":
            announcer.say(TRAIN, What.RELEASED, note, NOW)
        announcer.wait(5)
        assert ["failed", "failed"] == counted
        assert ("Released", "c") == notes(server)[-1]


def test_who_does_not_lead_posts_nothing(tmp_path: Path) -> None:
    with Server() as server:
        announcer = Announcer(server.api(tmp_path).through(fence=lambda: False))
        announcer.say(TRAIN, What.RELEASED, "a", NOW)
        announcer.wait(5)
        assert [] == server.asked
