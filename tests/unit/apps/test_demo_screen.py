from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console

from cleanhours.apps.demo.grid import HOME, DemoGrid
from cleanhours.apps.demo.picture import live_view
from cleanhours.apps.demo.screen import (
    PlainScreen,
    Snapshot,
    avoided_so_far,
    final_table,
    open_screen,
    pretended,
    rows,
)
from cleanhours.domain.accounts import Cause, Settled
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.testing.clocks import FakeClock
from tests.unit.apps.rows_of_a_ledger import HOUR, NOON, a_run, unmeasured


def a_job(name: str = "train", state: JobState = JobState.HELD) -> Job:
    start = NOON + 3 * HOUR
    plan = Plan(
        location="local",
        zone=HOME,
        start=start,
        end=start + HOUR,
        segments=(Segment(start, start + HOUR, "local", HOME),),
        latest_start=start,
        reason=Reason.LOWEST_WINDOW,
    )
    request = JobRequest(submitted=NOON, duration=HOUR, deadline=NOON + 9 * HOUR)
    return Job(
        key=JobKey("local", name),
        name=name,
        namespace="demo",
        state=state,
        request=request,
        home="local",
        plan=plan,
    )


def seen(*jobs: Job, **changed: object) -> Snapshot:
    values = {
        "now": NOON + HOUR,
        "start": NOON,
        "end": NOON + 24 * HOUR,
        "rate": 1200.0,
        "jobs": jobs,
        **changed,
    }
    return Snapshot(**values)  # type: ignore[arg-type]


def test_without_a_terminal_each_change_of_state_is_one_line() -> None:
    stream = io.StringIO()
    screen = open_screen(stream)
    run = a_run("train", uid="train", deadline=NOON + 9 * HOUR)
    for snapshot in (
        seen(a_job()),
        seen(a_job()),
        seen(a_job(state=JobState.RUNNING)),
        seen(finished=[run.run], entries=[run]),
    ):
        screen.show(snapshot)
    screen.close()

    assert isinstance(screen, PlainScreen)
    assert [
        "Thu 13:00  train               held       lowest-window  until Thu 15:00",
        "Thu 13:00  train               running    lowest-window",
        "Thu 13:00  train               succeeded  lowest-window  +50.0 g avoided",
    ] == stream.getvalue().splitlines()


def test_a_hostile_name_is_shown_and_not_obeyed() -> None:
    stream = io.StringIO()
    name = "\x1b[2J\nevil"
    PlainScreen(stream).show(seen(a_job(name)))
    console = Console(file=stream, width=120)
    console.print(live_view(seen(a_job(name)), 120))
    text = stream.getvalue() + "\n".join(final_table([a_run(name)]))

    assert "\x1b" not in text
    assert r"\x1b[2J\nevil" in text


def test_the_live_view_shows_state_place_plan_and_clock() -> None:
    series = DemoGrid(FakeClock(NOON), NOON).forecast(HOME, NOON, NOON + 24 * HOUR)
    stream = io.StringIO()
    Console(file=stream, width=110).print(live_view(seen(a_job(), series=series), 110))
    text = stream.getvalue()

    assert all(
        word in text for word in ("Thursday 13:00 UTC", "1,200x", "train", "held", "lowest-window", HOME, "░")
    )
    assert all(len(line) <= 110 for line in text.splitlines())


def test_the_live_view_fits_a_narrow_terminal() -> None:
    stream = io.StringIO()
    Console(file=stream, width=80).print(live_view(seen(a_job()), 80))

    assert all(len(line) <= 80 for line in stream.getvalue().splitlines())


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_column_of_the_live_view_is_cut(width: int) -> None:
    stream = io.StringIO()
    over = a_run("resnet50-finetune", avoided_ug={Cause.DELAYED: 2_600_000_000})
    ran = seen(
        finished=[over.run],
        entries=[over],
        series=DemoGrid(FakeClock(NOON), NOON).forecast(HOME, NOON, NOON + 24 * HOUR),
    )

    Console(file=stream, width=width).print(live_view(ran, width))

    shown = stream.getvalue()
    assert "…" not in shown
    for words in ("resnet50-finetune", "succeeded", "+2.60"):
        assert words in shown


def test_a_wide_closing_table_comes_as_two_on_a_narrow_terminal() -> None:
    entries = [a_run("a" * 17, deadline=NOON + 9 * HOUR), a_run("b", uid="2")]
    whole, parts = final_table(entries), final_table(entries, 80)

    assert max(map(len, parts)) <= 80 < max(map(len, whole))
    assert words_of(whole) == words_of(parts)


def words_of(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split() if set(word) != {"-"}}


def test_what_ran_is_drawn_where_it_ran() -> None:
    entry = a_run("done", hours=(2,))
    (row,) = rows(seen(finished=[entry.run], entries=[entry]))

    assert ((NOON + 3 * HOUR, NOON + 5 * HOUR),) == row.ran
    assert 50_000_000 == row.avoided_ug


def test_the_closing_table_has_a_line_a_run_and_their_sum() -> None:
    lines = final_table([
        a_run("late", submitted=NOON + HOUR, deadline=NOON + HOUR),
        a_run("early", uid="2", emissions_ug=300_000_000, avoided_ug={Cause.DELAYED: -100_000_000}, deadline=NOON + 9 * HOUR),
    ])  # fmt: skip

    assert [
        "job",
        "submitted",
        "started",
        "finished",
        "deadline",
        "energy",
        "emissions",
        "baseline",
        "avoided",
        "reason",
    ] == lines[0].split()
    assert ["early", "late"] == [line.split()[0] for line in lines[2:4]]
    assert "kept" in lines[2]
    assert "MISSED" in lines[3]
    assert ["sum", "2.00", "kWh", "400", "g", "350", "g", "−50.0", "g"] == lines[-1].split()


def test_typical_and_unmeasured_runs_are_in_no_sum_and_that_is_said() -> None:
    entries = [a_run(), a_run(uid="2", settled=Settled.TYPICAL), unmeasured(uid="3")]

    assert 50_000_000 == avoided_so_far(entries)
    assert "2 not counted" in final_table(entries)[-1]


def test_what_is_pretended_is_said_with_its_numbers() -> None:
    words = " ".join(pretended(1200, 2, 2))

    assert all(word in words for word in ("1,200 times", "72 s", "generated", "declared", "every 2 s", "40m"))
    assert timedelta(minutes=40).total_seconds() == 2 * 1200
