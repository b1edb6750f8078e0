"""Tables of the settings file: what each may hold, its default, and what to say of a value that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cleanhours.adapters.layers import Layers, shown
from cleanhours.adapters.power_curves import curve_of, zeus_curve
from cleanhours.adapters.table_values import (
    Amount,
    AnyNames,
    Duration,
    Lifetime,
    Names,
    Percent,
    Whole,
    byte_count,
    listen_address,
)
from cleanhours.domain.caps import MAXIMUM_SLOWDOWN_PERCENT, MOST_LIMIT_W, PowerCurve
from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.hardware import Hardware
from cleanhours.domain.locations import Location
from cleanhours.domain.resources import Capacity
from cleanhours.domain.words import CURVE_NAME, parse_words

_ANY_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ZONE: Final = r"^[A-Za-z0-9][A-Za-z0-9_:-]{0,31}$"


class Table(BaseModel):
    """Unknown keys are faults: a setting that is not read is a trap."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CapacityTable(Table):
    """What a location has in all; what is not said is not limited."""

    cpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    cpu_millicores: Whole | None = None
    memory: Annotated[int, BeforeValidator(byte_count), Field(ge=0)] | None = None
    gpus: Whole | None = None
    slots: Whole | None = None


class LocationTable(Table):
    """A place, the grid zone it lies in, its overhead, and what a cluster calls it."""

    zone: Annotated[str, Field(pattern=_ZONE)]
    pue: Annotated[float, Field(ge=1, le=5)] = 1.0
    capacity: CapacityTable = CapacityTable()
    match: dict[Literal["label", "partition", "feature", "cluster"], str] = {}

    def location(self, name: str) -> Location:
        """The value that the rest of the scheduler knows."""
        room = self.capacity
        millicores = round(room.cpus * 1000) if room.cpus is not None else room.cpu_millicores
        capacity = Capacity(millicores, room.memory, room.gpus, room.slots)
        return Location(
            name, self.zone, self.pue, capacity, {str(key): text for key, text in self.match.items()}
        )


class ClusterTable(BaseModel):
    """Its other keys are its plugin's, which refuses those it does not know."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: Annotated[str, Field(min_length=1)]


class ForecastsTable(Table):
    """Who is asked, best first, for every zone and for some; who knows a second measure; and the sources' own tables."""

    chain: Names = ["neso", "climatology"]
    zones: dict[str, Names] = {}
    beside: AnyNames = []
    sources: dict[str, dict[str, Any]] = {}


class PlanningTable(Table):
    """The rules of planning and the tick of the cycle."""

    safety: Annotated[float, Field(ge=1, le=10)] = 1.1
    queue_margin: Duration = timedelta(seconds=60)
    minimum_saving_percent: Percent = 0.5
    hysteresis_percent: Percent = 2.0
    delay_g_per_hour: Amount = 0.0
    transfer_kwh_per_gb: Amount = 0.001
    minimum_run: Duration = timedelta(0)
    maximum_pauses: Whole | None = None
    releases_per_tick: Annotated[int, Field(ge=1)] = 100
    tick: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=30)


class AdmissionTable(Table):
    """What becomes of a job with malformed words: let through, let through with a warning, or denied."""

    mode: Literal["auto", "policy", "webhook", "none"] = "auto"


class MetricsTable(Table):
    """Where metrics are served; `off` is None."""

    listen: Annotated[tuple[str, int] | None, BeforeValidator(listen_address)] = ("127.0.0.1", 9464)


class LedgerTable(Table):
    """Where the ledger is kept."""

    url: Annotated[str, Field(min_length=1)]


class HardwareTable(Table):
    """One server: what making it emitted, how long it serves, and its GPUs or CPUs, by which runs share it."""

    server_kg_co2e: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    lifetime: Lifetime = timedelta(days=4 * 365)
    gpus: Annotated[int, Field(ge=1)] | None = None
    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def hardware(self) -> Hardware | None:
        """The value that the report knows; None where nothing was said."""
        if self.server_kg_co2e is None:
            return None
        return Hardware(self.server_kg_co2e, self.lifetime, self.gpus, self.cpus)


class EmbodiedTable(HardwareTable):
    """The servers everywhere, and those of some locations."""

    locations: dict[str, HardwareTable] = {}


class StateTable(Table):
    """Where queue, caches and locks are kept."""

    folder: Path


class CapPointTable(Table):
    """What the same work took under a limit: watts per accelerator, seconds, joules of all accelerators of the job."""

    limit_w: Annotated[float, Field(gt=0, le=MOST_LIMIT_W, allow_inf_nan=False)]
    time_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    energy_j: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PowerCurveTable(Table):
    """What was measured of a work under power caps, as points or in a file of Zeus', and how slow it may become."""

    points: list[CapPointTable] | None = None
    zeus: Path | None = None
    max_slowdown_percent: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = (
        MAXIMUM_SLOWDOWN_PERCENT
    )

    def curve(self) -> PowerCurve:
        """The value that the rest of the scheduler knows. Raises InvalidRequest with every fault."""
        if (self.points is None) == (self.zeus is None):
            found = "neither" if self.zeus is None else "points and zeus"
            raise InvalidRequest([Complaint("points", found, "points, or zeus: a file, one of them")])
        if self.zeus is not None:
            path = self.zeus.expanduser()
            if not path.is_absolute():
                raise InvalidRequest(
                    [Complaint("zeus", str(self.zeus), "an absolute path, or one from ~/ on")]
                )
            return zeus_curve(path, self.max_slowdown_percent)
        rows = ((point.limit_w, point.time_s, point.energy_j) for point in self.points or ())
        return curve_of(rows, self.max_slowdown_percent)


