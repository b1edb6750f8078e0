"""Troubles: warnings that are said once, and once more when all was well between."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_MOST: Final = 1000
"""Of one thing, so many different troubles are remembered."""

_NAMED: Final = 10
"""So many damaged rows are named in one line."""


def name_damaged(log: logging.Logger, faults: Sequence[Exception], then: str) -> None:
    """One line about all rows that could not be read in one pass, in each pass: only a person can mend them."""
    named = [str(fault) for fault in faults[:_NAMED]]
    if len(faults) > _NAMED:
        named.append(f"and {len(faults) - _NAMED} more")
    log.warning("damaged rows=%d, %s: %s", len(faults), then, "; ".join(named))


@dataclass(slots=True)
class Troubles:
    """Of each thing that is asked over and over, what was said about it since it last was well."""

    log: logging.Logger
    _said: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def say(self, about: str, fault: object, message: str, *args: object, unforeseen: bool = False) -> None:
        """Once for each `fault` that says something else. What nobody foresaw is told with where it came from."""
        said, what = self._said[about], f"{type(fault).__name__} {fault}"
        if what in said:
            return
        if len(said) >= _MOST:
            said.clear()
        said.add(what)
        self.log.warning(
            message, *args, exc_info=fault if unforeseen and isinstance(fault, Exception) else None
        )

    def well(self, about: str) -> None:
        """It answers again: its next trouble is a new one."""
        self._said.pop(about, None)
