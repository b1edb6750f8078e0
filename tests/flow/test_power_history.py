"""A job whose owner told no power is planned with what its earlier runs drew; the owner's account stays his own."""

from __future__ import annotations

from cleanhours.testing.meters import FakeMeter
from tests.flow.test_cycle import HOUR, Stage


def test_the_second_run_of_a_work_is_planned_with_the_power_of_the_first() -> None:
    stage = Stage()
    stage.settler.meters = (FakeMeter(watts=812),)
    first = stage.submit()
    stage.live(stage.clock.now() + HOUR / 4)
    plan = stage.job(first).plan
    assert plan is not None
    assert (1000.0, True) == (plan.power_w, plan.power_assumed)

    stage.live(stage.clock.now() + 40 * HOUR)
    (settled,) = stage.ledger.current()
    assert [812.0] == list(stage.ledger.powers(first.cluster, settled.run.namespace, "train"))
    second = stage.submit()
    stage.live(stage.clock.now() + HOUR / 4)

    plan = stage.job(second).plan
    assert plan is not None
    assert (812.0, False) == (plan.power_w, plan.power_assumed)
    assert stage.job(second).request.power_w is None
