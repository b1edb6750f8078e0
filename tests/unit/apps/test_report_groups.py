"""Sums by group: every run in exactly one, whole numbers that add up to the total, and to what Prometheus is told."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cleanhours.adapters.exposition import PREFIX, Exposition, PrometheusTelemetry
from cleanhours.apps.report import Question, groups_csv, parse_dimensions, report_html, report_json
from cleanhours.apps.report.grouping import grouped
from cleanhours.apps.report.summary import summarise
from cleanhours.domain.accounts import Cause, Entry, MethodShare, Settled
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.intensity import Measure, Signal
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import START, an_entry
from cleanhours.testing.ledgers import FakeLedger
from tests.unit.apps.rows_of_a_ledger import HOUR, NOON, a_run, unmeasured

EVERY = ("namespace", "user", "location", "month", "cluster", "team", "label:tier")


def of(entry: Entry, **changed: Any) -> Entry:
    return replace(entry, run=replace(entry.run, **changed))


def lines(entries: list[Entry], *by: str) -> list[dict[str, str]]:
    text = groups_csv(entries, Question(by=parse_dimensions(by)))
    return list(csv.DictReader(io.StringIO(text)))


_AMOUNTS = st.integers(0, 10**15)
_ROWS = st.builds(
    of,
    st.one_of(
        st.builds(
            a_run,
            uid=st.integers(0, 10**9).map(str),
            millijoules=_AMOUNTS,
            emissions_ug=_AMOUNTS,
            avoided_ug=st.dictionaries(st.sampled_from(Cause), st.integers(-(10**14), 10**14)),
            energy_avoided_mj=st.dictionaries(st.sampled_from(Cause), st.integers(-(10**14), 10**14)),
            settled=st.sampled_from(Settled),
            method=st.sampled_from(Method),
            measure=st.sampled_from([Measure(), Measure(Signal.MARGINAL)]),
            location=st.sampled_from(["here", "there"]),
            deadline=st.sampled_from([None, NOON, NOON + 9 * HOUR]),
            started=st.sampled_from([NOON, datetime(2026, 3, 31, 23, 30, tzinfo=UTC)]),
        ),
        st.builds(unmeasured),
    ),
    namespace=st.sampled_from(["ada", "bob", "other"]),
    owner=st.sampled_from(["", "eve"]),
    labels=st.sampled_from([{}, {"team": "a"}, {"team": "b", "tier": "=1"}, {"team": ""}]),
)
_LEDGERS = st.lists(_ROWS, max_size=12)
_BY = st.lists(st.sampled_from(EVERY), min_size=1, max_size=3, unique=True)


@given(_LEDGERS, _BY)
def test_groups_add_up_to_the_report_in_every_number(entries: list[Entry], by: list[str]) -> None:
    document = report_json(entries, Question(by=parse_dimensions(by)))
    whole = {_measure(one): one for one in document["summaries"]}
    summed: dict[Any, Counter[str]] = {}
    for group in document["grouped"]["groups"]:
        for summary in group["summaries"]:
            _add(summed.setdefault(_measure(summary), Counter()), summary)

    assert set(whole) == set(summed)
    for measure, total in whole.items():
        expected: Counter[str] = Counter()
        _add(expected, total)
        assert expected == summed[measure]


def _measure(summary: dict[str, Any]) -> tuple[str, ...]:
    return (summary["signal"], summary["scope"], summary["basis"])


def _add(sums: Counter[str], found: Any, path: str = "") -> None:
    """Every whole number inside, by its path; shares and coverage are no sums."""
    for name, value in found.items():
        if isinstance(value, dict):
            _add(sums, value, f"{path}.{name}")
        elif isinstance(value, int):
            sums[f"{path}.{name}"] += value


@given(_LEDGERS, _BY)
def test_the_lines_of_groups_add_up_too_and_unmeasured_runs_have_no_amounts(
    entries: list[Entry], by: list[str]
) -> None:
    found = lines(entries, *by)

    assert len(entries) == sum(int(line["runs"]) for line in found)
    for settled in Settled:
        own = [line for line in found if line["settled"] == settled.value]
        sums = [summary.by_settled[settled] for summary in summarise(entries)]
        for column, total in (
            ("energy_mj", sum(one.millijoules for one in sums)),
            ("emissions_ug", sum(one.emissions_ug for one in sums)),
            ("baseline_ug", sum(one.baseline_ug for one in sums)),
            ("avoided_ug", sum(one.avoided_ug for one in sums)),
        ):
            assert total == sum(int(line[column]) for line in own)
        for line in own:
            assert int(line["avoided_ug"]) == sum(int(line[f"avoided_{cause}_ug"]) for cause in Cause)
            saved = [line[f"energy_avoided_{cause}_mj"] for cause in Cause]
            assert int(line["energy_avoided_mj"]) == sum(map(int, saved))
            methods = [line[f"energy_{method.replace('-', '_')}_mj"] for method in Method]
            assert int(line["energy_mj"]) == sum(map(int, methods))
    for line in found:
        if line["settled"] == "unmeasured":
            assert {""} == {line["energy_mj"], line["emissions_ug"], line["avoided_delayed_ug"]}
    kept = sum(entry.deadline_kept is True for entry in entries)
    assert kept == sum(int(line["deadlines_kept"]) for line in found)


def test_what_a_run_does_not_say_is_a_group_of_its_own_and_comes_last() -> None:
    entries = [
        a_run(),
        of(a_run(uid="2"), labels={"team": "vision"}),
        of(a_run(uid="3"), labels={"team": ""}),
    ]
    (named, silent) = report_json(entries, Question(by=parse_dimensions(["team"])))["grouped"]["groups"]

    assert ({"label:team": "vision"}, {"label:team": None}) == (named["values"], silent["values"])
    assert 2 == silent["summaries"][0]["settled"]["final"]["runs"]
    assert ["vision", ""] == [line["label_team"] for line in lines(entries, "team")]


def test_a_run_belongs_to_the_month_in_which_it_ended_in_utc() -> None:
    late = a_run(started=datetime(2026, 3, 31, 23, 30, tzinfo=UTC))

    assert ["2026-04"] == [line["month"] for line in lines([late], "month")]


def test_words_may_stand_in_one_list_or_several_options() -> None:
    assert parse_dimensions(["namespace,team", "label:team"]) == parse_dimensions(["namespace", "team"])


def test_every_word_that_means_nothing_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_dimensions(["teams,namespace", "label:", ""])

    assert ["teams", "label:", ""] == [complaint.found for complaint in refused.value.complaints]
    assert "label:NAME" in refused.value.complaints[0].accepted


def test_the_page_has_a_line_for_each_group_and_the_total_under_them() -> None:
    entries = [of(a_run(), namespace="ada"), of(a_run(uid="2"), namespace="<b>"), unmeasured(uid="3")]
    question = Question(by=parse_dimensions(["namespace"]))
    html = report_html(entries, generated_at=NOON, question=question)

    assert "<h2>By namespace</h2>" in html
    assert "&lt;b&gt;" in html
    assert '<th scope="row">all</th>' in html


def test_a_page_of_very_many_groups_says_that_it_is_cut_and_keeps_the_whole_total() -> None:
    entries = [of(a_run(uid=str(n)), namespace=f"team-{n:04}") for n in range(501)]
    html = report_html(entries, generated_at=NOON, question=Question(by=parse_dimensions(["namespace"])))
    _, _, after = html.partition("the first 500 of 501 groups")

    assert after.split("</table>")[0].count('<th scope="row">') == 501
    assert '<th scope="row">all</th><td>final</td><td class="number">501</td>' in html


def test_coverage_and_the_provisional_share_are_the_groups_own() -> None:
    half = EnergyProfile(a_run().profile.slices, coverage=0.5)
    entries = [
        of(a_run(millijoules=3), namespace="ada"),
        of(a_run(uid="2", millijoules=1, settled=Settled.PROVISIONAL), namespace="ada"),
        of(a_run(uid="3", profile=half), namespace="bob"),
    ]
    ada, _, bob = lines(entries, "namespace")

    assert ("0.25", "1.0") == (ada["provisional_share"], ada["coverage"])
    assert ("0.0", "0.5") == (bob["provisional_share"], bob["coverage"])


# -- the same as Prometheus ---------------------------------------------------------------------------------------


def a_ledger() -> FakeLedger:
    """Final, provisional, typical, superseded, corrected and unmeasured rows, in two namespaces, places and methods."""
    ledger = FakeLedger()
    nothing: dict[str, Any] = {
        "emissions_ug": None, "baseline_ug": None, "avoided_ug": {}, "energy_avoided_mj": {}, "shares": (),
        "profile": EnergyProfile(), "unmeasured": "no meter",
    }  # fmt: skip
    for index in range(60):
        place: dict[str, Any] = {
            "namespace": ("ada", "bob", "eve")[index % 3],
            "location": ("home", "north")[index % 2],
        }
        uid, huge = str(index), 10**9 + 7 * index + 3
        amounts: dict[str, Any] = {"emissions_ug": huge - index, "baseline_ug": huge} | {
            "avoided_ug": {Cause.DELAYED: 2 * index, Cause.PAUSED: -index},
            "energy_avoided_mj": {Cause.DELAYED: index, Cause.PAUSED: -1},
            "shares": (
                MethodShare(Method.MEASURED, ("nvml",), 3_000_001, huge - 2 * index, huge - 1),
                MethodShare(Method.MODELLED, ("processes",), 599_999, index, 1),
            ),
        }  # fmt: skip
        kind = index % 6
        if kind == 0:
            ledger.record(an_entry(uid, **place, **nothing))
        elif kind == 1:
            ledger.record(an_entry(uid, settled=Settled.TYPICAL, **place, **amounts))
        elif kind == 2:
            ledger.record(an_entry(uid, settled=Settled.PROVISIONAL, **place, **amounts))
        elif kind == 3:
            ledger.record(an_entry(uid, settled=Settled.PROVISIONAL, avoided=7, **place))
            ledger.record(an_entry(uid, **place, **amounts))
        else:
            ledger.record(an_entry(uid, **place, **amounts))
    return ledger


def scraped(ledger: FakeLedger) -> list[tuple[str, dict[str, str], float]]:
    exposition = Exposition(ledger, PrometheusTelemetry(), clusters=["local"], places=2)
    exposition.show(Snapshot(now=START))
    text = generate_latest(exposition.registry).decode()
    return [
        (sample.name.removeprefix(PREFIX), sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def total(samples: list[tuple[str, dict[str, str], float]], name: str, unit: float, **labels: str) -> int:
    """The sum of a family over all other labels, in the ledger's whole units, each sample rounded for itself."""
    return sum(
        round(value * unit)
        for found, worn, value in samples
        if found == name and worn.items() >= labels.items()
    )


