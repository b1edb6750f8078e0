"""NVML: the energy counters of NVIDIA GPUs (Volta and newer), given to the runs whose processes compute on them.

`nvmlDeviceGetTotalEnergyConsumption` counts millijoules since the driver was loaded
(https://docs.nvidia.com/deploy/nvml-api). Between two looks a GPU's energy goes in equal parts to the runs seen on it at
the second; a GPU that nobody of ours uses is nobody's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.jobs import FinishedRun, Job, RunKey
from cleanhours.ports import Clock, Context
from cleanhours_plugins.meters.keys import check_keys, folder
from cleanhours_plugins.meters.kinship import members, processes
from cleanhours_plugins.meters.watching import Observations, handles, run_of, running_since, window

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What was read at one instant: per GPU its counter, and which runs compute on it."""

    now: datetime
    counters_mj: Mapping[int, int]
    users: Mapping[int, frozenset[RunKey]]


@dataclass(slots=True)
class NvmlMeter:
    """Looks at the counters each tick; knows what it saw of each run. `library` is pynvml, imported when first used."""

    clock: Clock
    proc: Path
    library: Any = None
    name: str = "nvml"
    _seen: Observations = field(default_factory=lambda: Observations(Method.MEASURED, "nvml"))
    _last: Look | None = None
    _ready: bool = False
    _absent: bool = False

    def sample(self, running: Sequence[Job]) -> None:
        if self._absent or not self._prepared():
            return
        look = self._look(running)
        if look is None:
            self._last = None
            return
        if self._last is not None and look.now > self._last.now:
            self._share(self._last, look, {run_of(job): running_since(job) for job in running})
        self._last = look
        self._seen.forget(look.now)

    def energy(self, run: FinishedRun) -> EnergyProfile:
        return self._seen.profile(run)

    def _prepared(self) -> bool:
        """Loads the library once; a machine without GPUs is asked only once."""
        if self._ready:
            return True
        try:
            if self.library is None:
                import pynvml

                self.library = pynvml
            self.library.nvmlInit()
            self._ready = True
        except ImportError:
            self._say_absent("nvidia-ml-py is not installed: pip install 'cleanhours[nvidia]'")
        except self.library.NVMLError as fault:
            self._say_absent(str(fault))
        return self._ready

    def _say_absent(self, why: str) -> None:
        self._absent = True
        log.info("no NVIDIA GPU counters error=%s", why)

    def _look(self, running: Sequence[Job]) -> Look | None:
        """None where the GPUs do not answer."""
        nvml = self.library
        everyone = processes(self.proc)
        owners = {key: members(everyone, pids) for key, pids in handles(running).items()}
        counters: dict[int, int] = {}
        users: dict[int, frozenset[RunKey]] = {}
        try:
            for index in range(nvml.nvmlDeviceGetCount()):
                device = nvml.nvmlDeviceGetHandleByIndex(index)
                pids = {process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(device)}
                counters[index] = int(nvml.nvmlDeviceGetTotalEnergyConsumption(device))
                users[index] = frozenset(key for key, own in owners.items() if own & pids)
        except nvml.NVMLError as fault:
            log.debug("GPU counters not read error=%s", fault)
            return None
        return Look(self.clock.now(), counters, users)

    def _share(self, before: Look, after: Look, since: Mapping[RunKey, datetime | None]) -> None:
        drawn: dict[RunKey, float] = {}
        for index, counter in after.counters_mj.items():
            passed = counter - before.counters_mj.get(index, counter)
            users = after.users[index]
            for key in users if passed >= 0 else ():  # a driver loaded anew counts from 0
                _, share = window(since.get(key), before.now, after.now)
                drawn[key] = drawn.get(key, 0.0) + passed * share / len(users)
        for key, millijoules in drawn.items():
            start, _ = window(since.get(key), before.now, after.now)
            self._seen.add(key, Component.GPU, start, after.now, round(millijoules))


def build(settings: Mapping[str, Any], context: Context) -> NvmlMeter:
    """The meter. Its table may name another folder than /proc. Raises ConfigurationError."""
    check_keys("nvml", settings, ("proc",))
    return NvmlMeter(context.clock, folder("nvml", settings, "proc", "/proc"))
