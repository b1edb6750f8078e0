"""The forecast chain: which sources are asked for a grid zone, in which order, and what each of them knows.

A link is a word such as `neso`, `climatology`, `csv:trace.csv?scope=direct&zone=GB` or `history:neso` (what a source
observed, continued by planning/history.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from cleanhours.adapters.forecast_cache import REFRESH, STALE_LIMIT, Cached
from cleanhours.adapters.forecast_check import Checked, CheckedActuals
from cleanhours.adapters.forecast_patience import Patience, Prompt
from cleanhours.adapters.forecast_watch import Watched, WatchedActuals
from cleanhours.domain.errors import CleanhoursError, ConfigurationError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure
from cleanhours.domain.rules import ForecastLevels
from cleanhours.ports import Clock, Declaring, Discerning, ForecastSource, Listing, Observing, Telemetry

if TYPE_CHECKING:  # of zones that somebody mistyped: the sbatch wrapper's users would all wait for it
    from cleanhours.domain.zones import Unserved

FINAL_AFTER: Final = timedelta(days=7)
ACCEPTED: Final = "a source, or SOURCE:ARGUMENT?setting=value&…, such as neso or csv:trace.csv?scope=direct"


@dataclass(frozen=True, slots=True)
class Link:
    """One word of a chain, read: the plugin, its settings, and whether its past is to be continued."""

    text: str
    plugin: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    from_history: bool = False


def read_link(text: str) -> Link:
    """A link from its word. Raises ConfigurationError."""
    if text.startswith("history:"):
        of = read_link(text.removeprefix("history:"))
        if of.from_history:
            raise ConfigurationError(f"forecast chain: found {text!r}, accepted: history: once")
        return Link(text, of.plugin, of.settings, from_history=True)
    head, mark, query = text.partition("?")
    plugin, colon, argument = head.partition(":")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        pairs = [("", "")]
    settings = dict(pairs)
    wrong = (
        "" in settings
        or (mark and not query)
        or len(settings) != len(pairs)
        or (colon and (not argument or "path" in settings))
    )
    if wrong or not plugin.strip() or plugin != plugin.strip():
        raise ConfigurationError(f"forecast chain: found {text!r}, accepted: {ACCEPTED}")
    return Link(text, plugin, {"path": argument, **settings} if colon else settings)


def from_spec(text: str) -> dict[str, Any]:
    """The settings in a link's word: `csv:FILE?scope=direct` is {"path": FILE, "scope": "direct"}."""
    return dict(read_link(text).settings)


@dataclass(frozen=True, slots=True)
class Sourced:
    """A source as a plugin built it (its optional powers are looked up there), and wrapped, as it is to be asked."""

    bare: ForecastSource
    wrapped: ForecastSource
    actuals: Observing | None = None
    """The way to what really was, checked and watched; None where the source does not observe."""
    watched: Watched | None = None
    """Who remembers what the source said last."""

    @property
    def name(self) -> str:
        return self.wrapped.name

    @property
    def measure(self) -> Measure | None:
        """What it declares to measure; None where it must be asked."""
        return self.bare.measure if isinstance(self.bare, Declaring) else None

    @property
    def attribution(self) -> str:
        return self.bare.attribution if isinstance(self.bare, Declaring) else ""

    @property
    def zones(self) -> Sequence[str] | None:
        """The zones it serves; None where it cannot say."""
        return self.bare.zones() if isinstance(self.bare, Listing) else None

    def serves(self, zone: str) -> bool | None:
        """Whether it serves a zone, as far as that is known without asking its provider. Never raises."""
        if self.watched is not None and self.watched.refused(zone):
            return False
        try:
            if isinstance(self.bare, Discerning):
                return self.bare.serves(zone)
            zones = self.zones
        except Exception:  # noqa: BLE001 - the edge to other people's code: what cannot be said is not known
            return None
        return None if zones is None else zone in zones


