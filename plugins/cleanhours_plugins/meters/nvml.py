"""NVML: the energy counters of NVIDIA GPUs (Volta and newer), given to the runs whose processes compute on them.

`nvmlDeviceGetTotalEnergyConsumption` counts millijoules since the driver was loaded
(https://docs.nvidia.com/deploy/nvml-api). Between two looks a GPU's energy goes in equal parts to the runs seen on it at
the second; a GPU that nobody of ours uses is nobody's. A GPU that does not answer (one without the counter beside others
that have it) is said once, and leaves the others be: only of the runs on it nothing is known for that time, for what the
others drew is not all of theirs.
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
from cleanhours_plugins.meters.keys import Table, folder
from cleanhours_plugins.meters.kinship import members, processes
from cleanhours_plugins.meters.watching import Observations, handles, run_of, running_since, window

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What was read at one instant: per GPU which runs compute on it, and its counter, where it has one that answers."""

    now: datetime
    users: Mapping[int, frozenset[RunKey]]
    counters_mj: Mapping[int, int]


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
    _said: set[int | None] = field(default_factory=set)

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
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as fault:
            self._say(None, str(fault))
            return None
        counters: dict[int, int] = {}
        users: dict[int, frozenset[RunKey]] = {}
        for index in range(count):
            try:
                device = nvml.nvmlDeviceGetHandleByIndex(index)
                pids = {process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(device)}
                users[index] = frozenset(key for key, own in owners.items() if own & pids)
                counters[index] = int(nvml.nvmlDeviceGetTotalEnergyConsumption(device))
            except nvml.NVMLError as fault:
                self._say(index, str(fault))
        return Look(self.clock.now(), users, counters)

    def _say(self, index: int | None, why: str) -> None:
        """Once a GPU, not once a look; None stands for all of them."""
        if index not in self._said:
            self._said.add(index)
            which = "all" if index is None else index
            log.warning("GPU counter not read, its runs are not measured gpu=%s error=%s", which, why)

    def _share(self, before: Look, after: Look, since: Mapping[RunKey, datetime | None]) -> None:
        drawn: dict[RunKey, float] = {}
        unknown: set[RunKey] = set()
        for index, users in after.users.items():
            first, last = before.counters_mj.get(index), after.counters_mj.get(index)
            if first is None or last is None or last < first:  # a driver loaded anew counts from 0
                unknown |= users
                continue
            for key in users:
                _, share = window(since.get(key), before.now, after.now)
                drawn[key] = drawn.get(key, 0.0) + (last - first) * share / len(users)
        for key in drawn.keys() - unknown:
            start, _ = window(since.get(key), before.now, after.now)
            self._seen.add(key, Component.GPU, start, after.now, round(drawn[key]))


def build(settings: Mapping[str, Any], context: Context) -> NvmlMeter:
    """The meter. Its table may name another folder than /proc. Raises ConfigurationError."""
    table = Table("nvml", settings, ("proc",))
    proc = table.take("proc", Path("/proc"), folder, "the path of a folder")
    table.close()
    return NvmlMeter(context.clock, proc)
