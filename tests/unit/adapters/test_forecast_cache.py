"""The cache: one question per refresh, memory over restarts, and honesty when a provider fails."""

from __future__ import annotations

import json
import logging
import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from cleanhours.adapters.forecast_cache import Cached, packed, unpacked
from cleanhours.domain.errors import ConfigurationError, SeriesError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope, Signal
from cleanhours.testing.clocks import MONDAY, FakeClock
from cleanhours.testing.forecast_sources import FakeForecastSource

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Room:
    """A source, a clock and a folder; `open` is a restart."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(MONDAY)
        self.folder = folder
        values = (np.arange(96) % 37 + 0.25).astype(np.float64)
        starts = int(MONDAY.timestamp()) + 3600 * np.arange(96, dtype=np.int64)
        self.series = IntensitySeries.of(
            "GB", starts, values, step=HOUR, measure=Measure(Signal.AVERAGE, Scope.DIRECT), provider="fake"
        )
        self.source = FakeForecastSource({"GB": self.series}, self.clock)

    def open(self) -> Cached:
        return Cached(self.source, self.folder, self.clock)

    def file(self) -> Path:
        (path,) = self.folder.iterdir()
        return path


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "cache")


def ask(cache: Cached, room: Room, length: timedelta = timedelta(hours=24)) -> IntensitySeries:
    now = room.clock.now()
    return cache.forecast("GB", now, now + length)


def test_while_fresh_the_provider_is_not_asked_again_though_the_window_slides(room: Room) -> None:
    cache = room.open()

    for _ in range(31):
        series = ask(cache, room)
        assert series.covers(room.clock.now(), room.clock.now() + timedelta(hours=24))
        room.clock.advance(MINUTE)

    assert 1 == len(room.source.asked)
    ask(cache, room)
    assert 2 == len(room.source.asked)


def test_a_longer_question_is_asked(room: Room) -> None:
    cache = room.open()
    ask(cache, room)

    assert MONDAY + timedelta(hours=48) == ask(cache, room, timedelta(hours=48)).end
    assert 2 == len(room.source.asked)


def test_what_was_said_survives_a_restart_to_the_last_digit(room: Room) -> None:
    said = ask(room.open(), room)
    room.clock.advance(10 * MINUTE)
    room.source.error = TemporaryError("down")

    again = room.open().forecast("GB", MONDAY, MONDAY + timedelta(hours=24))

    assert (said.micrograms.tolist(), said.borders.tolist()) == (
        again.micrograms.tolist(),
        again.borders.tolist(),
    )
    assert (said.measure, said.provider, said.known_as) == (again.measure, again.provider, again.known_as)


def test_the_file_and_its_folder_are_private(room: Room) -> None:
    old = os.umask(0)
    try:
        ask(room.open(), room)
    finally:
        os.umask(old)

    assert 0o700 == room.folder.stat().st_mode & 0o777
    assert 0o600 == room.file().stat().st_mode & 0o777


@pytest.mark.parametrize(
    "error", [TemporaryError("down"), SeriesError("HTML"), ConfigurationError("key expired")]
)
def test_a_failing_provider_is_outlived_for_six_hours_and_it_is_said(room: Room, error: Exception) -> None:
    cache = room.open()
    ask(cache, room)
    room.source.error = error
    room.clock.advance(6 * HOUR)

    series = ask(cache, room, HOUR)

    assert room.series.at(room.clock.now()) == series.at(room.clock.now())
    assert [f"fake fails ({error}): this is what it said 6h ago"] == list(series.notes)
    room.clock.advance(MINUTE)
    with pytest.raises(type(error), match=str(error)):
        ask(cache, room, HOUR)


def test_a_failing_provider_is_left_alone_for_as_long_as_it_asked(room: Room) -> None:
    cache = room.open()
    room.source.error = TemporaryError("too many", delay=timedelta(minutes=10))
    for _ in range(10):
        with pytest.raises(TemporaryError, match="too many"):
            ask(cache, room)
        room.clock.advance(MINUTE)

    assert 1 == len(room.source.asked)
    room.source.error = None
    ask(cache, room)
    assert 2 == len(room.source.asked)


def test_an_unknown_zone_stays_unknown(room: Room) -> None:
    with pytest.raises(UnknownZone):
        room.open().forecast("DE", MONDAY, MONDAY + HOUR)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\x00\xff",
        '{"version":2,"zone":"GB"}',
        '{"version":1,"zone":"DE"}',
        "[" * 50_000,
    ],
)
def test_a_file_of_no_use_is_said_so_and_written_anew(
    room: Room, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    ask(room.open(), room)
    room.file().write_text(content, encoding="utf-8")

    with caplog.at_level(logging.WARNING):
        series = ask(room.open(), room)

    assert 24 == len(series)
    assert ["is of no use and will be replaced"] == [
        r.message.split("json ")[1].split(":")[0] for r in caplog.records
    ]
    assert unpacked(room.file().read_text(encoding="utf-8"), "GB").series.zone == "GB"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("micrograms", [-1]),
        ("borders", [0, 0]),
        ("borders", [5]),
        ("kinds", ["certain"]),
        ("scope", "x"),
        ("fetched_at", "yesterday"),
        ("asked", [1]),
        ("notes", 5),
    ],
)
def test_a_file_that_was_tampered_with_is_checked_like_any_answer(
    room: Room, key: str, value: object
) -> None:
    ask(room.open(), room)
    written = json.loads(room.file().read_text(encoding="utf-8"))
    room.file().write_text(json.dumps({**written, key: value}), encoding="utf-8")

    ask(room.open(), room)

    assert 2 == len(room.source.asked)


def test_a_folder_that_cannot_be_written_costs_no_forecast_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    room = Room(tmp_path / "file" / "cache")
    cache = room.open()

    for _ in range(3):
        assert 24 == len(ask(cache, room))
        room.clock.advance(HOUR)

    assert 1 == len(caplog.records)
    assert "remembered until a restart" in caplog.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_costs_no_forecast(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Full(Cached):
        def _path(self, zone: str) -> Path:
            return Path("/dev/full/x") if zone else Path()

    room = Room(tmp_path)

    assert 24 == len(ask(Full(room.source, room.folder, room.clock), room))
    assert "cannot be kept" in caplog.text


def test_a_clock_set_back_makes_no_answer_from_the_future_fresh(room: Room) -> None:
    room.clock.set(MONDAY + 2 * HOUR)
    cache = room.open()
    cache.forecast("GB", MONDAY, MONDAY + timedelta(hours=24))
    room.clock.set(MONDAY)

    ask(cache, room)

    assert 2 == len(room.source.asked)


def test_zones_whose_names_look_alike_in_a_file_name_are_kept_apart(room: Room) -> None:
    for zone in ("GB:1", "GB/1", "GB 1"):
        room.source.series[zone] = IntensitySeries.of(
            zone, room.series.borders[:-1], room.series.g_per_kwh, step=HOUR, measure=room.series.measure
        )
        room.open().forecast(zone, MONDAY, MONDAY + HOUR)

    assert 3 == len(list(room.folder.iterdir()))
    assert all(path.parent == room.folder for path in room.folder.iterdir())


def test_kinds_and_notes_are_kept(room: Room) -> None:
    from dataclasses import replace

    from cleanhours.adapters.forecast_cache import Kept

    series = IntensitySeries.of(
        "GB", [MONDAY, MONDAY + HOUR], [1, 2], kind=[Kind.ACTUAL, Kind.TYPICAL], issued_at=MONDAY
    )

    again = unpacked(packed(Kept(1, 2, MONDAY, replace(series, notes=("so it was",)))), "GB")

    assert (Kind.ACTUAL, Kind.TYPICAL) == again.series.known_as
    assert (("so it was",), MONDAY) == (again.series.notes, again.series.issued_at)