def sourced(  # noqa: PLR0913 - each wrapping has its say
    bare: ForecastSource,
    *,
    clock: Clock,
    telemetry: Telemetry,
    cache_folder: Path | None = None,
    identity: str = "",
    from_history: bool = False,
    patience: Patience | None = None,
    refresh: timedelta = REFRESH,
    stale_limit: timedelta = STALE_LIMIT,
) -> Sourced:
    """A plugin's source with every wrapping: checked, watched, and cached unless it is `offline` (a file, a table).

    With `from_history`, what it forecasts is what its own past makes likely. With `patience`, it is waited for no longer
    (what really was is another matter). Raises ConfigurationError for a source without a past.
    """
    observing = bare if isinstance(bare, Observing) else None
    actuals = None
    if observing is not None:
        checked = CheckedActuals(bare, observing, clock)
        actuals = WatchedActuals(checked, checked, telemetry)
    asked: ForecastSource = bare
    if from_history:
        if observing is None or actuals is None:
            raise ConfigurationError(
                f"forecast chain: history:{bare.name}: {bare.name} does not observe, accepted: a source that does"
            )
        from cleanhours.adapters.forecast_history import FromHistory

        asked = FromHistory(bare, actuals, clock)
    watched = Watched(Checked(asked, clock), telemetry)
    wrapped: ForecastSource = watched
    if getattr(bare, "offline", False):
        return Sourced(bare, wrapped, actuals, watched)
    if patience is not None:
        wrapped = Prompt(wrapped, patience, clock, cache_folder, identity=identity)
    if cache_folder is not None:
        wrapped = Cached(
            wrapped, cache_folder, clock, refresh=refresh, stale_limit=stale_limit, identity=identity
        )
    return Sourced(bare, wrapped, actuals, watched)


@dataclass(frozen=True)
class Chain:
    """The sources of every zone, best first, as one `Outlook`; `of_zone` overrides `default` for the zones it names."""

    default: Sequence[Sourced]
    of_zone: Mapping[str, Sequence[Sourced]] = field(default_factory=dict)

    def sources(self, zone: str) -> Sequence[Sourced]:
        """The links for one zone, best first."""
        return self.of_zone.get(zone, self.default)

    def levels(self, zones: Sequence[str], start: datetime, end: datetime) -> ForecastLevels:
        """What each level knows of each zone over [start, end): as many levels as the longest chain, best first.

        A source that fails for a zone has no entry there; its trouble was announced where it happened. Never raises
        for a source.
        """
        *_, found = self.deepening(zones, start, end)
        return found

    def deepening(self, zones: Sequence[str], start: datetime, end: datetime) -> Iterator[ForecastLevels]:
        """The same, once with the first level alone, then with the next one too, and so on.

        Who finds his answer on the best level need not wait for what the others know.
        """
        wanted = list(dict.fromkeys(zones))
        depth = max((len(self.sources(zone)) for zone in wanted), default=0)
        found: list[Mapping[str, IntensitySeries]] = []
        if not depth:
            yield []
        for level in range(depth):
            links = ((zone, self.sources(zone)[level : level + 1]) for zone in wanted)
            told = {
                zone: _tried(link.wrapped.forecast, zone, start, end) for zone, here in links for link in here
            }
            found.append({zone: series for zone, series in told.items() if series is not None})
            yield [*found]

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What really was, from the first source that knows all of it, else the first that knows part; else typical values.

        Series of several sources are never put together. Raises UnknownZone where no source serves the zone, else
        TemporaryError.
        """
        troubles: list[CleanhoursError] = []
        partial: IntensitySeries | None = None
        links = self.sources(zone)
        asked = [link.actuals.actual for link in links if link.actuals is not None]
        asked += [link.wrapped.forecast for link in links if getattr(link.bare, "typical", False)]
        for ask in asked:
            series = _tried(ask, zone, start, end, troubles)
            if series is not None and series.covers(start, end):
                # typical values are worth less than a part of what really was
                return (
                    series
                    if partial is None or series.worst_kind(start, end) is not Kind.TYPICAL
                    else partial
                )
            partial = partial if partial is not None else series
        if partial is not None:
            return partial
        if troubles and all(isinstance(trouble, UnknownZone) for trouble in troubles):
            raise troubles[0]
        said = "; ".join(str(trouble) for trouble in troubles) or "no source of its chain observes"
        raise TemporaryError(f"what was in {zone} is not known: {said}", delay=timedelta(minutes=30))

    def issued(self, zone: str) -> tuple[str, datetime] | None:
        """Provider and time of issue of the newest forecast that any cache of the zone's chain keeps."""
        caches = [link.wrapped for link in self.sources(zone) if isinstance(link.wrapped, Cached)]
        found = [one for one in (cache.issued(zone) for cache in caches) if one is not None]
        return max(found, key=lambda one: one[1], default=None)

    def final_after(self, zone: str) -> timedelta:
        """When actuals of the zone are not revised any more: as its first observing source says."""
        said = (link.actuals.final_after for link in self.sources(zone) if link.actuals is not None)
        return next(said, FINAL_AFTER)

    def observes(self, zone: str) -> bool:
        """Whether a source of the zone's chain observes and, as far as it can say, serves it."""
        return any(link.actuals is not None and link.serves(zone) is not False for link in self.sources(zone))

    def unserved(self, zone: str) -> Unserved | None:
        """Who was asked in vain for a zone that no source of its chain serves; None for a zone that one may serve."""
        links = self.sources(zone)
        if not links or any(link.serves(zone) is not False for link in links):
            return None
        from cleanhours.domain.zones import Unserved

        listed = {one for link in links for one in _listed(link)}
        return Unserved(zone, tuple(dict.fromkeys(link.name for link in links)), tuple(sorted(listed)))

    @property
    def every(self) -> Sequence[Sourced]:
        """Each source once, in the order they are first met."""
        links = [*self.default, *(link for links in self.of_zone.values() for link in links)]
        return list({id(link): link for link in links}.values())


