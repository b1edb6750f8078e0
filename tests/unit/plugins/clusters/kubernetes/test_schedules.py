"""What the next run of a CronJob leaves to the one before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.deadlines import Margins, latest_safe_start
from cleanhours.domain.requests import JobRequest
from cleanhours_plugins.clusters.kubernetes.schedules import (
    SCHEDULED,
    Concurrency,
    CronRecord,
    fault_of,
    narrowed,
    next_schedule,
    read_cronjob,
    read_scheduled,
    scheduled_at,
)

DUE = datetime(2026, 3, 2, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DAILY = "0 3 * * *"


def cron(policy: Concurrency, schedule: str = DAILY, zone: str | None = None) -> CronRecord:
    return CronRecord(schedule, zone, policy)


def request(**wishes: timedelta | datetime) -> JobRequest:
    return JobRequest(submitted=DUE, **{"duration": HOUR, **wishes})  # type: ignore[arg-type]


def test_a_record_keeps_what_counts() -> None:
    spec = {"schedule": DAILY, "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid", "suspend": False}
    assert CronRecord(DAILY, "Europe/Berlin", Concurrency.FORBID) == read_cronjob({"spec": spec})
    assert Concurrency.ALLOW is read_cronjob({"spec": {"schedule": DAILY}}).policy


def test_where_the_next_is_skipped_or_kills_this_one_has_finished_by_then() -> None:
    for policy in (Concurrency.FORBID, Concurrency.REPLACE):
        capped = narrowed(request(max_delay=2 * DAY), cron(policy), DUE)
        assert (DUE + DAY, 2 * DAY) == (capped.deadline, capped.max_delay)


def test_an_earlier_deadline_of_the_owner_stands() -> None:
    asked = request(deadline=DUE + 5 * HOUR)
    assert asked == narrowed(asked, cron(Concurrency.FORBID), DUE)
    assert DUE + DAY == narrowed(request(deadline=DUE + 2 * DAY), cron(Concurrency.FORBID), DUE).deadline


def test_where_both_may_run_this_one_has_started_by_then() -> None:
    capped = narrowed(request(deadline=DUE + 9 * DAY), cron(Concurrency.ALLOW), DUE)
    assert (DUE + 9 * DAY, DAY) == (capped.deadline, capped.max_delay)
    assert 3 * HOUR == narrowed(request(max_delay=3 * HOUR), cron(Concurrency.ALLOW), DUE).max_delay


def test_a_child_without_any_flexibility_stays_so() -> None:
    for policy in Concurrency:
        assert request() == narrowed(request(), cron(policy), DUE)


def test_a_schedule_that_cannot_be_read_caps_nothing_and_says_why() -> None:
    broken = cron(Concurrency.FORBID, "every day at three")
    assert request(max_delay=DAY) == narrowed(request(max_delay=DAY), broken, DUE)
    assert "accepted: five fields" in fault_of(broken)
    assert "Mars" in fault_of(cron(Concurrency.FORBID, zone="Mars/Olympus"))
    assert "" == fault_of(cron(Concurrency.FORBID))


def test_a_suspended_cronjob_has_no_next_run() -> None:
    stopped = CronRecord(DAILY, None, Concurrency.FORBID, suspended=True)
    assert request(max_delay=2 * DAY) == narrowed(request(max_delay=2 * DAY), stopped, DUE)


def test_a_next_run_years_ahead_bounds_no_wait() -> None:
    leap = cron(Concurrency.ALLOW, "0 0 29 2 *")
    assert request(deadline=DUE + DAY) == narrowed(request(deadline=DUE + DAY), leap, DUE)


def test_a_zone_moves_the_next_run_with_its_clock() -> None:
    before_spring = datetime(2026, 3, 28, 2, tzinfo=UTC)
    berlin = cron(Concurrency.FORBID, zone="Europe/Berlin")
    assert before_spring + 23 * HOUR == next_schedule(berlin, before_spring)


def test_a_child_says_when_it_was_due() -> None:
    late = DUE + timedelta(minutes=5)
    meta = {
        "creationTimestamp": "2026-03-02T03:05:00Z",
        "annotations": {SCHEDULED: "2026-03-02T04:00:00+01:00"},
    }
    assert DUE == read_scheduled({"metadata": meta})
    assert late == read_scheduled({"metadata": {"creationTimestamp": "2026-03-02T03:05:00Z"}})
    minutes = int(DUE.timestamp()) // 60
    assert DUE == scheduled_at(f"train-{minutes}", "train", late)


def test_a_child_with_another_name_was_due_when_it_was_made() -> None:
    for name in ("by-hand", "train-12345678", "train-99999999", "train-x", "train"):
        assert DUE == scheduled_at(name, "train", DUE)


@given(
    st.sampled_from(list(Concurrency)),
    st.sampled_from(["*/5 * * * *", "0 * * * *", DAILY, "@every 90m", "0 0 * * 1-5"]),
    st.timedeltas(timedelta(), 3 * DAY),
    st.booleans(),
)
def test_no_cap_ever_lets_a_child_start_later(
    policy: Concurrency, schedule: str, slack: timedelta, by_deadline: bool
) -> None:
    asked = request(deadline=DUE + slack) if by_deadline else request(max_delay=slack)
    following = next_schedule(cron(policy, schedule), DUE)
    assert following is not None
    latest = latest_safe_start(narrowed(asked, cron(policy, schedule), DUE), HOUR, Margins())
    assert latest <= latest_safe_start(asked, HOUR, Margins())
    bound = following if policy is Concurrency.ALLOW else following - HOUR
    assert latest <= bound
