"""The energy of runs by Slurm's own counting: the rule, with what was seen on a real Slurm at 200 W a node."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cleanhours.domain.jobs import RunSegment
from cleanhours.testing.meters import a_finished_run
from cleanhours_plugins.clusters.slurm.energy import (
    Energy,
    energy_of,
    hostnames,
    joules_of_nodes,
    usage_held,
    usage_of,
)
from cleanhours_plugins.clusters.slurm.histories import History, Resources, histories
from cleanhours_plugins.meters.site_watts import CpuWatts, Table
from cleanhours_plugins.meters.slurm import SlurmMeter
from tests.unit.plugins.clusters.slurm.recorded import accounts, at, job, step

NO_VAL64 = "18446744073709551614"
FOUR_EACH = {"fr1": 4, "fr2": 4, "de1": 4, "pl1": 4}
ONE_NODE = {"NNodes": "1", "NodeList": "de1", "AllocTRES": "billing=4,cpu=4,node=1"}
A_QUARTER = {"NNodes": "1", "NodeList": "de1", "AllocTRES": "billing=1,cpu=1,node=1"}


def history(*rows: str) -> History:
    [found] = histories(accounts(*rows)).values()
    return found


def energy(*rows: str) -> Energy:
    return energy_of(history(*rows).last, FOUR_EACH)


# --- the table of what was seen -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "joules"),
    [
        pytest.param([job(**ONE_NODE), step("batch", "1200")], 1200, id="one node, no srun, 6 s"),
        pytest.param(
            [job(ConsumedEnergyRaw="3200"), step("batch", "2800"), step("0", "2400"), step("1", "800")],
            5600,
            id="two nodes, 14 s, two sruns",
        ),
        pytest.param([job(**ONE_NODE, Suspended="00:00:07"), step("batch", "3600")], 3600, id="suspended"),
        pytest.param(
            [job(**ONE_NODE, ConsumedEnergyRaw="600"), step("0", "600")], 600, id="srun without a script"
        ),
        pytest.param([job(**ONE_NODE), step("interactive", "900")], 900, id="salloc"),
    ],
)
def test_without_an_extern_step_the_larger_of_job_row_and_batch_is_an_estimate(
    rows: Sequence[str], joules: float
) -> None:
    assert Energy(joules, estimated=True) == energy(*rows)


def test_the_extern_step_is_all_of_it_and_its_steps_are_not_added() -> None:
    """Two nodes, 10 s, two sruns, PrologFlags=Contain."""
    found = energy(
        job(ConsumedEnergyRaw="4000"), step("batch", "2000"), step("extern", "4000"), step("0", "2400")
    )

    assert Energy(4000) == found
    assert found.measured


def test_the_extern_step_stands_before_a_job_row_that_counted_twice() -> None:
    """Seen at another site in 2021 (BSC-ES/autosubmit#741): the job row was twice `.extern`."""
    assert Energy(4000) == energy(job(ConsumedEnergyRaw="8000"), step("extern", "4000"), step("0", "4000"))


def test_two_jobs_that_share_a_node_each_have_the_part_of_its_cpus() -> None:
    """Both saw the node's 1200 J; each held one of its four CPUs."""
    assert Energy(300, estimated=True, shared=True) == energy(job(**A_QUARTER), step("batch", "1200"))
    assert Energy(300, shared=True) == energy(job(**A_QUARTER), step("extern", "1200", NNodes="1"))


def test_a_job_on_some_cpus_of_two_nodes_has_their_part_of_both() -> None:
    """6 of 8 CPUs."""
    row = job(AllocTRES="billing=6,cpu=6,node=2")

    assert Energy(3000, shared=True) == energy(row, step("extern", "4000"))


# --- what is not measured -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", "0", "null", NO_VAL64])
def test_what_is_not_measured_is_not_zero(nothing: str) -> None:
    rows = (job(ConsumedEnergyRaw=nothing), step("batch", nothing), step("extern", nothing))

    assert Energy(None) == energy(*rows)
    assert (None, False) == joules_of_nodes(history(*rows).last.first)


def test_an_extern_step_that_was_not_measured_leaves_the_estimate() -> None:
    assert Energy(4000, estimated=True) == energy(job(), step("batch", "2000"), step("extern", NO_VAL64))


def test_energy_of_a_node_that_nobody_knows_is_not_the_jobs() -> None:
    """It left the cluster: whether others used it cannot be said any more."""
    assert Energy(None) == energy(job(NodeList="fr1,gone7"), step("extern", "4000"))


def test_a_heterogeneous_job_is_measured_when_all_its_parts_are() -> None:
    leader = (job("9+0", JobIDRaw="9", **ONE_NODE), step("extern", "1000", id="9", NNodes="1"))
    part = {**A_QUARTER, "NodeList": "pl1"}
    measured = (job("9+1", JobIDRaw="10", **part), step("extern", "1000", id="10", NNodes="1"))

    assert Energy(1250, shared=True) == energy(*leader, *measured)
    assert Energy(None) == energy(*leader, job("9+1", JobIDRaw="10", **part))


def test_a_pause_of_slurms_makes_even_the_extern_step_an_estimate() -> None:
    """Its CPUs were others' to use meanwhile."""
    assert Energy(4000, estimated=True) == energy(job(Suspended="00:00:07"), step("extern", "4000"))


# --- usage ----------------------------------------------------------------------------------------------------------


def test_every_run_of_a_requeued_job_says_its_own_energy() -> None:
    found = history(
        job("11", State="REQUEUED", End="4", **A_QUARTER),
        step("extern", "600", id="11", NNodes="1"),
        job("11", Submit="4", Start="10", End="19", **ONE_NODE),
        step("batch", "1800", id="11"),
    )

    assert {
        "slurm_cpus.0": 1.0,
        "slurm_nodes.0": 1.0,
        "slurm_joules.0": 150.0,
        "slurm_shared.0": 1.0,
        "slurm_cpus.1": 4.0,
        "slurm_nodes.1": 1.0,
        "slurm_cpu_seconds.1": 0.044,
        "slurm_joules.1": 1800.0,
        "slurm_estimated.1": 1.0,
    } == usage_of(found.stretches, FOUR_EACH)


def test_the_meter_reads_the_words_in_which_it_is_told() -> None:
    """1 of 4 CPUs of 1200 J; then an hour of 2 GPUs x 400 W and 8 CPUs x 5 W, which is not measured."""
    gpus = job("12", AllocTRES="cpu=8,gres/gpu:a100=2,gres/gpu=2,node=1", End="3600", NodeList="fr1")
    for rows, meter, joules in (
        ((job("12", **A_QUARTER), step("batch", "1200", id="12")), SlurmMeter(), 300),
        ((gpus,), SlurmMeter(Table(CpuWatts(5.0), {"a100": 400.0})), 840 * 3600),
    ):
        found = history(*rows)
        ended = found.last.ended
        assert ended is not None
        segments = (RunSegment(at(0), ended, "fr", ("12", "0")),)
        usage = usage_of(found.stretches, FOUR_EACH)
        profile = meter.energy(a_finished_run(segments=segments, finished_at=ended, usage=usage))

        assert joules * 1000 == profile.millijoules


def test_a_run_without_energy_says_what_it_held() -> None:
    row = job(AllocTRES="cpu=8,gres/gpu:a100=2,gres/gpu:h100=1,gres/gpu=3,mem=64G,node=2")

    assert {
        "slurm_cpus.0": 8.0,
        "slurm_memory_bytes.0": 64.0 * 2**30,
        "slurm_nodes.0": 2.0,
        "slurm_cpu_seconds.0": 0.044,
        "slurm_gpus.0": 3.0,
        "slurm_gpus.0.a100": 2.0,
        "slurm_gpus.0.h100": 1.0,
    } == usage_of(history(row).stretches, FOUR_EACH)


def test_where_slurm_keeps_no_accounts_a_run_says_what_it_was_seen_to_hold() -> None:
    held = [Resources(4, 0, 1, 1, (("a100", 1),)), Resources(2, 0, 1, 1, (("a100", 1),))]

    assert {
        "slurm_cpus.3": 6.0,
        "slurm_nodes.3": 2.0,
        "slurm_gpus.3": 2.0,
        "slurm_gpus.3.a100": 2.0,
    } == usage_held(3, held)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("de1", ["de1"]),
        ("de[1-3,07],fr1", ["de1", "de2", "de3", "de07", "fr1"]),
        ("n[008-011]", ["n008", "n009", "n010", "n011"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("US-CAL-CISO[1-2]", ["US-CAL-CISO1", "US-CAL-CISO2"]),
        ("", []),
    ],
)
def test_lists_of_nodes_are_read(text: str, names: Sequence[str]) -> None:
    assert names == list(hostnames(text))
