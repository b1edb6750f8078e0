"""Files of intensity that are none: each is refused with its line, what stood there, and what would be right."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from cleanhours.domain.errors import ConfigurationError, SeriesError
from cleanhours_plugins.forecasts.csv import build
from tests.unit.forecasts.worlds import HOUR, NOW, Desk, context, local, plain


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b" \n \n", "an empty file"),
        ("time,intensity\n", "a header and no rows"),
        ("<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        ('{"data": []}', "JSON"),
        (plain(1, -5), "line 3: found '-5', accepted: 0 to 5000 gCO2e/kWh"),
        (plain(1, "nan"), "line 3: found 'nan', accepted: 0 to 5000"),
        (plain(1, "inf"), "line 3: found 'inf'"),
        (plain(1, 99999), "another unit? set unit"),
        (plain(1, "null"), "line 3: found 'null', accepted: a number with a decimal point, or an empty cell"),
        (plain(1, '"0,5"'), "line 3: found '0,5', accepted: a number with a decimal point"),
        (local("2026-03-02T00:00", "02/03/2026 01:00"), "line 3: found '02/03/2026 01:00', accepted: a time such as"),
        (local("2026-03-02T01:00", "2026-03-02T00:00"), "line 3: found '2026-03-02T00:00:00+00:00, an earlier time"),
        (local("2026-03-02T00:00", "2026-03-02T00:00"), "line 3: found '2026-03-02T00:00:00+00:00, the same time"),
        (local("2026-03-02T00:00"), "one time only"),
        ("time,intensity\n2026-03-02T00:00\n", "line 2: found '2026-03-02T00:00', accepted: 2 cells at least"),
        ("2026-03-02T00:00,5\n2026-03-02T01:00,6\n", "line 1: found '2026-03-02T00:00,5', accepted: a header"),
        ("when,what\nnow,5\n", "no column of times in the header"),
        (plain(1, 2).encode("utf-16"), "UTF-16 text, accepted: UTF-8"),
        (plain(1, 2).encode() + b"\xff\xfe\x00", "no text at byte"),
        (gzip.compress(plain(*range(99)).encode())[:-20], "a damaged gzip file"),
        ("start,end,value\n2026-03-02T02:00Z,2026-03-02T01:00Z,5\n", "line 2: found 'end 2026-03-02T01:00:00"),
        (
            "start,end,value\n2026-03-02T00:00Z,2026-03-02T02:00Z,5\n2026-03-02T01:00Z,2026-03-02T03:00Z,5\n",
            "accepted: an end after its start, not after the next start",
        ),
        (
            "country_code_iso_2,country_or_region,year,latest_year,emissions_intensity_gco2_per_kwh\nAR,Argentina,2021,2021,365\n",
            "yearly factors",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_line_with_what_would_be_right(
    desk: Desk, content: str | bytes, said: str
) -> None:
    with pytest.raises(SeriesError) as refused:
        desk.values(content)

    assert str(refused.value).startswith(str(desk.path))
    assert said in str(refused.value)


def test_every_faulty_line_counts_and_three_are_shown(desk: Desk) -> None:
    with pytest.raises(SeriesError, match=r"line 2: .*; line 3: .*; line 5: .*; and 2 more such lines"):
        desk.values(plain("a", "b", 3, "d", "e", "f"))


def test_a_file_that_is_wrong_all_over_is_given_up_early(desk: Desk) -> None:
    with pytest.raises(SeriesError, match="and 997 more such lines"):
        desk.values(plain(*["x"] * 5_000))


def test_a_file_that_is_not_there_names_itself(desk: Desk) -> None:
    source = build({"path": str(desk.path)}, context(desk.clock))

    with pytest.raises(ConfigurationError, match=r"path: found '.*file\.csv' \(No such file or directory\)"):
        source.forecast("GB", NOW, NOW + HOUR)


def test_every_wrong_setting_is_named_at_once(desk: Desk) -> None:
    with pytest.raises(ConfigurationError) as refused:
        desk.source(plain(1), scop="direct", scope="dirct", timezone="Mars/Base", unit="stone", signal="")

    for said in (
        "scop: found 'direct', accepted: no such setting; did you mean 'scope'?",
        "scope: found 'dirct', accepted: one of lifecycle, direct",
        "timezone: found 'Mars/Base'",
        "unit: found 'stone'",
        "signal: found ''",
    ):
        assert said in str(refused.value)
    with pytest.raises(ConfigurationError, match="path: found 'nothing'"):
        build({}, context(desk.clock))


def test_a_scope_that_the_file_contradicts_is_refused(desk: Desk) -> None:
    with pytest.raises(
        ConfigurationError, match="scope: found lifecycle, but the column 'forecast_gco2_per_kwh' is direct"
    ):
        desk.source("from_utc,forecast_gco2_per_kwh\n2026-03-02,1\n", scope="lifecycle").zones()
