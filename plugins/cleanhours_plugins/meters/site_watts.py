"""Site watts: what a CPU, a GPU and memory of a Slurm site draw, as its settings say, and what was held of them draws.

A CPU is one number, what it draws while it is held, or `idle` and `busy`: then it draws between them, by `proportionality`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.meters.gpu_devices import device_hint
from cleanhours_plugins.meters.gpu_tdp import GPU_TDP_W
from cleanhours_plugins.meters.keys import check_keys
from cleanhours_plugins.meters.proportionality import proportional

ANY_TYPE: Final = "*"
"""In `gpu_watts`: GPUs of every other type, and those whose type Slurm does not tell."""

KEYS: Final = ("cpu_watts", "gpu_watts", "memory_watts_per_gb")
_RANGE: Final = ("idle", "busy")
_MOST_W: Final = 1e6


@dataclass(frozen=True, slots=True)
class CpuWatts:
    """Watts of one allocated CPU that works, and of one that does not; `idle_w` None: it counts as busy whatever it did."""

    busy_w: float
    idle_w: float | None = None

    def of(self, cpus: float, used: Fraction | None) -> Fraction:
        """Watts of so many, `used` being the share of their time that they worked; None is not known, and counts as all."""
        busy, held = exact(self.busy_w), exact(cpus)
        share = Fraction(1) if used is None else min(Fraction(1), max(Fraction(0), used))
        return proportional(held, held * share, busy if self.idle_w is None else exact(self.idle_w), busy)

    def is_ceiling(self, used: Fraction | None) -> bool:
        """Whether that is what they draw at most, for want of anything better."""
        return self.idle_w is None or used is None


@dataclass(frozen=True, slots=True)
class Table:
    """Watts of one allocated CPU, of one GPU by type, of 10^9 bytes of memory; None: the site does not say."""

    cpu: CpuWatts | None = None
    gpu_w: Mapping[str, float] = field(default_factory=dict)
    memory_w_per_gb: float | None = None

    def over(self, usual: Table) -> Table:
        """This table, and of `usual` what it does not say itself."""
        return Table(
            usual.cpu if self.cpu is None else self.cpu,
            {**usual.gpu_w, **self.gpu_w},
            usual.memory_w_per_gb if self.memory_w_per_gb is None else self.memory_w_per_gb,
        )


def exact(number: float) -> Fraction:
    """As it is written in decimals."""
    return Fraction(str(number))


def power(count: float, each_w: float | None) -> Fraction | None:
    """Watts of so many; what is not there draws nothing, whatever the table says."""
    if not count:
        return Fraction(0)
    return None if each_w is None else exact(count) * exact(each_w)


def cpu_power(count: float, used: Fraction | None, each: CpuWatts | None) -> Fraction | None:
    """Watts of CPUs of whose time a share was `used`; None where the table has none."""
    if not count:
        return Fraction(0)
    return None if each is None else each.of(count, used)


def gpu_power(counts: Mapping[str, float], each_w: Mapping[str, float]) -> Fraction | None:
    """Watts of GPUs by type; None where those of one type are not known."""
    powers = [power(count, each_w.get(kind.lower(), each_w.get(ANY_TYPE))) for kind, count in counts.items()]
    known = [one for one in powers if one is not None]
    return sum(known, Fraction(0)) if len(known) == len(powers) else None


def read_table(where: str, settings: Mapping[str, Any], known: Sequence[str], faults: list[str]) -> Table:
    """The table of watts in `[meters.WHERE]`; what is wrong with it is added to the faults."""
    _known(where, settings, known, faults)
    gpus = settings.get("gpu_watts", {})
    by_type = (
        {kind: _gpu(f"{where}.gpu_watts.{kind}", each, faults) for kind, each in gpus.items()}
        if isinstance(gpus, Mapping)
        else {ANY_TYPE: _gpu(f"{where}.gpu_watts", gpus, faults)}
    )
    memory = settings.get("memory_watts_per_gb")
    return Table(
        _cpu(f"{where}.cpu_watts", settings["cpu_watts"], faults) if "cpu_watts" in settings else None,
        {str(kind).lower(): each for kind, each in by_type.items() if each is not None},
        _number(f"{where}.memory_watts_per_gb", memory, faults)
        if "memory_watts_per_gb" in settings
        else None,
    )


def _cpu(where: str, value: object, faults: list[str]) -> CpuWatts | None:
    if not isinstance(value, Mapping):
        either = "watts, 0 or more, or a table of idle and busy"
        held = _number(where, value, faults, either)
        return None if held is None else CpuWatts(held)
    _known(where, value, _RANGE, faults)
    missing = [key for key in _RANGE if key not in value]
    faults += [f"meters.{where}.{key}: missing: watts of one CPU that is {key}" for key in missing]
    idle, busy = (_number(f"{where}.{key}", value[key], faults) if key in value else None for key in _RANGE)
    if idle is None or busy is None:
        return None
    if busy < idle:
        faults.append(f"meters.{where}.busy: found {busy:g}, accepted: at least idle, {idle:g}")
    return CpuWatts(busy, idle)


def _gpu(where: str, value: object, faults: list[str]) -> float | None:
    """Watts, or those of a device by name."""
    if isinstance(value, str) and value.lower() in GPU_TDP_W:
        return GPU_TDP_W[value.lower()]
    return _number(where, value, faults, f"watts, 0 or more, or a device of the table, {device_hint(value)}")


def _number(where: str, value: object, faults: list[str], accepted: str = "watts, 0 or more") -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST_W:
        faults.append(f"meters.{where}: found {value!r}, accepted: {accepted}")
        return None
    return float(value)


def _known(where: str, settings: Mapping[str, Any], known: Sequence[str], faults: list[str]) -> None:
    try:
        check_keys(where, settings, known)
    except ConfigurationError as fault:
        faults.append(str(fault))
