"""The head of the report: the one sentence, the tiles, and what they rest on."""

from __future__ import annotations

from cleanhours.apps.report.drawing import Markup, element
from cleanhours.apps.report.figures import NOTHING, format_count, format_mj, format_percent, format_ug
from cleanhours.apps.report.summary import Summary, Sums
from cleanhours.domain.accounts import Settled


def measure_words(summary: Summary) -> str:
    """Which question the figures answer."""
    measure = summary.measure
    return f"{measure.signal}, {measure.scope}, {measure.basis}"


def headline(summary: Summary, *, alone: bool) -> Markup:
    """One measure's figures; `alone` leaves its name to the badges."""
    leading = summary.by_settled[summary.leading]
    named = () if alone else (element("h2", measure_words(summary)),)
    return element(
        "div",
        *named,
        _lead(summary, leading),
        _tiles(summary, leading),
        _badges(summary),
        _apart(summary),
    )


def _lead(summary: Summary, sums: Sums) -> Markup:
    """The one sentence that people will quote, with its sign and its certainty."""
    if not sums.runs:
        return element("p", "The energy of these runs is not known, so nothing is claimed.", class_="lead")
    share = format_percent(abs(sums.avoided_ug), sums.baseline_ug)
    saved = sums.avoided_ug >= 0
    change = f"{format_ug(abs(sums.avoided_ug))} ({share}) {'avoided' if saved else 'more'}"
    certain = {
        Settled.FINAL: "",
        Settled.PROVISIONAL: " so far, provisionally",
        Settled.TYPICAL: ", judged on typical intensity",
    }
    return element(
        "p",
        f"{format_count(sums.runs, 'run')} emitted {format_ug(sums.emissions_ug)} of CO2e instead of {format_ug(sums.baseline_ug)}: ",
        element("strong", change, class_="good" if saved else "bad"),
        f"{certain[summary.leading]}.",
        class_="lead",
    )


def _tiles(summary: Summary, sums: Sums) -> Markup:
    kept, missed = summary.deadlines_kept, summary.deadlines_missed
    what = summary.leading.value
    verdict = f"{kept} of {kept + missed}" if kept + missed else NOTHING
    cells = [
        ("Avoided", format_ug(sums.avoided_ug, signed=True), f"{format_percent(sums.avoided_ug, sums.baseline_ug, signed=True)}, {what}"),
        ("Emissions", format_ug(sums.emissions_ug), f"CO2e, {what}"),
        ("Baseline", format_ug(sums.baseline_ug), "the same work at once, at home"),
        ("Energy", format_mj(sums.millijoules), _energy_words(sums)),
        ("Deadlines kept", verdict, "all kept" if kept and not missed else f"{missed} missed" if missed else "none was set"),
    ]  # fmt: skip
    unknown = not sums.runs
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", name),
                element("dd", NOTHING if unknown and name != "Deadlines kept" else big, class_="big"),
                element("dd", sub, class_="sub"),
                class_="tile",
            )
            for name, big, sub in cells
        ),
        class_="tiles",
    )


def _energy_words(sums: Sums) -> str:
    saved = f"; {format_mj(sums.energy_avoided_mj, signed=True)} avoided" if sums.energy_avoided_mj else ""
    return f"metered, before PUE{saved}"


def _badges(summary: Summary) -> Markup:
    """Method, signal and provisional share of the figures above."""
    whole = summary.by_settled[summary.leading].millijoules
    methods = [
        f"{method} {format_percent(row[summary.leading].millijoules, whole)}"
        for method, row in summary.by_method.items()
        if row[summary.leading].runs
    ]
    facts = [
        ("Signal", measure_words(summary)),
        ("Provider", ", ".join(summary.providers) or NOTHING),
        ("Energy by method", ", ".join(methods) or NOTHING),
        ("Meter coverage", format_percent(summary.coverage, 1)),
        ("Provisional", f"{format_percent(summary.provisional_share, 1)} of the energy"),
    ]
    return element(
        "ul", *(element("li", element("b", name), f" {value}") for name, value in facts), class_="badges"
    )


def _apart(summary: Summary) -> Markup:
    """What stands beside the figures above and is not in them."""
    words = []
    for settled, sums in summary.by_settled.items():
        if settled is not summary.leading and sums.runs:
            amount = format_ug(sums.avoided_ug, signed=True)
            words.append(
                f"{format_count(sums.runs, f'{settled} run')} ({format_mj(sums.millijoules)}, {amount} avoided)"
            )
    if summary.unmeasured:
        words.append(f"{format_count(len(summary.unmeasured), 'run')} without known energy")
    text = (
        f"Not in these figures: {'; '.join(words)}."
        if words
        else "Every run of this measure is in these figures."
    )
    return element("p", text, class_="note")
