"""Measuring: what the meters know of a run that ended, each asked until it answers or was waited for long enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cleanhours.control.troubles import Troubles
from cleanhours.domain.energy import Component, EnergyProfile
from cleanhours.domain.errors import CleanhoursError, TemporaryError
from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.planning.metering import combine
from cleanhours.ports import Meter

PATIENCE: Final = timedelta(minutes=10)
"""How long a meter may ask for more time, from when it is first asked, before the run is settled without it."""

LONGEST_PATIENCE: Final = timedelta(days=1)
"""From a run's end, whoever asks: a controller that is started again and again asks for the first time each time."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a run's energy; `why` says what went wrong with meters that should have known it."""

    profile: EnergyProfile
    why: str = ""


@dataclass(slots=True)
class Measuring:
    """Asks meters. What one of them does wrong is its own trouble: it hides no other meter, and no other run."""

    troubles: Troubles
    _first_asked: dict[RunKey, datetime] = field(default_factory=dict)

    def measure(self, meters: Sequence[Meter], run: FinishedRun, now: datetime) -> Measured | datetime:
        """The combined profile; while a meter asks for patience, when to ask again."""
        found: list[tuple[str, EnergyProfile]] = []
        faults: list[str] = []
        for meter in meters:
            try:
                found.append((meter.name, meter.energy(run)))
            except TemporaryError as fault:
                if self._patient(run, now):
                    return now + fault.delay
                faults.append(self._complain(meter, run, fault, "gave up"))
            except (CleanhoursError, OSError) as fault:
                faults.append(self._complain(meter, run, fault, "failed"))
            except Exception as fault:  # noqa: BLE001 - a plugin's fault must not keep other runs from their accounts
                faults.append(self._complain(meter, run, fault, "failed", unforeseen=True))
            else:
                self.troubles.well(meter.name)
        self._first_asked.pop(run.key, None)
        needed = (Component.GPU,) if run.allocated.gpus else ()
        return Measured(combine(found, needed=needed), "; ".join(faults))

    def _patient(self, run: FinishedRun, now: datetime) -> bool:
        first = self._first_asked.setdefault(run.key, now)
        return now < min(max(first, run.finished_at) + PATIENCE, run.finished_at + LONGEST_PATIENCE)

    def _complain(
        self, meter: Meter, run: FinishedRun, fault: Exception, what: str, *, unforeseen: bool = False
    ) -> str:
        self.troubles.say(
            meter.name, fault, "meter %s meter=%s run=%s error=%s", what, meter.name, run.name, fault,
            unforeseen=unforeseen,
        )  # fmt: skip
        return f"{meter.name}: {str(fault) or type(fault).__name__}"
