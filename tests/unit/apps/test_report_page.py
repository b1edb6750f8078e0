from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

from cleanhours.apps.report import Question, ZoneSeries, report_html
from cleanhours.domain.accounts import Cause, Entry, ForecastError, IntensityUsed, Settled
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Signal
from cleanhours.domain.jobs import RunSegment
from tests.unit.apps.rows_of_a_ledger import HOUR, NOON, a_run, unmeasured

_VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would make of it: every tag closed, every attribute, all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += data.replace("\u00a0", " ").replace("\u202f", " ")

    def count(self, tag: str) -> int:
        return sum(1 for name, _ in self.tags if name == tag)


def page(
    entries: Sequence[Entry], *series: ZoneSeries, title: str = "Report", credit: Sequence[str] = ()
) -> Page:
    return Page(
        report_html(
            entries,
            series=series,
            generated_at=NOON + 48 * HOUR,
            title=title,
            question=Question(attributions=credit),
        )
    )


def zone(name: str = "GB") -> ZoneSeries:
    starts = [NOON + index * HOUR for index in range(24)]
    was = 200 + 50 * np.sin(np.arange(24))
    actual = IntensitySeries.of(name, starts, was, step=HOUR, kind=Kind.ACTUAL)
    return ZoneSeries(name, actual, IntensitySeries.of(name, starts, was + 10, step=HOUR, issued_at=NOON))


def test_the_first_sentence_says_what_was_avoided() -> None:
    entries = [a_run(emissions_ug=750_000_000, avoided_ug={Cause.DELAYED: 250_000_000})]

    assert "1 run emitted 750 g of CO2e instead of 1.00 kg: 250 g (25.0 %) avoided." in page(entries).words


def test_a_loss_is_called_a_loss() -> None:
    words = page([a_run(emissions_ug=300_000_000, avoided_ug={Cause.DELAYED: -100_000_000})]).words

    assert "1 run emitted 300 g of CO2e instead of 200 g: 100 g (50.0 %) more." in words
    assert "−100 g" in words


def test_provisional_and_typical_amounts_are_said_apart() -> None:
    words = page([
        a_run(emissions_ug=100_000_000, avoided_ug={Cause.DELAYED: 100_000_000}),
        a_run(uid="2", millijoules=3_600_000_000, settled=Settled.PROVISIONAL),
        a_run(uid="3", settled=Settled.TYPICAL),
        unmeasured(uid="4"),
    ]).words  # fmt: skip

    assert "1 run emitted 100 g of CO2e instead of 200 g" in words
    assert "Not in these figures: 1 provisional run (1.00 kWh, +50.0 g avoided); 1 typical run" in words
    assert "1 run without known energy" in words
    assert "Provisional 50.0 % of the energy" in words


def test_signals_get_a_headline_each() -> None:
    words = page([a_run(), a_run(uid="2", measure=Measure(Signal.MARGINAL))]).words

    assert 2 == words.count("of CO2e instead of")
    assert "marginal, lifecycle, consumption" in words


def _page_naming_everything(name: str) -> Page:
    entry = a_run(name, location=name, zone=name, deadline=NOON + 9 * HOUR, providers=(name,))
    return page([entry, unmeasured(name, uid="2")], zone(name), title=name, credit=[name])


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onclick='x",
        "</svg><b>",
        "=cmd",
        "\x1b[2J",
    ],
)
def test_a_hostile_word_changes_the_words_of_the_page_and_nothing_else(hostile: str) -> None:
    harmless, found = _page_naming_everything("word"), _page_naming_everything(hostile)

    assert [(tag, [*names]) for tag, names in harmless.tags] == [(tag, [*names]) for tag, names in found.tags]
    assert "\x1b" not in found.words


def test_the_page_loads_nothing() -> None:
    html = report_html(
        [a_run(), a_run("b", uid="2", settled=Settled.PROVISIONAL)],
        series=[zone()],
        question=Question(attributions=["NESO, CC BY 4.0, https://carbonintensity.org.uk."]),
        generated_at=NOON,
    )
    found = Page(html)
    addresses = [
        value for tag, attributes in found.tags for name, value in attributes.items()
        if name in {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}
    ]  # fmt: skip

    assert ["https://carbonintensity.org.uk"] == addresses
    assert 0 == sum(
        found.count(tag) for tag in ("script", "link", "iframe", "object", "embed", "base", "form")
    )
    assert [] == re.findall(r"url\((?!#)|@import", html)
    assert "default-src 'none'" in html


def test_an_address_of_another_kind_is_no_link() -> None:
    found = page([a_run()], credit=["javascript:alert(1) or data:text/html,x"])

    assert 0 == found.count("a")


def test_every_plot_says_in_words_what_it_shows_and_has_its_numbers_behind_it() -> None:
    found = page([a_run()], zone())
    named = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    plots = [attributes for tag, attributes in found.tags if tag == "svg" and attributes.get("role") == "img"]

    assert 3 == len(plots)
    assert all(set((plot["aria-labelledby"] or "").split()) <= named for plot in plots)
    assert 2 == found.count("details")


def test_no_two_things_on_a_page_have_the_same_id() -> None:
    found = page([a_run(), a_run(uid="2", measure=Measure(Signal.MARGINAL))], zone(), zone("DE"))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]

    assert len(set(ids)) == len(ids)


def test_the_mean_absolute_error_of_the_forecast_is_stated() -> None:
    assert "mean absolute error 10 g CO2e/kWh" in page([a_run()], zone()).words


