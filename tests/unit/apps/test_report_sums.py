from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.apps.report.summary import summarise
from cleanhours.domain.accounts import Cause, Entry, MethodShare, Settled
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.intensity import Measure, Signal
from tests.unit.apps.rows_of_a_ledger import HOUR, NOON, a_run, unmeasured

_UG = st.integers(0, 10**15)
_CAUSES = st.dictionaries(st.sampled_from(Cause), st.integers(-(10**14), 10**14))
_RUNS = st.builds(
    a_run,
    uid=st.integers(0, 10**9).map(str),
    millijoules=_UG,
    emissions_ug=_UG,
    avoided_ug=_CAUSES,
    energy_avoided_mj=_CAUSES,
    settled=st.sampled_from(Settled),
    method=st.sampled_from(Method),
    measure=st.sampled_from([Measure(), Measure(Signal.MARGINAL)]),
    location=st.sampled_from(["here", "there"]),
)
_LEDGERS = st.lists(st.one_of(_RUNS, st.builds(unmeasured)), max_size=12)


@given(_LEDGERS)
def test_the_sums_are_the_ledgers_to_the_last_digit(entries: list[Entry]) -> None:
    for settled in Settled:
        rows = [e for e in entries if e.settled is settled and e.emissions_ug is not None]
        sums = [summary.by_settled[settled] for summary in summarise(entries)]

        assert sum(e.profile.millijoules for e in rows) == sum(one.millijoules for one in sums)
        assert sum(e.emissions_ug or 0 for e in rows) == sum(one.emissions_ug for one in sums)
        assert sum(e.total_avoided_ug or 0 for e in rows) == sum(one.avoided_ug for one in sums)
        assert len(rows) == sum(one.runs for one in sums)


@given(_LEDGERS)
def test_causes_methods_and_locations_each_add_up_to_the_whole(entries: list[Entry]) -> None:
    for summary in summarise(entries):
        for settled, sums in summary.by_settled.items():
            assert sums.avoided_ug == sum(row[settled] for row in summary.by_cause.values())
            assert sums.energy_avoided_mj == sum(row[settled] for row in summary.energy_by_cause.values())
            assert sums.millijoules == sum(row[settled].millijoules for row in summary.by_method.values())
            assert sums.avoided_ug == sum(row[settled].avoided_ug for row in summary.by_location.values())


def test_average_and_marginal_grams_are_never_added() -> None:
    marginal = Measure(Signal.MARGINAL)
    one, other = summarise([a_run(), a_run(uid="2"), a_run(uid="3", measure=marginal)])

    assert (Measure(), marginal) == (one.measure, other.measure)
    assert [2, 1] == [one.by_settled[Settled.FINAL].runs, other.by_settled[Settled.FINAL].runs]


def test_provisional_and_typical_runs_stand_apart_from_final_ones() -> None:
    (summary,) = summarise([
        a_run(millijoules=3),
        a_run(uid="2", millijoules=1, settled=Settled.PROVISIONAL),
        a_run(uid="3", millijoules=100, settled=Settled.TYPICAL),
    ])  # fmt: skip

    assert [3, 1, 100] == [summary.by_settled[one].millijoules for one in Settled]
    assert 0.25 == summary.provisional_share
    assert Settled.FINAL is summary.leading


def test_while_nothing_is_final_the_provisional_sums_lead() -> None:
    (summary,) = summarise([a_run(settled=Settled.PROVISIONAL), a_run(uid="2", settled=Settled.TYPICAL)])

    assert Settled.PROVISIONAL is summary.leading
    assert 1.0 == summary.provisional_share


def test_a_run_that_nobody_measured_is_in_no_sum_and_named() -> None:
    (summary,) = summarise([a_run(millijoules=7), unmeasured("ghost", uid="2")])

    assert 1 == summary.by_settled[Settled.FINAL].runs
    assert ["ghost"] == [entry.run.name for entry in summary.unmeasured]


def test_a_run_known_by_two_methods_is_split_and_not_doubled() -> None:
    shares = (
        MethodShare(Method.MEASURED, ("nvml",), 2_000, 60, 80),
        MethodShare(Method.MODELLED, ("processes",), 1_000, 40, 70),
    )
    (summary,) = summarise(
        [a_run(millijoules=3_000, emissions_ug=100, avoided_ug={Cause.DELAYED: 50}, shares=shares)]
    )

    assert {Method.MEASURED: 2_000, Method.MODELLED: 1_000} == {
        method: row[Settled.FINAL].millijoules for method, row in summary.by_method.items()
    }


def test_coverage_is_weighted_by_running_time() -> None:
    seen = a_run(hours=(3,))
    half = a_run(uid="2", hours=(1,), profile=EnergyProfile(a_run().profile.slices, coverage=0.5))
    (summary,) = summarise([seen, half])

    assert 0.875 == summary.coverage


def test_kept_and_missed_deadlines_are_counted_and_none_is_no_verdict() -> None:
    (summary,) = summarise([
        a_run(deadline=NOON + 10 * HOUR), a_run(uid="2", deadline=NOON + HOUR), a_run(uid="3"),
    ])  # fmt: skip

    assert (1, 1) == (summary.deadlines_kept, summary.deadlines_missed)


def test_no_rows_make_no_summary() -> None:
    assert () == summarise([])
