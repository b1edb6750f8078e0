"""What a report is asked beside its rows: by what apart, as of when, with which machines, and whom to credit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cleanhours.apps.report.embodied import OFF, Embodying
from cleanhours.apps.report.grouping import Dimension


@dataclass(frozen=True, slots=True)
class Question:
    """`attributions` are the credits that providers ask for; `as_of` is None for the ledger as it stands."""

    by: Sequence[Dimension] = ()
    as_of: datetime | None = None
    embodying: Embodying = OFF
    attributions: Sequence[str] = ()

    @property
    def credits_due(self) -> list[str]:
        """Each attribution once."""
        return list(dict.fromkeys(self.attributions))


NOTHING_ASKED: Final = Question()
