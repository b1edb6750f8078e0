"""Proportionality: what processors draw between idle and busy, in proportion to their use.

Cloud Carbon Footprint's model (Apache-2.0, https://www.cloudcarbonfootprint.org/docs/methodology): a processor that is held
draws `idle + u x (busy - idle)` watts, u being the share of its time that it works. Of several, and over any time, that is

    held x idle + worked x (busy - idle)

in CPUs for watts, in CPU seconds for joules, in CPU microseconds for microjoules.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeVar

Number = TypeVar("Number", float, Fraction)


def proportional(held: Number, worked: Number, idle_w: Number, busy_w: Number) -> Number:
    """Watts of `held` CPUs of which `worked` are busy, or the energy of so much of their time."""
    return held * idle_w + worked * (busy_w - idle_w)