@pytest.mark.parametrize("by", [("namespace",), ("location",), ("cluster",), ("namespace", "location")])
def test_the_final_part_of_the_report_is_what_the_counters_say_to_the_last_digit(by: tuple[str, ...]) -> None:
    ledger = a_ledger()
    samples = scraped(ledger)
    groups = grouped(ledger.current(), parse_dimensions(by)).groups

    assert 30 == sum(one.by_settled[Settled.FINAL].runs for group in groups for one in group.summaries)
    for group in groups:
        wearing = dict(zip(by, map(str, group.values), strict=True))
        (summary,) = group.summaries
        final, typical = summary.by_settled[Settled.FINAL], summary.by_settled[Settled.TYPICAL]
        assert final.emissions_ug == total(samples, "emissions_grams_total", 1e6, **wearing)
        assert final.baseline_ug == total(samples, "emissions_baseline_grams_total", 1e6, **wearing)
        energy = total(samples, "energy_joules_total", 1e3, **wearing)
        assert final.millijoules + typical.millijoules == energy
        for settled in Settled:
            wanted = {**wearing, "settled": settled.value}
            assert summary.by_settled[settled].avoided_ug == total(
                samples, "emissions_avoided_grams", 1e6, **wanted
            )
        for cause, row in summary.by_cause.items():
            wanted = {**wearing, "settled": "final", "cause": cause.value}
            assert row[Settled.FINAL] == total(samples, "emissions_avoided_grams", 1e6, **wanted)
        for method, rows in summary.by_method.items():
            counted = total(samples, "energy_joules_total", 1e3, **wearing, method=method.value)
            assert rows[Settled.FINAL].millijoules + rows[Settled.TYPICAL].millijoules == counted


def test_a_row_that_was_corrected_after_it_was_final_differs_by_the_correction_and_no_more() -> None:
    ledger = a_ledger()
    for uid, avoided in (("4", 11), ("5", 93)):
        ledger.record(an_entry(uid, avoided=avoided, namespace="bob"))
    samples = scraped(ledger)
    (summary,) = summarise(ledger.current())

    counted = total(samples, "emissions_grams_total", 1e6) + total(samples, "corrections_grams", 1e6)
    assert 0 != total(samples, "corrections_grams", 1e6)
    assert summary.by_settled[Settled.FINAL].emissions_ug == counted
