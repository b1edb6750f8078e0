"""Values with gaps: what is handed out is whole, and nothing is made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanhours_plugins.forecasts.tables import Rows
from cleanhours_plugins.forecasts.traces import trace_as_of, trace_of

FILE = Path("file.csv")
cells = st.lists(st.one_of(st.none(), st.integers(0, 50)), min_size=4, max_size=40)


def rows(values: list[int | None]) -> Rows:
    index = np.arange(len(values), dtype=np.int64)
    return Rows(index * 3600, np.array([np.nan if v is None else v for v in values], np.float64), index + 2)


@given(cells, st.integers(0, 39), st.integers(1, 40))
def test_a_part_goes_from_the_start_asked_to_the_first_gap_and_no_further(
    values: list[int | None], start: int, length: int
) -> None:
    expected: list[int] = []
    for value in values[start : start + length]:
        if value is None:
            break
        expected.append(value)

    trace = trace_of(FILE, rows(values))
    part = trace.part(start * 3600 + 1800, (start + length) * 3600)

    assert expected == ([] if part is None else trace.values[part].tolist())


@given(cells, st.integers(0, 39), st.integers(1, 40))
def test_a_late_part_is_the_first_one_known(values: list[int | None], start: int, length: int) -> None:
    expected: list[int] = []
    for value in values[start : start + length]:
        if value is None and expected:
            break
        expected += [] if value is None else [value]

    trace = trace_of(FILE, rows(values))
    part = trace.part(start * 3600, (start + length) * 3600, late=True)

    assert expected == ([] if part is None else trace.values[part].tolist())


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 99)), min_size=2, max_size=40),
    st.integers(0, 6),
)
def test_of_what_was_issued_by_now_the_newest_word_on_each_hour_counts(
    told: list[tuple[int, int, int]], now: int
) -> None:
    told = sorted({(issued, hour): (issued, hour, value) for issued, hour, value in told}.values())
    told.append((9, told[-1][1] + 1, 0))  # issued too late: it only shows how long an hour is
    oracle: dict[int, int] = {}
    for issued, hour, value in told:
        if issued <= now:
            oracle[hour * 3600] = value
    array = np.array(told, np.int64)
    read = Rows(array[:, 1] * 3600, array[:, 2].astype(np.float64), array[:, 0], issued=array[:, 0])

    trace = trace_as_of(FILE, read, now)

    found = {} if trace is None else dict(zip(trace.starts.tolist(), trace.values.tolist(), strict=True))
    assert oracle == found
