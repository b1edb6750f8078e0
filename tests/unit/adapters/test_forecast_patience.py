"""Patience: who is silent costs a moment, once, for all sources together; what is known costs none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from cleanhours.adapters.forecast_chain import Chain, Sourced, sourced
from cleanhours.adapters.forecast_patience import REST, Patience, Prompt
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.testing.clocks import MONDAY, FakeClock
from cleanhours.testing.forecast_sources import FakeForecastSource
from cleanhours.testing.telemetry import FakeTelemetry

HOUR = timedelta(hours=1)
STARTS = int(MONDAY.timestamp()) + 3600 * np.arange(300, dtype=np.int64)
GB = IntensitySeries.of("GB", STARTS, np.full(300, 200.0), step=HOUR, provider="fake")


class SilentSource(FakeForecastSource):
    """Answers when `speak` is set; `threads` are those that asked."""

    def __init__(self, clock: FakeClock, name: str = "silent") -> None:
        super().__init__({"GB": GB}, clock, name=name)
        self.speak = threading.Event()
        self.threads: list[threading.Thread] = []

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        self.threads.append(threading.current_thread())
        self.speak.wait(10)
        return super().forecast(zone, start, end)


@dataclass
class World:
    """Sources as a quick command has them."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(MONDAY))
    made: list[SilentSource] = field(default_factory=list)

    def silent(self, name: str = "silent") -> SilentSource:
        self.made.append(SilentSource(self.clock, name))
        return self.made[-1]

    def wrapped(self, source: FakeForecastSource, patience: Patience | None = None) -> Sourced:
        """As in a new process."""
        return sourced(
            source,
            clock=self.clock,
            telemetry=FakeTelemetry(),
            cache_folder=self.folder,
            patience=patience or Patience(0.05),
        )

    def ask(self, source: Sourced) -> IntensitySeries:
        now = self.clock.now()
        return source.wrapped.forecast("GB", now, now + 24 * HOUR)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for source in made.made:
        source.speak.set()
        for thread in source.threads:
            thread.join()


def test_who_answers_in_time_is_heard(world: World) -> None:
    source = FakeForecastSource({"GB": GB}, world.clock)

    assert 200.0 == world.ask(world.wrapped(source, Patience(10))).at(MONDAY)


def test_what_a_source_raises_is_raised(world: World) -> None:
    source = FakeForecastSource({"GB": GB}, world.clock)
    source.error = ConfigurationError("no key")
    with pytest.raises(ConfigurationError, match="no key"):
        world.ask(world.wrapped(source, Patience(10)))


def test_who_is_silent_is_given_up(world: World) -> None:
    with pytest.raises(TemporaryError, match=r"silent: GB: no answer within 0\.[01] s"):
        world.ask(world.wrapped(world.silent()))


def test_all_sources_share_one_patience(world: World) -> None:
    seconds = [0.0]
    patience = Patience(2.0, lambda: seconds[0])

    assert 2.0 == patience.left_s()

    seconds[0] = 1.5

    assert 0.5 == patience.left_s()

    seconds[0] = 2.5
    late = world.silent("late")
    with pytest.raises(TemporaryError, match="not asked: others took all the time"):
        world.ask(world.wrapped(late, patience))

    assert [] == late.threads


def test_who_was_left_little_time_is_not_to_blame(world: World) -> None:
    seconds = [0.0]
    patience = Patience(1.0, lambda: seconds[0])
    patience.left_s()
    seconds[0] = 0.98
    source = world.silent()
    with pytest.raises(TemporaryError, match="no answer"):
        world.ask(world.wrapped(source, patience))
    source.speak.set()

    assert 200.0 == world.ask(world.wrapped(source, Patience(10))).at(MONDAY)


def test_who_was_silent_is_spared_by_the_next_process_and_asked_after_a_rest(world: World) -> None:
    source = world.silent()
    for told in ("no answer within", "it was silent at 2026-03-02T00:00:00Z"):
        with pytest.raises(TemporaryError, match=told):
            world.ask(world.wrapped(source))

    assert 1 == len(source.threads)

    world.clock.advance(REST)
    source.speak.set()

    assert 200.0 == world.ask(world.wrapped(source, Patience(10))).at(world.clock.now())


def test_the_silence_of_one_is_not_held_against_another(world: World) -> None:
    with pytest.raises(TemporaryError):
        world.ask(world.wrapped(world.silent()))
    other = FakeForecastSource({"GB": GB}, world.clock, name="other")

    assert 200.0 == world.ask(world.wrapped(other, Patience(10))).at(MONDAY)


def test_what_is_kept_is_answered_without_a_thread(world: World) -> None:
    source = world.silent()
    source.speak.set()
    world.ask(world.wrapped(source, Patience(10)))
    source.speak.clear()
    world.clock.advance(timedelta(minutes=20))
    world.ask(world.wrapped(source))

    assert 1 == len(source.threads)


def test_old_is_better_than_nothing(world: World) -> None:
    source = world.silent()
    source.speak.set()
    world.ask(world.wrapped(source, Patience(10)))
    source.speak.clear()
    world.clock.advance(2 * HOUR)
    series = world.ask(world.wrapped(source))

    assert 200.0 == series.at(world.clock.now())
    assert "this is what it said 2h ago" in series.notes[0]


def test_without_a_folder_nothing_is_remembered(world: World) -> None:
    source = world.silent()
    for _ in range(2):
        with pytest.raises(TemporaryError, match="no answer"):
            Prompt(source, Patience(0.01), world.clock).forecast("GB", MONDAY, MONDAY + HOUR)


def test_the_level_below_answers_for_who_is_silent(world: World) -> None:
    silent = world.wrapped(world.silent())
    below = world.wrapped(FakeForecastSource({"GB": GB}, world.clock, name="below"), Patience(10))
    levels = Chain([silent, below]).levels(["GB"], MONDAY, MONDAY + HOUR)

    assert [[], ["GB"]] == [list(level) for level in levels]
