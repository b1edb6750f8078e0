"""Software Carbon Intensity, against the sum in its own text and two worked by hand."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.errors import InvalidRequest
from cleanhours.planning.sci import LIFESPAN, Embodied, Score, operational_ug

HOUR = timedelta(hours=1)


def test_the_example_of_the_text_is_28_grams_an_hour() -> None:
    """1000 kg of CO2e over four years: "28 g per hour" (28.5388... before it is rounded down)."""
    hour = Embodied(total_g=1_000_000, reserved=HOUR, lifespan=timedelta(days=4 * 365))

    assert 28 == int(hour.grams)
    assert Fraction(1_000_000, 35_040) == hour.grams
    assert timedelta(hours=35_040) == LIFESPAN


def test_a_training_run_by_hand() -> None:
    """E = 12 kWh with PUE at I = 200 g/kWh: O = 2400 g.

    8 h on 2 of the 8 GPUs of a server of 1,500 kg: M = 1,500,000 x 8/35,040 x 2/8 = 85.616... g; one job.
    """
    server = Embodied(total_g=1_500_000, reserved=8 * HOUR, resources=2, total_resources=8)
    score = Score(operational_ug=operational_ug(12, 200), embodied=(server,))

    assert 2400 == score.operational_g
    assert Fraction(1_500_000 * 8 * 2, 35_040 * 8) == score.embodied_g
    assert 2485.616438 == pytest.approx(float(score.grams_per_unit or 0), abs=1e-6)


def test_a_service_by_hand() -> None:
    """Half a kWh at 400 g/kWh is 200 g; a whole server of 876 kg for 2 h of 35,040 is 50 g; over 1000 requests 0.25 g each."""
    whole = Embodied(total_g=876_000, reserved=2 * HOUR)
    score = Score(operational_ug=operational_ug(0.5, 400), units=1000, unit="request", embodied=(whole,))

    assert Fraction(1, 4) == score.grams_per_unit


def test_parts_of_the_hardware_are_added() -> None:
    server = Embodied(total_g=876_000, reserved=2 * HOUR)
    disk = Embodied(total_g=35_040, reserved=2 * HOUR, resources=1, total_resources=2)

    assert 51 == Score(operational_ug=0, embodied=(server, disk)).embodied_g


def test_unknown_hardware_is_not_nothing() -> None:
    score = Score(operational_ug=5)

    assert score.embodied_g is None
    assert score.grams_per_unit is None
    assert 0 == Score(operational_ug=0, embodied=(Embodied(total_g=0, reserved=HOUR),)).grams_per_unit


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Embodied(total_g=float("nan"), reserved=-HOUR, lifespan=timedelta(0), resources=3, total_resources=2)
    assert ["total-g", "reserved", "lifespan", "resources"] == [c.field for c in caught.value.complaints]

    with pytest.raises(InvalidRequest) as caught:
        Score(operational_ug=-1, units=0)
    assert ["operational", "units"] == [c.field for c in caught.value.complaints]


@given(
    grams=st.floats(0, 1e9),
    hours=st.integers(0, 10**5),
    parts=st.integers(1, 128),
    units=st.integers(1, 10**6),
)
def test_shares_of_a_server_add_up_to_the_server(grams: float, hours: int, parts: int, units: int) -> None:
    one = Embodied(total_g=grams, reserved=hours * HOUR, resources=1, total_resources=parts)
    all_of_it = Embodied(total_g=grams, reserved=hours * HOUR)
    score = Score(operational_ug=7, units=units, embodied=(one,) * parts)

    assert all_of_it.grams == score.embodied_g
    assert (score.operational_g + all_of_it.grams) == (score.grams_per_unit or 0) * units
