from __future__ import annotations

from datetime import timedelta

import pytest

from cleanhours.apps.report.figures import format_mj, format_percent, format_span, format_ug


@pytest.mark.parametrize(
    ("micrograms", "shown"),
    [
        (0, "0 g"), (7, "7.00 µg"), (1_500, "1.50 mg"), (780_000_000, "780 g"), (-1_234_000_000, "−1.23 kg"),
        (999_999_999, "1 000 g"), (2_500_000_000_000, "2.50 t"), (None, "—"),
    ],
)  # fmt: skip
def test_masses_have_a_fitting_unit_and_three_digits(micrograms: int | None, shown: str) -> None:
    assert shown == format_ug(micrograms).replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("millijoules", "shown"),
    [
        (3_600_000_000, "1.00 kWh"), (3_600_000, "1.00 Wh"), (3_600_000_000_000, "1.00 MWh"), (5_000, "5.00 J"),
        (0, "0 kWh"), (None, "—"),
    ],
)  # fmt: skip
def test_energies_are_in_watt_hours(millijoules: int | None, shown: str) -> None:
    assert shown == format_mj(millijoules).replace("\u00a0", " ")


def test_a_sign_is_shown_where_it_matters() -> None:
    assert "+1.00\u00a0g" == format_ug(1_000_000, signed=True)
    assert "−1.00\u00a0g" == format_ug(-1_000_000, signed=True)
    assert "0\u00a0g" == format_ug(0, signed=True)


def test_a_share_of_nothing_is_not_known() -> None:
    assert "—" == format_percent(1, 0)
    assert "—" == format_percent(None, 3)
    assert "33.3\u00a0%" == format_percent(1, 3)
    assert "−50.0\u00a0%" == format_percent(-1, 2)


@pytest.mark.parametrize(
    ("length", "shown"),
    [(timedelta(hours=26), "1 d 2 h"), (timedelta(hours=2), "2 h"), (timedelta(minutes=90), "1 h 30 min"), (timedelta(0), "0 s")],
)  # fmt: skip
def test_lengths_have_two_units(length: timedelta, shown: str) -> None:
    assert shown == format_span(length).replace("\u00a0", " ")
