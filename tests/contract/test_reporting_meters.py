"""Meters that read what runs wrote of themselves, and models, keep the promises of every meter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.resources import Demand
from cleanhours.ports import Meter
from cleanhours.testing.meters import START, MeterContract, a_finished_run
from cleanhours_plugins.meters import boamps, codecarbon, green_algorithms, zeus
from tests.unit.meters.reporting import context


class TestCodeCarbon(MeterContract):
    @pytest.fixture
    def metered(self, tmp_path: Path) -> tuple[Meter, FinishedRun]:
        (tmp_path / "1.csv").write_text(
            "timestamp,duration,cpu_energy,gpu_energy,ram_energy,energy_consumed,tracking_mode\n"
            "2026-03-01T01:30:20,5400,0.1,0.2,0.3,0.6,machine\n"
        )
        table = {"folder": str(tmp_path), "file": "{uid}.csv", "timezone": "UTC"}
        return codecarbon.build(table, context()), a_finished_run()


class TestZeus(MeterContract):
    @pytest.fixture
    def metered(self, tmp_path: Path) -> tuple[Meter, FinishedRun]:
        (tmp_path / "1.csv").write_text(
            "start_time,window_name,elapsed_time,gpu0_energy\n"
            f"{START.timestamp() - 10},training,5420.5,1000.5\n{START.timestamp() + 5411},late,20,7\n"
        )
        return zeus.build({"folder": str(tmp_path), "file": "{uid}.csv"}, context()), a_finished_run()


class TestBoAmps(MeterContract):
    @pytest.fixture
    def metered(self, tmp_path: Path) -> tuple[Meter, FinishedRun]:
        measure = {
            "powerConsumption": 0.7,
            "measurementDuration": 60,
            "measurementDateTime": "2026-03-01 00:10:00",
        }
        (tmp_path / "1.json").write_text(json.dumps({"measures": [measure]}))
        table = {"folder": str(tmp_path), "file": "{uid}.json", "timezone": "UTC"}
        return boamps.build(table, context()), a_finished_run()


class TestGreenAlgorithms(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        held = Demand(cpu_millicores=1500, memory_bytes=7, gpus=3)
        table = {"cpu_watts": 7.3, "gpu_watts": 299.9}
        return green_algorithms.build(table, context()), a_finished_run(allocated=held)