class SettingsTables(Table):
    """The whole file."""

    clusters: dict[str, ClusterTable] = {}
    locations: dict[str, LocationTable] = {}
    forecasts: ForecastsTable = ForecastsTable()
    meters: dict[str, dict[str, Any]] = {}
    defaults: dict[str, str] = {}
    planning: PlanningTable = PlanningTable()
    admission: AdmissionTable = AdmissionTable()
    metrics: MetricsTable = MetricsTable()
    ledger: LedgerTable
    embodied: EmbodiedTable = EmbodiedTable()
    power_curves: dict[str, PowerCurveTable] = {}
    state: StateTable


def check_tables(layers: Layers) -> tuple[SettingsTables | None, list[str]]:
    """The tables that the layers make, and every fault: unknown keys with the nearest known one, values out of bounds."""
    faults = list(layers.faults)
    tree = {**layers.tree}
    if isinstance(tree.get("defaults"), dict):
        tree["defaults"] = {word: _text(value) for word, value in tree["defaults"].items()}
    tables = None
    try:
        tables = SettingsTables.model_validate(tree)
    except ValidationError as invalid:
        faults += [_fault(error, layers) for error in invalid.errors(include_url=False)]
    faults += _word_faults(tree.get("defaults"), tree.get("locations"))
    if tables is not None:
        faults += _joint_faults(tables)
    return tables, faults


def _fault(error: Any, layers: Layers) -> str:
    """One fault: the setting, the value found, what would have been right, and where it was said."""
    path = tuple(str(part) for part in error["loc"] if str(part) not in _INSIDE)
    key = ".".join(path)
    source = layers.origin_of(path)[1]
    where = f" ({source})" if source else ""
    if error["type"] == "extra_forbidden":
        return f"{key}: no such setting; {_nearest(path)}{where}"
    if error["type"] == "missing":
        return f"{key}: missing, accepted: {_accepted(path)}{where}"
    found = shown(path, error["input"])
    cause = error.get("ctx", {}).get("error")
    accepted = str(cause) if cause is not None else str(error["msg"]).replace("Input should be ", "")
    return f"{key}: found {found!r}, accepted: {accepted}{where}"


_INSIDE: Final = frozenset({"[key]", "tuple", "function-before[listen_address()]"})


def _accepted(path: Sequence[str]) -> str:
    return {"zone": "a grid zone such as GB or DE", "type": "the name of a cluster plugin such as local"}.get(
        path[-1], "a value"
    )


def _nearest(path: Sequence[str]) -> str:
    known = sorted(_known_at(path[:-1]))
    close = difflib.get_close_matches(path[-1], known, 1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _known_at(path: Sequence[str]) -> list[str]:
    """The names that the table at `path` knows."""
    node: Any = SettingsTables
    for part in path:
        if isinstance(node, type) and issubclass(node, BaseModel):
            node = node.model_fields[part].annotation
        elif get_origin(node) is dict:
            node = get_args(node)[1]
    if isinstance(node, type) and issubclass(node, BaseModel):
        return list(node.model_fields)
    return list(get_args(get_args(node)[0])) if get_origin(node) is dict else []


def _text(value: Any) -> Any:
    """A request word as text: `interruptible = true` and `locations = ["a", "b"]` mean what they say."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    return value


def _word_faults(defaults: Any, locations: Any) -> Iterator[str]:
    if not isinstance(defaults, Mapping):
        return
    words = {word: value for word, value in defaults.items() if isinstance(value, str)}
    known = list(locations) if isinstance(locations, Mapping) else None
    try:
        parse_words(words, created=_ANY_DAY, locations=known)
    except InvalidRequest as invalid:
        yield from (f"defaults.{complaint}" for complaint in invalid.complaints)
    for word in ("deadline", "earliest"):
        if word in words and not words[word].startswith("+"):
            yield f"defaults.{word}: found {words[word]!r}, accepted: a time from submission such as +12h"


def _joint_faults(tables: SettingsTables) -> Iterator[str]:
    """What is wrong between settings."""
    for name, location in tables.locations.items():
        room = location.capacity
        if room.cpus is not None and room.cpu_millicores is not None:
            yield f"locations.{name}.capacity: found both cpus and cpu_millicores, accepted: one of them"
    for name, table in tables.power_curves.items():
        yield from _curve_faults(name, table)
    yield from _hardware_faults("embodied", tables.embodied)
    for name, hardware in tables.embodied.locations.items():
        yield from _hardware_faults(f"embodied.locations.{name}", hardware)
        if name not in tables.locations:
            yield f"embodied.locations.{name}: no such location; known: {', '.join(tables.locations)}"


def _curve_faults(name: str, table: PowerCurveTable) -> Iterator[str]:
    if not CURVE_NAME.fullmatch(name):
        yield f"power_curves: found {name!r}, accepted: a name of letters, digits, '.', '_' and '-', such as resnet50"
    try:
        table.curve()
    except InvalidRequest as invalid:
        yield from (f"power_curves.{name}.{complaint}" for complaint in invalid.complaints)


def _hardware_faults(where: str, table: HardwareTable) -> Iterator[str]:
    counts = [name for name in ("gpus", "cpus") if getattr(table, name) is not None]
    if table.server_kg_co2e is None:
        said = table.model_fields_set - {"locations"}
        if said or where != "embodied":
            yield f"{where}.server_kg_co2e: missing, accepted: kgCO2e of making one server, above 0 and at most 1000000"
    elif len(counts) != 1:
        found = " and ".join(counts) or "neither"
        yield f"{where}: found {found}, accepted: gpus or cpus of the server, one of them, by which runs share it"
