"""Kubernetes quantities and timestamps, read into whole numbers and instants."""

from __future__ import annotations

import math
import re
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from cleanhours.domain.times import parse_instant

_QUANTITY: Final = re.compile(
    r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d{1,3})|([A-Za-z]{0,2}))", re.ASCII
)
_FACTORS: Final = {
    "": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "P": Fraction(10**15),
    "E": Fraction(10**18), "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30),
    "Ti": Fraction(2**40), "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip


@lru_cache(maxsize=1024)
def parse_quantity(text: Any) -> int:
    """A quantity (`1500m`, `2Gi`, `1e3`) rounded up to a whole number of its unit, as the scheduler does."""
    return math.ceil(_exact(text))


@lru_cache(maxsize=1024)
def parse_cpu(text: Any) -> int:
    """CPUs as thousandths, rounded up."""
    return math.ceil(_exact(text) * 1000)


def _exact(text: Any) -> Fraction:
    """Raises ValueError for what is no quantity. Source: apimachinery resource.Quantity."""
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None or (match[3] or "") not in _FACTORS:
        raise ValueError(f"found {text!r}, accepted: a quantity such as 500m or 2Gi")
    power = Fraction(10) ** int(match[2]) if match[2] else _FACTORS[match[3] or ""]
    return Fraction(match[1]) * power


def instant(text: Any) -> datetime | None:
    """A timestamp of the API (`metav1.Time`, RFC 3339) as an aware instant; None where there is none."""
    return parse_instant(text) if text else None
