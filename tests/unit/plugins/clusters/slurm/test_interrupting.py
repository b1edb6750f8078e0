"""How long a submission may be kept waiting: one budget for all that is waited for."""

from __future__ import annotations

import pytest

from cleanhours_plugins.clusters.slurm.interrupting import LONGEST_PATIENCE_S, USUAL_PATIENCE_S, Patience


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("5", 5.0),
        ("30", LONGEST_PATIENCE_S),
        ("31", 2.0),
        ("0", 2.0),
        ("-1", 2.0),
        ("nan", 2.0),
        ("long", 2.0),
    ],
)
def test_what_is_no_number_of_seconds_up_to_thirty_is_not_heard(told: str, seconds: float) -> None:
    assert seconds == Patience({"CLEANHOURS_PATIENCE": told}).whole_s
    assert USUAL_PATIENCE_S == Patience({}).whole_s


def test_what_one_thing_took_is_not_left_for_the_next() -> None:
    times = iter([10.0, 11.5, 20.0, 29.0])
    patience = Patience({"CLEANHOURS_PATIENCE": "3"}, lambda: next(times))

    with patience.spent() as first:
        pass
    with patience.spent() as second:
        pass

    assert (3.0, 1.5) == (first, second)
    assert 0 < patience.left_s < 0.5, "what is asked may be there at once"
