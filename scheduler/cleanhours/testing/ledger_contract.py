"""The suite that every ledger passes: subclass `LedgerContract` and say how yours is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from cleanhours.domain.accounts import (
    Beside,
    BesideTotal,
    Cause,
    Entry,
    ForecastError,
    IntensityUsed,
    MethodShare,
    RunsTotal,
    Settled,
    Total,
    Totals,
)
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope, Signal
from cleanhours.domain.jobs import FinishedRun, JobKey, JobState, RunKey, RunSegment
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Ledger

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


def an_entry(uid: str = "1", *, settled: Settled = Settled.FINAL, avoided: int = 40, **more: Any) -> Entry:
    """A settled hour: 3,600,000 mJ measured, 100 µg of baseline less `avoided`. `more` replaces fields of run or entry."""
    run_fields = {name: more.pop(name) for name in list(more) if name in FinishedRun.__dataclass_fields__}
    key = RunKey(more.pop("cluster", "local"), uid, more.pop("attempt", 1))
    run = FinishedRun(
        **{
            "key": key,
            "name": "train",
            "namespace": "ada",
            "state": JobState.SUCCEEDED,
            "request": JobRequest(submitted=START + timedelta(microseconds=7), deadline=START + 9 * HOUR),
            "home": "home",
            "segments": (RunSegment(START + HOUR, START + 2 * HOUR, "home", ("4711",)),),
            "finished_at": START + 2 * HOUR,
            "usage": {"cpu_seconds": 3.5},
            **run_fields,
        }
    )
    part = EnergySlice(START + HOUR, START + 2 * HOUR, Component.CPU, 3_600_000, Method.MEASURED, "rapl")
    used = IntensityUsed("GB", START + HOUR, START + 2 * HOUR, 60_000_000, Kind.ACTUAL)
    fields = {
        "run": run,
        "location": "home",
        "settled": settled,
        "settled_at": START + 3 * HOUR,
        "measure": Measure(),
        "providers": ("test",),
        "profile": EnergyProfile((part,), 0.75),
        "emissions_ug": 100 - avoided,
        "baseline_ug": 100,
        "avoided_ug": {cause: avoided if cause is Cause.DELAYED else 0 for cause in Cause},
        "energy_avoided_mj": dict.fromkeys(Cause, 0),
        "shares": (MethodShare(Method.MEASURED, ("rapl",), 3_600_000, 100 - avoided, 100),),
        "intensity": (used,),
        "baseline_intensity": (),
        "deadline_kept": True,
    }
    return Entry(**{**fields, **more})


def a_beside(**more: Any) -> Beside:
    """What the settled hour says in marginal intensity."""
    used = IntensityUsed("GB", START + HOUR, START + 2 * HOUR, 90_000_000, Kind.ESTIMATED)
    fields = {
        "settled": Settled.FINAL,
        "measure": Measure(signal=Signal.MARGINAL),
        "providers": ("second",),
        "emissions_ug": 80,
        "baseline_ug": 90,
        "avoided_ug": {cause: 10 if cause is Cause.DELAYED else 0 for cause in Cause},
        "intensity": (used,),
        "baseline_intensity": (replace(used, micrograms_per_kwh=80_000_000),),
    }
    return Beside(**{**fields, **more})


def a_plan(**more: Any) -> Plan:
    """A plan as it is read back."""
    plan = Plan(
        location="home",
        zone="GB",
        start=START,
        end=START + HOUR,
        segments=(),
        latest_start=START + 2 * HOUR,
        reason=Reason.LOWEST_WINDOW,
    )
    return Plan.from_json(replace(plan, **more).to_json())


class LedgerContract:
    """What every ledger promises. A subclass gives the fixture `opened`: each call opens the same ledger again."""

    @pytest.fixture
    def opened(self) -> Callable[[], Ledger]:
        raise NotImplementedError

    @pytest.fixture
    def ledger(self, opened: Callable[[], Ledger]) -> Ledger:
        return opened()

    def test_an_entry_is_read_back_as_it_was_written(self, ledger: Ledger) -> None:
        entry = an_entry()
        assert ledger.record(entry)
        assert [entry] == list(ledger.current())

    def test_an_unmeasured_run_keeps_its_missing_amounts(self, ledger: Ledger) -> None:
        nothing = an_entry(
            emissions_ug=None, baseline_ug=None, avoided_ug={}, energy_avoided_mj={}, shares=(),
            profile=EnergyProfile(), intensity=(), unmeasured="no meter", deadline_kept=None,
        )  # fmt: skip
        ledger.record(nothing)
        assert [nothing] == list(ledger.current())
        assert () == ledger.totals().counted
        assert () == ledger.totals().avoided

    def test_recording_twice_is_recording_once(self, opened: Callable[[], Ledger]) -> None:
        assert opened().record(an_entry())
        before = opened().totals()
        assert not opened().record(an_entry(settled_at=START + 5 * HOUR))
        assert before == opened().totals()

    def test_a_later_settlement_supersedes(self, ledger: Ledger) -> None:
        ledger.record(an_entry(settled=Settled.PROVISIONAL))
        assert ledger.record(an_entry(avoided=30))
        assert [30] == [entry.total_avoided_ug for entry in ledger.current()]

    def test_rows_are_found_by_when_the_run_finished(self, ledger: Ledger) -> None:
        for hour in (3, 1, 2):
            ledger.record(an_entry(str(hour), finished_at=START + hour * HOUR))
        found = ledger.current(START + HOUR, START + 3 * HOUR)
        assert ["1", "2"] == [entry.key.uid for entry in found]

    def test_what_was_in_force_once_is_found_for_ever(self, ledger: Ledger) -> None:
        first, second, third = (START + hours * HOUR for hours in (3, 30, 300))
        for settled, avoided, at in (
            (Settled.PROVISIONAL, 50, first), (Settled.PROVISIONAL, 40, second), (Settled.FINAL, 30, third),
        ):  # fmt: skip
            ledger.record(an_entry("1", settled=settled, avoided=avoided, settled_at=at))
        ledger.record(an_entry("2", avoided=7, settled_at=second))

        def then(instant: datetime) -> list[int]:
            return sorted(entry.total_avoided_ug or 0 for entry in ledger.current(as_of=instant))

        moment = timedelta(microseconds=1)
        assert [] == then(first - moment)
        assert [50] == then(first) == then(second - moment)
        assert [7, 40] == then(second) == then(third - moment)
        assert [7, 30] == then(third) == sorted(e.total_avoided_ug or 0 for e in ledger.current())
        assert [] == list(ledger.current(START + 3 * HOUR, as_of=third))
        assert 2 == len(ledger.current(START + HOUR, START + 3 * HOUR, as_of=third))

    def test_a_clock_that_was_set_back_leaves_one_row_in_force(self, ledger: Ledger) -> None:
        for avoided, hours in ((50, 3), (40, 30), (30, 4)):
            ledger.record(an_entry(avoided=avoided, settled_at=START + hours * HOUR))
        for hours, avoided in ((3, 50), (4, 30), (29, 30), (31, 30)):
            (entry,) = ledger.current(as_of=START + hours * HOUR)
            assert avoided == entry.total_avoided_ug

    def test_only_rows_in_force_are_provisional(self, ledger: Ledger) -> None:
        ledger.record(an_entry("1", settled=Settled.PROVISIONAL))
        ledger.record(an_entry("2", settled=Settled.PROVISIONAL))
        ledger.record(an_entry("2"))
        assert ["1"] == [entry.key.uid for entry in ledger.provisional()]

    def test_a_second_measure_is_read_back_and_may_still_change(self, ledger: Ledger) -> None:
        entry = an_entry(beside=a_beside(settled=Settled.PROVISIONAL))
        ledger.record(entry)
        ledger.record(an_entry("2", beside=Beside(settled=Settled.PROVISIONAL, unknown="not published yet")))
        ledger.record(an_entry("3", beside=a_beside()))
        assert entry == ledger.current()[0]
        assert ["1", "2"] == [one.key.uid for one in ledger.provisional()]
        ledger.record(an_entry("1", beside=a_beside()))
        assert ["2"] == [one.key.uid for one in ledger.provisional()]

    def test_a_second_measure_is_summed_apart_and_in_force_only(self, ledger: Ledger) -> None:
        ledger.record(an_entry("1", beside=a_beside(settled=Settled.PROVISIONAL, emissions_ug=7)))
        ledger.record(an_entry("2", beside=a_beside(settled=Settled.PROVISIONAL, emissions_ug=5)))
        ledger.record(an_entry("3", beside=Beside(settled=Settled.FINAL, unknown="nobody published it")))
        without = ledger.totals()
        marginal, lifecycle = Signal.MARGINAL, Scope.LIFECYCLE
        place = ("local", "home", marginal, lifecycle)
        assert (BesideTotal(*place, Settled.PROVISIONAL, 12, 180),) == without.beside
        ledger.record(an_entry("1", beside=a_beside(emissions_ug=8)))
        totals = ledger.totals()
        assert {
            BesideTotal(*place, Settled.PROVISIONAL, 5, 90),
            BesideTotal(*place, Settled.FINAL, 8, 90),
        } == set(totals.beside)
        assert (without.counted, without.avoided, 0) == (
            totals.counted,
            totals.avoided,
            totals.corrections_ug,
        )

    def test_it_knows_which_runs_have_a_row(self, ledger: Ledger) -> None:
        ledger.record(an_entry("1"))
        keys = [RunKey("local", str(n), attempt) for n in range(1000) for attempt in (1, 2)]
        assert frozenset({RunKey("local", "1", 1)}) == ledger.known(keys)
        assert frozenset() == ledger.known([])

    def test_a_provisional_row_enters_no_counter(self, ledger: Ledger) -> None:
        ledger.record(an_entry(settled=Settled.PROVISIONAL))
        totals = ledger.totals()
        assert () == totals.counted
        assert 40 == sum(total.avoided_ug for total in totals.avoided)
        assert 1.0 == totals.provisional_ratio

    def test_a_run_is_counted_once_at_its_first_final_row(self, ledger: Ledger) -> None:
        for settled, avoided in ((Settled.PROVISIONAL, 50), (Settled.FINAL, 40), (Settled.FINAL, 30)):
            ledger.record(an_entry(settled=settled, avoided=avoided))
        totals = ledger.totals()
        assert (Total("local", "home", "ada", Method.MEASURED, 3_600_000, 60, 100),) == totals.counted
        assert 30 == sum(total.avoided_ug for total in totals.avoided)
        assert 10 == totals.corrections_ug
        assert 0.0 == totals.provisional_ratio

    def test_corrections_add_up_over_rows(self, ledger: Ledger) -> None:
        for avoided in (40, 30, 55):
            ledger.record(an_entry(avoided=avoided))
        assert -15 == ledger.totals().corrections_ug

    def test_a_typical_row_enters_the_energy_counter_only(self, ledger: Ledger) -> None:
        ledger.record(an_entry(settled=Settled.TYPICAL))
        assert (Total("local", "home", "ada", Method.MEASURED, 3_600_000, 0, 0),) == ledger.totals().counted
        ledger.record(an_entry())
        assert (
            Total("local", "home", "ada", Method.MEASURED, 3_600_000, 60, 100),
        ) == ledger.totals().counted

    def test_counters_never_fall(self, ledger: Ledger) -> None:
        highest = 0
        for settled in (Settled.TYPICAL, Settled.FINAL, Settled.PROVISIONAL, Settled.FINAL):
            for avoided in (90, 10):
                ledger.record(an_entry(settled=settled, avoided=avoided))
                emitted = sum(total.emissions_ug for total in ledger.totals().counted)
                assert emitted >= highest
                highest = emitted

    def test_totals_are_the_same_after_a_restart(self, opened: Callable[[], Ledger]) -> None:
        lasting = opened()
        for index, settled in enumerate(Settled):
            for namespace in ("zoe", "ada", "bob"):
                lasting.record(an_entry(f"{namespace}{index}", settled=settled, namespace=namespace))
            lasting.totals()
            lasting.record(an_entry(f"zoe{index}", avoided=-5, namespace="zoe"))
        assert lasting.totals() == opened().totals()

    def test_two_doors_see_one_ledger(self, opened: Callable[[], Ledger]) -> None:
        one, other = opened(), opened()
        one.record(an_entry("1"))
        other.record(an_entry("2"))
        assert one.totals() == other.totals()
        assert 2 == len(one.current())

    def test_namespaces_come_in_the_order_they_were_first_settled(self, ledger: Ledger) -> None:
        for uid, namespace in enumerate(("zoe", "ada", "bob", "zoe")):
            ledger.record(an_entry(str(uid), namespace=namespace))
        assert ["zoe", "ada", "bob"] == [total.namespace for total in ledger.totals().counted]

    def test_a_label_is_given_or_refused_once(self, opened: Callable[[], Ledger]) -> None:
        ledger = opened()
        assert [] == list(ledger.label_namespaces(2))
        for uid, namespace in enumerate(("zoe", "ada", "bob", "zoe")):
            ledger.record(an_entry(str(uid), namespace=namespace))
        assert ["zoe", "ada"] == list(ledger.label_namespaces(2))
        assert ["zoe", "ada"] == list(ledger.label_namespaces(1)) == list(opened().label_namespaces(0))
        ledger.record(an_entry("4", namespace="eve"))
        ledger.record(an_entry("5", namespace="fay", settled=Settled.PROVISIONAL))
        assert ["zoe", "ada", "eve"] == list(opened().label_namespaces(3))
        ledger.record(an_entry("6", namespace="gus"))
        assert ["zoe", "ada", "eve", "gus"] == list(ledger.label_namespaces(100)), "bob and fay stay in other"
        assert ["zoe", "ada", "eve", "gus"] == list(opened().label_namespaces(1))

    def test_a_namespace_without_any_figure_takes_no_label(self, ledger: Ledger) -> None:
        ledger.record(an_entry("1", emissions_ug=None, baseline_ug=None, shares=(), unmeasured="no meter"))
        assert [] == list(ledger.label_namespaces(5))

    def test_large_amounts_are_added_exactly(self, ledger: Ledger) -> None:
        huge = 2**53 + 1
        for uid in "123":
            share = MethodShare(Method.MEASURED, ("rapl",), huge, huge, huge)
            ledger.record(an_entry(uid, shares=(share,), emissions_ug=huge, baseline_ug=huge))
        (total,) = ledger.totals().counted
        assert (3 * huge, 3 * huge, 3 * huge) == (total.millijoules, total.emissions_ug, total.baseline_ug)

    def test_coverage_and_misses_are_told(self, ledger: Ledger) -> None:
        ledger.record(an_entry("1", deadline_kept=False, settled=Settled.PROVISIONAL))
        ledger.record(an_entry("1", deadline_kept=False))
        ledger.record(an_entry("2", deadline_kept=None, profile=EnergyProfile((), 0.25)))
        totals = ledger.totals()
        assert {"local": 1} == totals.deadline_misses
        assert {Method.MEASURED: 0.5} == totals.coverage

    def test_coverage_is_that_of_a_week_up_to_the_newest_run(self, opened: Callable[[], Ledger]) -> None:
        ledger, newest = opened(), START + timedelta(days=30)

        def ended(uid: str, before: timedelta, coverage: float, **more: Any) -> None:
            profile = EnergyProfile((), coverage)
            ledger.record(an_entry(uid, finished_at=newest - before, profile=profile, **more))

        ended("1", timedelta(days=20), 1.0)
        ended("2", timedelta(days=7), 1.0, settled=Settled.PROVISIONAL)
        assert {Method.MEASURED: 1.0} == ledger.totals().coverage
        ended("3", timedelta(days=7) - HOUR, 0.5, settled=Settled.PROVISIONAL)
        ended("4", timedelta(0), 0.25)
        ended("2", timedelta(days=7), 1.0)
        assert {Method.MEASURED: 0.375} == ledger.totals().coverage
        ended("3", timedelta(days=7) - HOUR, 0.5)
        ended("5", timedelta(days=29), 1.0)
        assert {Method.MEASURED: 0.375} == ledger.totals().coverage == opened().totals().coverage

    def test_runs_are_counted_once_by_who_knows_most_of_their_energy(
        self, opened: Callable[[], Ledger]
    ) -> None:
        ledger = opened()
        nothing: dict[str, Any] = {
            "emissions_ug": None, "baseline_ug": None, "avoided_ug": {}, "energy_avoided_mj": {}, "shares": (),
            "profile": EnergyProfile(), "intensity": (), "unmeasured": "no meter knew its energy",
        }  # fmt: skip
        parts = tuple(
            MethodShare(method, ("m",), millijoules, 1, 1)
            for method, millijoules in ((Method.MEASURED, 1), (Method.MODELLED, 2), (Method.DECLARED, 2))
        )
        ledger.record(an_entry("1", settled=Settled.PROVISIONAL))
        ledger.record(an_entry("1"))
        ledger.record(an_entry("2", shares=parts))
        ledger.record(an_entry("3", **nothing))
        ledger.totals()
        ledger.record(an_entry("3"))  # a later row is another account of the same run
        ledger.record(an_entry("4", location="away", **nothing))
        ledger.record(an_entry("never ran", segments=(), **nothing))
        assert {
            RunsTotal("local", "home", Method.MEASURED, 1),
            RunsTotal("local", "home", Method.MODELLED, 1),
            RunsTotal("local", "home", None, 1),
            RunsTotal("local", "away", None, 1),
        } == set(ledger.totals().runs)
        assert ledger.totals().runs == opened().totals().runs

    def test_an_empty_ledger_has_no_ratio(self, ledger: Ledger) -> None:
        assert Totals() == ledger.totals()

    def test_plans_are_kept_in_order(self, ledger: Ledger) -> None:
        key = JobKey("local", "7")
        first, second = a_plan(), a_plan(start=START + HOUR)
        ledger.record_plans([(key, "train", first), (JobKey("local", "8"), "other", first)], START)
        ledger.record_plans([(key, "train", second)], START + timedelta(microseconds=1))
        assert [(START, first), (START + timedelta(microseconds=1), second)] == list(ledger.plans(key))

    def test_durations_are_those_of_successful_runs_newest_first(self, ledger: Ledger) -> None:
        for n in range(1, 61):
            part = RunSegment(START, START + n * timedelta(minutes=1), "home")
            ledger.record(an_entry(str(n), segments=(part,), finished_at=START + n * HOUR))
        ledger.record(an_entry("failed", state=JobState.FAILED, finished_at=START + 99 * HOUR))
        ledger.record(an_entry("other", name="other", finished_at=START + 99 * HOUR))
        found = ledger.durations("local", "ada", "train")
        assert [timedelta(minutes=n) for n in range(60, 10, -1)] == list(found)
        assert [] == list(ledger.durations("local", "nobody", "train"))

    def test_only_works_that_succeeded_are_remembered(self, ledger: Ledger) -> None:
        for name, state in (
            ("train", JobState.SUCCEEDED),
            ("test", JobState.FAILED),
            ("own", JobState.SUCCEEDED),
        ):
            ledger.record(an_entry(name, name=name, state=state))
        assert {"train"} == ledger.remembered("local", "ada", ["train", "test", "never"])
        many = [f"job-{n}" for n in range(2_500)]
        assert {"train", "own"} == ledger.remembered("local", "ada", {"own", *many, "train"})
        assert not ledger.remembered("local", "nobody", ["train"])
        assert not ledger.remembered("local", "ada", [])

    def test_powers_are_the_mean_watts_of_successful_runs_newest_first(self, ledger: Ledger) -> None:
        for n in range(1, 61):
            half = (
                RunSegment(START, START + HOUR / 2, "home"),
                RunSegment(START + HOUR, START + 1.5 * HOUR, "home"),
            )
            ledger.record(
                an_entry(
                    str(n), segments=half, finished_at=START + n * HOUR, profile=EnergyProfile((), 0.8),
                    shares=(
                        MethodShare(Method.MEASURED, ("nvml",), n * 3_000_000, 50, 50),
                        MethodShare(Method.MODELLED, ("processes",), n * 600_000, 10, 50),
                    ),
                )
            )  # fmt: skip
        assert [float(n) for n in range(60, 10, -1)] == list(ledger.powers("local", "ada", "train"))
        assert [] == list(ledger.powers("local", "nobody", "train"))

    def test_powers_are_of_runs_whose_energy_is_their_own_and_known(self, ledger: Ledger) -> None:
        whole = EnergyProfile((), 1.0)

        def share(method: Method = Method.MEASURED, *meters: str, energy: int = 3_600_000) -> MethodShare:
            return MethodShare(method, meters or ("rapl",), energy, 60, 100)

        left_out: dict[str, dict[str, Any]] = {
            "declared": {"shares": (share(Method.DECLARED, "declared"),)},
            "partly declared": {"shares": (share(), share(Method.DECLARED, "declared"))},
            "moved": {"shares": (share(Method.MODELLED, "processes", "transfer"),)},
            "half known": {"profile": EnergyProfile((), 0.79)},
            "failed": {"state": JobState.FAILED},
            "in no time": {"segments": (RunSegment(START + HOUR, START + HOUR, "home"),)},
            "unmeasured": {"shares": (), "emissions_ug": None, "baseline_ug": None},
            "nothing": {"shares": (share(energy=0),)},
        }
        for uid, more in left_out.items():
            ledger.record(an_entry(uid, **{"profile": whole, **more}))
        assert [] == list(ledger.powers("local", "ada", "train"))

        for settled in (Settled.PROVISIONAL, Settled.FINAL):  # a run counts once, however often it is settled
            ledger.record(an_entry("kept", settled=settled, profile=whole))
        assert [1.0] == list(ledger.powers("local", "ada", "train"))

    def test_forecasts_are_compared_with_what_was(self, ledger: Ledger) -> None:
        for hour in (0, 1):
            ledger.record_forecast(_series(START, [100] * 48), START + hour * HOUR)
        ledger.record_actual(_series(START, [80] * 30, kind=Kind.ACTUAL))
        found = {error.lead_hours: (round(error.ratio, 9), error.count) for error in ledger.forecast_errors()}
        assert {1: (0.25, 2), 6: (0.25, 2), 24: (0.25, 2)} == found

    def test_the_first_word_about_an_hour_is_judged(self, ledger: Ledger) -> None:
        ledger.record_forecast(_series(START, [100, 100]), START)
        ledger.record_forecast(_series(START, [80, 80]), START + timedelta(minutes=5))
        ledger.record_actual(_series(START, [80, 80], kind=Kind.ACTUAL))
        assert [ForecastError("GB", "test", 1, 0.25, 1)] == list(ledger.forecast_errors())

    def test_estimates_and_other_measures_judge_nobody(self, ledger: Ledger) -> None:
        ledger.record_forecast(_series(START, [100] * 3), START)
        ledger.record_actual(_series(START, [80] * 3, kind=Kind.ESTIMATED))
        direct = replace(_series(START, [80] * 3, kind=Kind.ACTUAL), measure=Measure(scope=Scope.DIRECT))
        ledger.record_actual(direct)
        assert [] == list(ledger.forecast_errors())

    def test_errors_are_those_of_the_last_28_days(self, ledger: Ledger) -> None:
        for day, wrong in ((0, 500), (40, 100)):
            now = START + timedelta(days=day)
            ledger.record_forecast(_series(now, [wrong] * 3), now)
            ledger.record_actual(_series(now, [80] * 3, kind=Kind.ACTUAL))
        assert [0.25] == [error.ratio for error in ledger.forecast_errors()]

    def test_names_that_no_database_likes_are_kept(self, ledger: Ledger) -> None:
        entry = an_entry("u\0id", name="train\0\udcff", namespace="a'b\"; DROP TABLE entries; --")
        assert ledger.record(entry)
        assert not ledger.record(entry)
        assert [entry] == list(ledger.current())
        assert frozenset({entry.key}) == ledger.known([entry.key])

    def test_closing_twice_is_closing_once(self, ledger: Ledger) -> None:
        ledger.close()
        ledger.close()


def _series(start: datetime, values: Sequence[float], kind: Kind = Kind.FORECAST) -> IntensitySeries:
    starts = [start + n * HOUR for n in range(len(values))]
    return IntensitySeries.of("GB", starts, values, step=HOUR, kind=kind, provider="test")
