"""What is published of the intensity that runs are settled on, each trouble with it said once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cleanhours.control.troubles import Troubles
from cleanhours.domain.errors import TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.ports import Outlook


@dataclass(slots=True)
class Published:
    """Asks outlooks for actual intensity; a zone of which nobody knows is left out."""

    troubles: Troubles
    _silent: set[str] = field(default_factory=set)
    """Zones of which the second measure was not told: nobody's account waits to hear that again for each run."""

    def forget(self) -> None:
        """Every zone is asked for again: a new pass begins."""
        self._silent.clear()

    def actuals(
        self, outlook: Outlook, wanted: Mapping[str, tuple[datetime, datetime]], *, beside: bool = False
    ) -> dict[str, IntensitySeries]:
        """What was, in each zone over its span. `beside` is for the second measure."""
        found: dict[str, IntensitySeries] = {}
        for zone, (start, end) in wanted.items():
            about = f"{zone} beside" if beside else zone
            if about in self._silent:
                continue
            try:
                found[zone] = outlook.actual(zone, start, end)
            except (UnknownZone, TemporaryError) as fault:
                if beside:
                    self._silent.add(about)
                self.troubles.say(about, fault, "no actual intensity zone=%s error=%s", about, fault)
            else:
                self.troubles.well(about)
        return found
