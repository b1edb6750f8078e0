from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.apps.charts import Drawing, drawing_for, intensity_chart, plan_chart, strip
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 5, 18, tzinfo=UTC)


def hourly(*values: float, zone: str = "GB", start: datetime = NOW) -> IntensitySeries:
    return IntensitySeries.of(
        zone, [start + index * HOUR for index in range(len(values))], values, step=HOUR, provider="csv"
    )


def planned(first: int, last: int, location: str = "local") -> Plan:
    segment = Segment(NOW + first * HOUR, NOW + last * HOUR, location, "GB")
    return Plan(
        location=location,
        zone="GB",
        start=segment.start,
        end=segment.end,
        segments=(segment,),
        latest_start=NOW + 9 * HOUR,
        reason=Reason.LOWEST_WINDOW,
    )


REQUEST = JobRequest(submitted=NOW, duration=2 * HOUR, deadline=NOW + 12 * HOUR)
DAY = (300, 300, 250, 200, 150, 50, 50, 150, 200, 250, 300)


def test_a_plan_is_drawn_on_its_forecast() -> None:
    chart = plan_chart({"local": hourly(*DAY)}, planned(5, 7), REQUEST, NOW, Drawing(56))

    assert chart == [
        "GB · gCO2e/kWh · average · lifecycle · csv",
        "   300 │████████                                ████",
        "       │████████████                        ████████",
        "   150 │████████████████                ████████████",
        "       │████████████████████        ████████████████",
        "       │████████████████████        ████████████████",
        "     0 │████████████████████████████████████████████····",
        "   run                      ━━━━━━━━",
        "       └┬───────┬───────┬───────┬───────┬───────┬───────",
        "   UTC  18:00   20:00   22:00   6 Mar   02:00   04:00",
        "        ▲ now Thu 18:00",
        "                     latest start Fri 03:00 ▲",
        "                                    deadline Fri 06:00 ▲",
    ]


def test_a_terminal_without_blocks_gets_plain_letters() -> None:
    chart = plan_chart({"local": hourly(*DAY)}, planned(5, 7), REQUEST, NOW, Drawing(56, unicode=False))

    assert all(line.isascii() for line in chart)
    assert "   run                      ========" in chart


def test_several_locations_get_a_row_each_with_the_chosen_one_first() -> None:
    series = {"berlin": hourly(*DAY, zone="DE"), "local": hourly(*[30] * 11)}

    chart = plan_chart(series, planned(5, 7), REQUEST, NOW, Drawing(56))

    assert [line.split()[0] for line in chart[1:4]] == ["local", "run", "berlin"]


@pytest.mark.parametrize("unicode", [True, False])
def test_an_hour_of_zero_is_a_low_bar_and_an_unknown_hour_is_none(unicode: bool) -> None:
    low, unknown = ("▁", "·") if unicode else (".", "?")

    assert (
        strip(hourly(0, 100), NOW, NOW + 3 * HOUR, 3, unicode=unicode)
        == f"{low}{'█' if unicode else '#'}{unknown}"
    )


def test_a_hostile_name_is_shown_and_not_obeyed() -> None:
    series = {"\x1b[2J": hourly(*DAY, zone="\x1b]0;x\x07"), "local": hourly(*DAY)}

    chart = plan_chart(series, planned(5, 7), REQUEST, NOW, Drawing(80))

    assert not any("\x1b" in line or "\x07" in line for line in chart)


def test_colour_changes_nothing_but_colour() -> None:
    import re

    plain = plan_chart({"local": hourly(*DAY)}, planned(5, 7), REQUEST, NOW, Drawing(60))
    coloured = plan_chart({"local": hourly(*DAY)}, planned(5, 7), REQUEST, NOW, Drawing(60, colour=True))

    assert plain == [re.sub(r"\x1b\[\d+m", "", line).rstrip() for line in coloured]
    assert plain != coloured


@given(st.integers(0, 200), st.lists(st.floats(0, 1000), min_size=1, max_size=60), st.booleans())
def test_no_line_is_wider_than_asked(width: int, values: list[float], unicode: bool) -> None:
    drawing = Drawing(min(max(width, 40), 120), unicode)

    chart = plan_chart({"local": hourly(*values)}, planned(5, 7), REQUEST, NOW, drawing)
    chart += intensity_chart(hourly(*values), NOW, drawing)

    assert all(len(line) <= drawing.width for line in chart)


def test_without_any_forecast_there_is_no_chart() -> None:
    assert plan_chart({}, planned(5, 7), REQUEST, NOW) == []


@dataclass
class Stream:
    encoding: str | None
    terminal: bool

    def isatty(self) -> bool:
        return self.terminal


def test_colour_needs_a_terminal_that_wants_it() -> None:
    terminal = Stream("utf-8", terminal=True)

    assert drawing_for(terminal, {}, 80) == Drawing(80, unicode=True, colour=True)
    assert drawing_for(terminal, {"NO_COLOR": "1"}, 80) == Drawing(80)
    assert drawing_for(terminal, {"TERM": "dumb"}, 80) == Drawing(80)
    assert drawing_for(Stream("utf-8", terminal=False), {}, 80) == Drawing(80)


def test_blocks_need_an_encoding_that_has_them() -> None:
    assert drawing_for(Stream("latin-1", terminal=False), {}, 500) == Drawing(120, unicode=False)
    assert not drawing_for(io.StringIO(), {}, 80).unicode
