"""Embodied carbon of runs and their Software Carbon Intensity: beside the other figures, never in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final

from cleanhours.apps.report.drawing import Markup
from cleanhours.apps.report.figures import NOTHING, format_ug
from cleanhours.apps.report.tables import MOST_RUNS, table
from cleanhours.domain.accounts import Entry
from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.hardware import Hardware
from cleanhours.planning.sci import Embodied, Score

JOB: Final = "job"
_LABEL: Final = "label:"
_NOTHING: Final = timedelta(0)
NOTES: Final = (
    (
        "SCI = (O + M) per R, ISO/IEC 21031:2024. O is the run's emissions above. M is its share of what making the "
        "machines emitted, TE x TiR/EL x RR/ToR: the server's figure, by the part of its life and of its size that was held."
    ),
    (
        "TE, EL and ToR are the operator's own numbers from [embodied]; M is in no other figure of this report. A dash: "
        "the run's energy, what it held, or its number of units is not known."
    ),
)


@dataclass(frozen=True, slots=True)
class Embodying:
    """What is known of the machines, by location or of all, and the unit R of an SCI."""

    overall: Hardware | None = None
    at: Mapping[str, Hardware] = field(default_factory=dict)
    per: str = JOB

    @property
    def wanted(self) -> bool:
        return self.overall is not None or bool(self.at)

    @property
    def unit(self) -> str:
        return self.per.removeprefix(_LABEL)


OFF: Final = Embodying()


def check_unit(per: str) -> str:
    """`job`, or a label whose number counts. Raises InvalidRequest."""
    if per == JOB or (per.startswith(_LABEL) and per != _LABEL):
        return per
    raise InvalidRequest([Complaint("per", per, "job, or label:NAME of a label that is a number")])


@dataclass(frozen=True, slots=True)
class Accounted:
    """A run's M and SCI in micrograms, None where unknown, and the inputs in words."""

    embodied_ug: int | None
    units: float | None
    sci_ug: int | None
    inputs: str


def account(entry: Entry, known: Embodying) -> Accounted:
    """M of the hardware that the run held while it ran, and with its emissions the SCI. Rounded once each."""
    parts, inputs = _parts(entry, known)
    units = _units(entry, known)
    embodied = _micrograms(sum((part.grams for part in parts), Fraction(0))) if parts else None
    sci = None
    if entry.emissions_ug is not None and units is not None and parts:
        score = Score(operational_ug=entry.emissions_ug, units=units, unit=known.unit, embodied=parts)
        sci = score.grams_per_unit
    return Accounted(embodied, units, None if sci is None else _micrograms(sci), inputs)


def embodied_row(entry: Entry, known: Embodying) -> dict[str, Any]:
    """The columns of a run; none where nothing was said of the machines."""
    if not known.wanted:
        return {}
    found = account(entry, known)
    return {
        "embodied_ug": found.embodied_ug,
        "sci_unit": known.unit,
        "sci_units": found.units,
        "sci_ug_per_unit": found.sci_ug,
        "embodied_inputs": found.inputs,
    }


EMBODIED_COLUMNS: Final = ("embodied_ug", "sci_unit", "sci_units", "sci_ug_per_unit", "embodied_inputs")


def sci_table(entries: Sequence[Entry], known: Embodying) -> Markup:
    """One line a run, the latest first, with the inputs that M is made of."""
    latest = sorted(entries, key=lambda entry: entry.run.finished_at, reverse=True)[:MOST_RUNS]
    heads = [("job", ""), ("emissions (O)", "number"), ("embodied (M)", "number"), ("units (R)", "number")]
    heads += [(f"SCI per {known.unit}", "number"), ("M is", ""), ("settled", "")]
    rows = []
    for entry in latest:
        found = account(entry, known)
        rows.append(
            [
                entry.run.name,
                format_ug(entry.emissions_ug),
                format_ug(found.embodied_ug),
                NOTHING if found.units is None else f"{found.units:g}",
                format_ug(found.sci_ug),
                found.inputs or NOTHING,
                entry.settled.value,
            ]
        )
    return table(f"{len(latest)} of {len(entries)} runs, the latest first; masses in CO2e", heads, rows)


def _parts(entry: Entry, known: Embodying) -> tuple[tuple[Embodied, ...], str]:
    """A part for each segment and server; none at all where one of them is not known."""
    run, parts, inputs = entry.run, [], []
    for segment in run.segments:
        hardware = known.at.get(segment.location, known.overall)
        held = None if hardware is None else hardware.reserved(run.allocated)
        if hardware is None or held is None:
            return (), ""
        reserved = max((segment.end or run.finished_at) - segment.start, _NOTHING)
        whole, rest = divmod(held, hardware.total)
        parts += [
            Embodied(
                total_g=hardware.server_kg_co2e * 1000, reserved=reserved, lifespan=hardware.lifetime,
                resources=taken, total_resources=hardware.total,
            )
            for taken in [*[hardware.total] * whole, *([rest] if rest else [])]
        ]  # fmt: skip
        hours = hardware.lifetime / timedelta(hours=1)
        inputs.append(
            f"{hardware.server_kg_co2e:g} kg x {reserved / timedelta(hours=1):g} h / {hours:g} h "
            f"x {held}/{hardware.total} {hardware.unit} at {segment.location}"
        )
    return tuple(parts), " + ".join(inputs)


def _units(entry: Entry, known: Embodying) -> float | None:
    if known.per == JOB:
        return 1.0
    try:
        units = float(entry.run.labels.get(known.unit, ""))
    except ValueError:
        return None
    return units if 0 < units < float("inf") else None


def _micrograms(grams: Fraction) -> int:
    return round(grams * 1_000_000)
