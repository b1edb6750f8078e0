"""Power curves: what was measured of a work at several power limits, as points in the settings or as Zeus wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cleanhours.domain.caps import CapPoint, PowerCurve
from cleanhours.domain.errors import Complaint, InvalidRequest

_MOST_BYTES: Final = 1_000_000
_ZEUS: Final = ("power_limit", "time", "energy")
_SHAPE: Final = (
    'an object such as {"measurements": [{"power_limit": 250, "energy": 10450.7, "time": 43.9}, ...]}'
)


def zeus_curve(path: Path, maximum_slowdown_percent: float | None = None) -> PowerCurve:
    """The curve in a file of Zeus' `GlobalPowerLimitOptimizer` (watts per GPU; joules and seconds of the same steps, all
    GPUs of the job together). Raises InvalidRequest with every fault.

    https://ml.energy/zeus/reference/optimizer/power_limit/
    """
    shown = str(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidRequest([Complaint("zeus", shown, f"a file of at most {_MOST_BYTES:,} bytes")])
        data = json.loads(path.read_text("utf-8"))
    except OSError as fault:
        raise InvalidRequest(
            [Complaint("zeus", shown, f"a file that can be read ({fault.strerror})")]
        ) from None
    except (ValueError, RecursionError):
        raise InvalidRequest([Complaint("zeus", shown, _SHAPE)]) from None
    rows = data.get("measurements") if isinstance(data, Mapping) else None
    if not isinstance(rows, list):
        raise InvalidRequest([Complaint("zeus", shown, _SHAPE)])
    faults = [*_faults(rows)]
    if faults:
        raise InvalidRequest(faults)
    return curve_of(([row[name] for name in _ZEUS] for row in rows), maximum_slowdown_percent)


def curve_of(rows: Iterable[Iterable[float]], maximum_slowdown_percent: float | None = None) -> PowerCurve:
    """The curve of rows of limit, seconds, joules. Raises InvalidRequest with every fault."""
    return PowerCurve.of((CapPoint(*map(float, row)) for row in rows), maximum_slowdown_percent)


def _faults(rows: Iterable[Any]) -> Iterator[Complaint]:
    for number, row in enumerate(rows):
        for name in _ZEUS:
            found = row.get(name) if isinstance(row, Mapping) else row
            if isinstance(found, bool) or not isinstance(found, int | float):
                yield Complaint(f"zeus measurements[{number}].{name}", str(found)[:40], "a number above 0")
