"""The model of Green Algorithms, against sums worked by hand, and the table of GPUs against its source."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.resources import Demand
from cleanhours.planning.metering import combine
from cleanhours.testing.meters import HOUR, a_finished_run
from cleanhours_plugins.meters import green_algorithms, processes
from cleanhours_plugins.meters.gpu_tdp import GPU_TDP_W
from tests.unit.meters.reporting import KWH_MJ, by_component, context, one_hour
from tools.build_gpu_tdp import LEFT_OUT, device, module, table

GB = 10**9


def known(held: Demand, run: Any = None, **settings: Any) -> EnergyProfile:
    meter = green_algorithms.build(settings, context())
    return meter.energy(run or one_hour(allocated=held))


def test_first_example_by_hand() -> None:
    """12 h on 8 cores of 12 W at full use with 64 GB: 12 x (8 x 12 x 1 + 64 x 0.3725) x 0.001 = 1.43808 kWh."""
    segment = a_finished_run().segments[0]
    run = one_hour(
        allocated=Demand(cpu_millicores=8000, memory_bytes=64 * GB),
        segments=(type(segment)(segment.start, segment.start + 12 * HOUR, "home"),),
        finished_at=segment.start + 12 * HOUR,
    )
    profile = green_algorithms.build({"cpu_watts": 12}, context()).energy(run)

    assert round(1.43808 * KWH_MJ) == profile.millijoules
    assert {Component.CPU: round(1.152 * KWH_MJ), Component.MEMORY: round(0.28608 * KWH_MJ)} == by_component(
        profile
    )
    assert profile.upper_estimate
    assert 1.0 == profile.coverage
    assert {(Method.MODELLED, "green-algorithms")} == {(part.method, part.meter) for part in profile.slices}


def test_second_example_by_hand_with_gpus() -> None:
    """1 h on 4 H100 SXM at 80 %, 16 cores of 3.75 W at half use, 200 GB.

    1 x (16 x 3.75 x 0.5 + 4 x 700 x 0.8 + 200 x 0.3725) x 0.001 = 0.03 + 2.24 + 0.0745 = 2.3445 kWh.
    """
    profile = known(
        Demand(cpu_millicores=16_000, memory_bytes=200 * GB, gpus=4),
        cpu_watts=3.75, cpu_usage=0.5, gpu_watts="H100-SXM", gpu_usage=0.8,
    )  # fmt: skip

    assert round(2.3445 * KWH_MJ) == profile.millijoules
    assert round(2.24 * KWH_MJ) == by_component(profile)[Component.GPU]


def test_time_is_running_time_and_energy_lies_in_it() -> None:
    run = a_finished_run(allocated=Demand(cpu_millicores=1000))
    profile = green_algorithms.build({"cpu_watts": 10}, context()).energy(run)

    assert KWH_MJ // 100 == profile.millijoules
    assert [(part.start, part.end) for part in run.segments] == [(p.start, p.end) for p in profile.slices]


@pytest.mark.parametrize(
    ("held", "settings"),
    [
        (Demand(cpu_millicores=1000), {}),
        (Demand(), {"cpu_watts": 10}),
        (Demand(memory_bytes=GB), {"cpu_watts": 10}),
        (Demand(cpu_millicores=1000, gpus=1), {"cpu_watts": 10}),
        (Demand(cpu_millicores=1000, gpus=1), {"cpu_watts": 10, "gpu_watts": {"a100": 400}}),
    ],
)
def test_what_was_held_or_draws_is_not_guessed(held: Demand, settings: dict[str, Any]) -> None:
    assert EnergyProfile(coverage=0.0) == known(held, **settings)


def test_gpus_are_told_apart_where_slurm_names_their_type() -> None:
    held = Demand(cpu_millicores=1000, gpus=2)
    watts = {"a100": "a100-sxm4-80gb", "*": 300}

    def of(usage: dict[str, float]) -> int:
        run = one_hour(allocated=held, usage=usage)
        return by_component(known(held, run, cpu_watts=1, gpu_watts=watts))[Component.GPU]

    assert 2 * 400 * 3_600_000 == of({"slurm_gpus.0": 2.0, "slurm_gpus.0.A100": 2.0})
    assert 2 * 300 * 3_600_000 == of({"slurm_gpus.0": 2.0, "slurm_gpus.0.l4": 2.0})
    assert 2 * 300 * 3_600_000 == of({"slurm_gpus.0.a100": 1.0, "slurm_gpus.0.l4": 1.0})
    assert 2 * 300 * 3_600_000 == of({})


def test_of_two_models_the_one_that_is_no_ceiling_counts() -> None:
    """Processor time that was used says more than the power a processor is built for."""
    run = one_hour(allocated=Demand(cpu_millicores=4000), usage={"cpu_seconds": 3600.0})
    meters = (green_algorithms.build({"cpu_watts": 12}, context()), processes.build({}, context()))
    found = combine([(meter.name, meter.energy(run)) for meter in meters])

    assert {"processes"} == {part.meter for part in found.slices}
    assert not found.upper_estimate


def test_every_fault_of_the_table_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        green_algorithms.build(
            {
                "cpu_usage": 2, "gpu_usage": 0, "memory_watts_per_gb": "x", "gpu_watts": {"a": "h100-smx", "b": -1},
                "cpu_wats": 3,
            },
            context(),
        )  # fmt: skip

    said = str(caught.value)
    for part in (
        "meters.green-algorithms.cpu_watts: missing",
        "did you mean 'cpu_watts'?",
        "meters.green-algorithms.cpu_usage: found 2",
        "meters.green-algorithms.gpu_usage: found 0",
        "meters.green-algorithms.memory_watts_per_gb: found 'x'",
        "meters.green-algorithms.gpu_watts.a: found 'h100-smx', accepted: watts above 0, or a device of the table",
        "did you mean 'h100-sxm'?",
        "meters.green-algorithms.gpu_watts.b: found -1",
    ):
        assert part in said


# --- the table of GPUs ----------------------------------------------------------------------------------------------


def test_devices_have_the_names_that_settings_write() -> None:
    assert "a100-sxm4-80gb" == device("A100 SXM4 80 GB")
    assert "rtx-3080-ti" == device("RTX 3080 TI")
    assert all(name == device(name) for name in GPU_TDP_W)
    assert all(10 < watts <= 1000 for watts in GPU_TDP_W.values())


def test_processors_tpus_and_wrong_rows_are_left_out() -> None:
    rows = [
        {"name": "L4", "type": "gpu", "tdp_watts": "72"},
        {"name": "GTX 750", "type": "gpu", "tdp_watts": "250"},
        {"name": "TPUv2 Chip", "type": "tpu", "tdp_watts": "221"},
    ]
    assert {"l4": 72.0} == table(rows)
    assert '"l4": 72,\n' in module(table(rows))
    with pytest.raises(ValueError, match="there is a l4 already"):
        table([rows[0], rows[0]])


def test_the_shipped_table_is_what_its_source_says(test_data: Path) -> None:
    source = test_data / "provider-samples" / "energy" / "mlco2_gpus.csv"
    if not source.exists():
        pytest.skip(f"no {source}")
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert table(rows) == dict(GPU_TDP_W)
    assert set(LEFT_OUT) <= {row["name"] for row in rows}
    shipped = Path(green_algorithms.__file__).with_name("gpu_tdp.py")
    assert module(table(rows)) == shipped.read_text("utf-8")