class Fallback:
    """Several sources as one: the first that answers. It answers in one measure, that of its first source."""

    def __init__(self, sources: Sequence[Sourced], *, measure: Measure | None = None, name: str = "") -> None:
        if not sources:
            raise ConfigurationError("forecast chain: found no source, accepted: one at least")
        self.name = name or "+".join(source.name for source in sources)
        self._sources = tuple(sources)
        self._measure = measure or sources[0].measure

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """The first answer of the one measure, with a note of who failed before. Raises what the best source raised."""
        troubles: list[CleanhoursError] = []
        for source in self._sources:
            try:
                series = source.wrapped.forecast(zone, start, end)
            except CleanhoursError as error:
                troubles.append(error)
                continue
            if self._measure is None or series.measure == self._measure:
                return series
            troubles.append(
                TemporaryError(f"{source.name} measures {series.measure}, asked: {self._measure}")
            )
        said = "; ".join(str(trouble) for trouble in troubles)
        if all(isinstance(trouble, UnknownZone) for trouble in troubles):
            raise troubles[0]
        raise TemporaryError(f"no source knows {zone}: {said}")


def _listed(link: Sourced) -> Sequence[str]:
    try:
        return link.zones or ()
    except Exception:  # noqa: BLE001 - the edge to other people's code: a hint is worth no fault
        return ()


def _tried(
    ask: Callable[[str, datetime, datetime], IntensitySeries],
    zone: str,
    start: datetime,
    end: datetime,
    troubles: list[CleanhoursError] | None = None,
) -> IntensitySeries | None:
    try:
        return ask(zone, start, end)
    except CleanhoursError as trouble:
        if troubles is not None:
            troubles.append(trouble)
        return None


__all__ = ["ACCEPTED", "Chain", "Fallback", "Link", "Sourced", "from_spec", "read_link", "sourced"]