def test_forecast_errors_of_the_ledger_get_their_table() -> None:
    html = report_html([], generated_at=NOON, forecast_errors=[ForecastError("GB", "neso", 24, 0.125, 40)])

    assert "12.5 %" in Page(html).words
    assert "Each dot" not in Page(html).words


def test_a_forecast_of_other_hours_than_those_drawn_is_not_in_the_legend() -> None:
    given = zone()
    assert given.forecast is not None
    later = IntensitySeries.of("GB", [NOON + 90 * HOUR], [100], step=HOUR)

    assert "forecast" in {tag.get("class") for _, tag in page([a_run()], given).tags}
    assert "forecast" not in {
        tag.get("class") for _, tag in page([a_run()], ZoneSeries("GB", given.actual, later)).tags
    }


def test_without_series_the_plot_uses_what_the_rows_were_settled_on() -> None:
    found = page([a_run()])

    assert "Carbon intensity of GB and its runs" in found.words


def test_a_report_of_nothing_says_so() -> None:
    found = page([])

    assert "No run has finished and been settled yet." in found.words
    assert 0 == found.count("table")


def test_a_report_of_unmeasured_runs_claims_nothing() -> None:
    words = page([unmeasured()]).words

    assert "The energy of these runs is not known, so nothing is claimed." in words
    assert "no meter saw it" in words


def test_every_row_of_the_table_has_its_method_signal_settlement_and_reason() -> None:
    words = page([a_run("b", deadline=NOON + HOUR)]).words

    assert all(
        word in words for word in ("declared", "average, lifecycle", "final", "lowest-window", "missed")
    )


def table_of(entries: Sequence[Entry], caption: str) -> list[list[str]]:
    """The cells of the table with this caption, heads first; [] where there is none."""
    found = re.search(
        rf"<caption>{re.escape(caption)}</caption>(.*?)</table>", report_html(entries, generated_at=NOON)
    )
    rows = re.findall(r"<tr>(.*?)</tr>", found[1]) if found else []
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    return [[re.sub(r"<[^>]*>", "", cell).replace("\u00a0", " ") for cell in row] for row in cells]


def test_both_what_was_avoided_of_emissions_and_of_energy_is_told_by_cause() -> None:
    kwh, gram = 3_600_000_000, 1_000_000
    entries = [
        a_run(
            avoided_ug={Cause.DELAYED: 90 * gram, Cause.PAUSED: -20 * gram},
            energy_avoided_mj={Cause.RELOCATED: -kwh // 5, Cause.PAUSED: -kwh // 10, Cause.CAPPED: 3 * kwh},
        ),
        a_run(uid="2", energy_avoided_mj={Cause.CAPPED: 1 * kwh}, settled=Settled.PROVISIONAL),
    ]

    assert [
        ["cause", "final", "provisional"],
        ["delayed", "+90.0 g", "+50.0 g"],
        ["paused", "−20.0 g", "0 g"],
        ["sum", "+70.0 g", "+50.0 g"],
    ] == table_of(entries, "Avoided emissions (CO2e) by cause")
    assert [
        ["cause", "final", "provisional"],
        ["relocated", "−200 Wh", "0 kWh"],
        ["paused", "−100 Wh", "0 kWh"],
        ["capped", "+3.00 kWh", "+1.00 kWh"],
        ["sum", "+2.70 kWh", "+1.00 kWh"],
    ] == table_of(entries, "Avoided energy (with PUE) by cause")


def test_energy_of_which_no_cause_is_known_has_no_table() -> None:
    assert [] == table_of([a_run()], "Avoided energy (with PUE) by cause")


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_a_run_whose_clock_was_years_off_breaks_no_page(year: int) -> None:
    at = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC) if year > 2000 else datetime(year, 1, 1, tzinfo=UTC)
    entry = a_run("astray", uid="2")
    run = replace(entry.run, segments=(RunSegment(at, at, "local"),), finished_at=at)
    html = report_html([a_run(), replace(entry, run=run)], series=[zone()], generated_at=NOON)

    assert "astray" in Page(html).words
    assert len(html) < 60_000


def test_a_year_of_runs_stays_a_small_page() -> None:
    year = [
        a_run(
            f"job-{index}",
            uid=str(index),
            submitted=NOON + index * 6 * HOUR,
            started=NOON + index * 6 * HOUR + HOUR,
        )
        for index in range(1_460)
    ]
    starts = NOON + timedelta(0)
    series = IntensitySeries.of(
        "GB", [starts + index * HOUR for index in range(8_760)], [100.0] * 8_760, step=HOUR
    )

    html = report_html(year, series=[ZoneSeries("GB", series)], generated_at=NOON)

    assert len(html) < 1_000_000
    assert "500 of 1460 runs" in Page(html).words


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "at", [NOON, NOON + timedelta(seconds=5.1), NOON + 24 * HOUR - timedelta(seconds=0.1)]
)
def test_a_run_within_one_second_breaks_no_page(at: datetime, known: bool) -> None:
    end = at + timedelta(seconds=0.3)
    entry = a_run(started=at)
    run = replace(entry.run, segments=(RunSegment(at, end, "local"),), finished_at=end)
    used = (IntensityUsed("GB", at, end, 100_000_000, Kind.ACTUAL),)

    shown = page([replace(entry, run=run, intensity=used)], *([zone()] if known else []))

    assert "train" in shown.words
