"""Forecast sources as the settings ask for them: built by their plugins, wrapped, and chained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cleanhours.adapters.discovery import Group, Plugins
from cleanhours.adapters.forecast_chain import Chain, Sourced, read_link, sourced
from cleanhours.domain.errors import CleanhoursError, ConfigurationError
from cleanhours.ports import Context, ForecastSource

if TYPE_CHECKING:
    from cleanhours.adapters.forecast_patience import Patience
    from cleanhours.adapters.settings import Settings


def build_chain(
    settings: Settings,
    plugins: Plugins,
    context: Context,
    cache: Path | None,
    patience: Patience | None = None,
) -> Chain:
    """The configured chain, every source built once however many zones share it. Raises ConfigurationError."""
    of_zones = settings.zone_chains
    words = dict.fromkeys([*settings.chain, *(word for chain in of_zones.values() for word in chain)])
    built = {word: build_link(word, settings, plugins, context, cache, patience) for word in words}

    def linked(chain: Sequence[str]) -> list[Sourced]:
        return [built[word] for word in chain]

    return Chain(linked(settings.chain), {zone: linked(chain) for zone, chain in of_zones.items()})


def build_beside(settings: Settings, plugins: Plugins, context: Context, cache: Path | None) -> Chain | None:
    """The sources of the second measure; None where there are none. Raises ConfigurationError for one without a past."""
    if not settings.beside:
        return None
    links = {word: build_link(word, settings, plugins, context, cache) for word in settings.beside}
    blind = [word for word, link in links.items() if link.actuals is None]
    if blind:
        raise ConfigurationError(
            f"forecasts.beside: found {', '.join(map(repr, blind))}, accepted: sources that tell what really was"
        )
    return Chain([*links.values()])


def build_link(
    word: str,
    settings: Settings,
    plugins: Plugins,
    context: Context,
    cache: Path | None,
    patience: Patience | None = None,
) -> Sourced:
    """One word of a chain as a source: the plugin's own table under what the word itself says."""
    link = read_link(word)
    source = settings.source(link.plugin)
    bare = plugins.forecast(source.type, {**source.table, **link.settings}, context)
    return wrap(bare, context, cache, patience, identity=word, from_history=link.from_history)


def wrap(
    bare: ForecastSource,
    context: Context,
    cache: Path | None = None,
    patience: Patience | None = None,
    *,
    identity: str = "",
    from_history: bool = False,
) -> Sourced:
    """A source checked, watched, waited for as long as `patience` lasts, and cached where there is a folder for it."""
    return sourced(
        bare,
        clock=context.clock,
        telemetry=context.telemetry,
        cache_folder=cache,
        identity=identity,
        from_history=from_history,
        patience=patience,
    )


def source_rows(
    chain: Chain, beside: Chain | None, settings: Settings, plugins: Plugins
) -> list[dict[str, object]]:
    """Every installed source: its level in the chain, what it measures, whom to credit, or what is wrong with it."""
    asked: list[tuple[int | None, str, Sourced]] = [
        (level, _says(source), source) for level, source in enumerate(chain.every, 1)
    ]
    if beside is not None:
        asked += [(None, f"beside the chain: {_says(source)}", source) for source in beside.every]
    rows: list[dict[str, object]] = [
        {"name": source.name, "level": level, "says": says, "attribution": source.attribution}
        for level, says, source in asked
    ]
    words = (settings.chain, settings.beside, *settings.zone_chains.values())
    used = {settings.source(read_link(word).plugin).type for some in words for word in some}
    rows += [
        {"name": name, "level": None, "says": "not in the chain", "attribution": ""}
        for name in plugins.names(Group.FORECASTS)
        if name not in used
    ]
    return rows


def _says(source: Sourced) -> str:
    try:
        measure, zones = source.measure, source.zones
    except CleanhoursError as fault:
        return str(fault)
    words = (
        "measures what it is told"
        if measure is None
        else f"{measure.signal}, {measure.scope}, {measure.basis}"
    )
    return words + ("" if zones is None else f"; {len(zones)} zones")
