"""The token bucket, by hand: who leaves when, and what a server's wish for a pause does to everybody."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours_plugins.clusters.kubernetes.pacing import Pace, Stopped


@dataclass
class Time:
    """Seconds that pass only while somebody sleeps."""

    now_s: float = 1000.0
    slept: list[float] = field(default_factory=list)
    pace: Pace | None = None
    pause_in_sleep_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now_s += seconds
        if self.pace is not None and self.pause_in_sleep_s:
            pause, self.pause_in_sleep_s = self.pause_in_sleep_s, 0.0
            self.pace.pause(pause)
        return False


def a_pace(time: Time, per_s: float = 20, burst: int = 40) -> Pace:
    time.pace = Pace(per_s, burst, monotonic=time.monotonic, sleep=time.sleep)
    return time.pace


def test_a_burst_leaves_at_once_and_then_so_many_a_second() -> None:
    time = Time()
    pace = a_pace(time)
    waited = [pace.wait() for _ in range(60)]
    assert [0.0] * 40 == waited[:40]
    assert pytest.approx([0.05] * 20) == waited[40:]
    assert pytest.approx(1001.0) == time.now_s


def test_what_was_not_used_is_saved_up_to_the_burst() -> None:
    time = Time()
    pace = a_pace(time, per_s=10, burst=5)
    for _ in range(5):
        pace.wait()
    time.now_s += 0.3
    assert pytest.approx([0, 0, 0, 0.1]) == [pace.wait() for _ in range(4)]
    time.now_s += 3600
    assert pytest.approx([0, 0, 0, 0, 0, 0.1]) == [pace.wait() for _ in range(6)]


def test_what_is_not_urgent_leaves_half_of_the_burst_to_what_is() -> None:
    time = Time()
    pace = a_pace(time, per_s=20, burst=40)
    waited = []
    for _ in range(30):
        waited.append(pace.wait_for_spare(20))
        pace.wait()
    assert pytest.approx([0.0] * 21 + [0.05] * 9) == waited
    assert [0.0] * 19 == [pace.wait() for _ in range(19)]
    assert pytest.approx(1.0) == pace.wait_for_spare(20)


def test_of_a_small_burst_more_is_never_waited_for_than_there_can_be() -> None:
    time = Time()
    pace = a_pace(time, per_s=1, burst=1)
    pace.wait()
    assert pytest.approx(1.0) == pace.wait_for_spare(20)


def test_a_pause_is_for_everybody_and_nobody_comes_back_all_at_once() -> None:
    time = Time()
    pace = a_pace(time, per_s=10, burst=40)
    pace.pause(7)
    assert pytest.approx([7, 0.1, 0.1]) == [pace.wait() for _ in range(3)]


def test_a_pause_that_comes_while_somebody_waits_makes_him_wait_longer() -> None:
    time = Time()
    pace = a_pace(time, per_s=10, burst=1)
    pace.wait()
    time.pause_in_sleep_s = 5
    assert pytest.approx(5.1) == pace.wait()


def test_the_longest_of_several_pauses_counts_and_none_is_endless() -> None:
    time = Time()
    pace = a_pace(time)
    pace.pause(3)
    pace.pause(9)
    pace.pause(1)
    assert 9 == pace.wait_out()
    assert 0 == pace.wait_out()
    pace.pause(1e9)
    assert 60 == pace.wait_out()


def test_waiting_a_pause_out_takes_no_turn() -> None:
    time = Time()
    pace = a_pace(time, burst=1)
    for _ in range(5):
        assert 0 == pace.wait_out()
    assert 0 == pace.wait()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_pause_of_no_time_is_none(seconds: float) -> None:
    time = Time()
    pace = a_pace(time)
    pace.pause(seconds)
    assert 0 == pace.wait()


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (float("inf"), 1), (1, 0)])
def test_a_pace_of_nothing_is_refused(per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="accepted: above 0, and at least 1"):
        Pace(per_s, burst)


def test_who_waits_is_woken_by_a_stop_and_sends_nothing() -> None:
    pace = Pace(0.001, 1)
    pace.wait()
    outcome: list[str] = []

    def wait() -> None:
        try:
            pace.wait()
        except Stopped:
            outcome.append("stopped")

    thread = threading.Thread(target=wait)
    thread.start()
    pace.stop()
    thread.join(10)
    assert ["stopped"] == outcome
    with pytest.raises(Stopped):
        pace.wait_out()


@given(
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=60),
    pauses=st.dictionaries(st.integers(0, 60), st.floats(0.1, 5)),
)
def test_no_stretch_of_time_ever_sees_more_than_the_burst_and_the_rate(
    gaps: list[float], pauses: dict[int, float]
) -> None:
    time = Time()
    pace = a_pace(time, per_s=5, burst=4)
    left: list[float] = []
    pauses_end: list[tuple[int, float]] = []
    for n, gap in enumerate(gaps):
        time.now_s += gap
        if n in pauses:
            pace.pause(pauses[n])
            pauses_end.append((n, time.now_s + pauses[n]))
        pace.wait()
        left.append(time.now_s)
    for i, first in enumerate(left):
        for j in range(i, len(left)):
            assert j - i + 1 <= 4 + 5 * (left[j] - first) + 1e-6
    for n, end in pauses_end:
        assert not [at for at in left[n:] if at < end - 1e-6]
