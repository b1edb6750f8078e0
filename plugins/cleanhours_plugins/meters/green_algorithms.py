"""Green Algorithms: energy modelled from what a run held and the watts of a site's hardware, where nothing else is known.

    E = t x (n_c x P_c x u_c + n_g x P_g x u_g + n_m x 0.3725) x 0.001      (Lannelongue et al. 2021, doi:10.1002/advs.202100707)

E in kWh, t in hours of running, n_c cores, n_g GPUs and n_m GB (10^9 bytes) held, P watts of one (its thermal design power),
u the share of it that is used. The formula's PUE is left out: the settlement applies it, once. The memory that was held
counts, not what was used. Thermal design power is a ceiling, so all of it is an upper estimate.

ML CO2 Impact (Lacoste et al. 2019, arXiv:1910.09700) reckons GPUs alike, E = t x n_g x P_g; its table of devices is
`gpu_tdp`, and `gpu_watts = "h100-sxm"` takes P_g from there.

Nothing is known of a run whose cores are not, or which held GPUs that nobody gave watts for: half of a job is not the job.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import MICROSECOND
from cleanhours.ports import Context
from cleanhours_plugins.meters.gpu_devices import device_hint
from cleanhours_plugins.meters.gpu_tdp import GPU_TDP_W
from cleanhours_plugins.meters.keys import check_keys, watts
from cleanhours_plugins.meters.spreading import length, running, spread

MEMORY_W_PER_GB: Final = 0.3725

ANY_TYPE: Final = "*"
"""In `gpu_watts`: GPUs of every other type, and those whose type the run's cluster does not tell."""

_NAME: Final = "green-algorithms"
_KEYS: Final = ("cpu_watts", "cpu_usage", "gpu_watts", "gpu_usage", "memory_watts_per_gb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Watts of one core, of one GPU by type, of 10^9 bytes of memory; shares of 1 that are used."""

    cpu_w: float
    cpu_usage: float = 1.0
    gpu_w: Mapping[str, float] = field(default_factory=dict)
    gpu_usage: float = 1.0
    memory_w_per_gb: float = MEMORY_W_PER_GB


@dataclass(slots=True)
class GreenAlgorithmsMeter:
    """Reads what a run was allocated; knows nothing without `hardware`."""

    hardware: Hardware | None = None
    name: str = _NAME

    def energy(self, run: FinishedRun) -> EnergyProfile:
        spans = running(run)
        drawn = {} if self.hardware is None else watts_of(run, self.hardware)
        if not spans or not drawn:
            return EnergyProfile(coverage=0.0)
        seconds = Fraction(length(spans) // MICROSECOND, 1_000_000)
        slices = [
            part
            for component, power in drawn.items()
            for part in spread(round(power * 1000 * seconds), spans, component, Method.MODELLED, self.name)
        ]
        return EnergyProfile(tuple(slices), upper_estimate=True)


def watts_of(run: FinishedRun, hardware: Hardware) -> dict[Component, Fraction]:
    """Watts of each component that the run held, exact; nothing where the allocation or the GPUs' watts are not known."""
    held = run.allocated
    if not held.cpu_millicores:
        return {}
    cores = Fraction(held.cpu_millicores, 1000)
    found = {Component.CPU: cores * _exact(hardware.cpu_w) * _exact(hardware.cpu_usage)}
    if held.memory_bytes:
        found[Component.MEMORY] = Fraction(held.memory_bytes, 10**9) * _exact(hardware.memory_w_per_gb)
    if held.gpus:
        each = _gpu_watts(run, hardware.gpu_w)
        if each is None:
            return {}
        found[Component.GPU] = held.gpus * each * _exact(hardware.gpu_usage)
    return found


def _gpu_watts(run: FinishedRun, by_type: Mapping[str, float]) -> Fraction | None:
    """Watts of one of the run's GPUs: of its type, where Slurm told that all are of one; None where nobody says."""
    types = {
        name.split(".", 2)[2].lower()
        for name in run.usage
        if name.startswith("slurm_gpus.") and name.count(".") > 1
    }
    power = by_type.get(next(iter(types)) if len(types) == 1 else ANY_TYPE, by_type.get(ANY_TYPE))
    return None if power is None else _exact(power)


def _exact(number: float) -> Fraction:
    return Fraction(str(number))


def build(settings: Mapping[str, Any], context: Context) -> GreenAlgorithmsMeter:
    """The meter; it models nothing while its table is empty. Raises ConfigurationError naming every fault.

    `cpu_watts` of one core; `gpu_watts`, a number, the name of a device, or a table of these by type with `"*"` for all
    others; `cpu_usage`, `gpu_usage`, 1 by default; `memory_watts_per_gb`.
    """
    if not settings:
        return GreenAlgorithmsMeter()
    faults: list[str] = []
    try:
        check_keys(_NAME, settings, _KEYS)
    except ConfigurationError as fault:
        faults.append(str(fault))
    if "cpu_watts" not in settings:
        faults.append(
            f"meters.{_NAME}.cpu_watts: missing: watts of one core, its share of the thermal design power"
        )
    numbers: dict[str, float] = {}
    for key, default in (("cpu_watts", 0.0), ("memory_watts_per_gb", MEMORY_W_PER_GB)):
        try:
            numbers[key] = watts(_NAME, settings, key, default)
        except ConfigurationError as fault:
            faults.append(str(fault))
    for key in ("cpu_usage", "gpu_usage"):
        value = settings.get(key, 1.0)
        numbers[key] = value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            faults.append(f"meters.{_NAME}.{key}: found {value!r}, accepted: a share above 0, at most 1")
    gpus = dict(_gpus(settings.get("gpu_watts", {}), faults))
    if faults:
        raise ConfigurationError("; ".join(faults))
    hardware = Hardware(
        cpu_w=numbers["cpu_watts"],
        cpu_usage=numbers["cpu_usage"],
        gpu_w=gpus,
        gpu_usage=numbers["gpu_usage"],
        memory_w_per_gb=numbers["memory_watts_per_gb"],
    )
    return GreenAlgorithmsMeter(hardware)


def _gpus(value: object, faults: list[str]) -> Iterator[tuple[str, float]]:
    """Watts by type; what is wrong is added to the faults."""
    for kind, one in (value if isinstance(value, Mapping) else {ANY_TYPE: value}).items():
        where = f"meters.{_NAME}.gpu_watts" + (f".{kind}" if isinstance(value, Mapping) else "")
        number = GPU_TDP_W.get(one.lower()) if isinstance(one, str) else one
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
            hint = device_hint(one)
            faults.append(
                f"{where}: found {one!r}, accepted: watts above 0, or a device of the table, {hint}"
            )
        else:
            yield str(kind).lower(), float(number)
