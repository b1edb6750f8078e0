"""Settings: defaults under file under environment under flags, checked as a whole, every fault told at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cleanhours.adapters import locating
from cleanhours.adapters.layers import Effective, Layers, Origin, find_file, parsed, read_layers, shown, xdg
from cleanhours.domain.deadlines import Margins
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.hardware import Hardware
from cleanhours.domain.locations import Location
from cleanhours.domain.rules import Rules
from cleanhours.domain.times import format_duration

if TYPE_CHECKING:  # settings that were compiled are read without pydantic
    from cleanhours.adapters.tables import SettingsTables

SYSTEM_FOLDER: Final = Path(locating.SYSTEM_FOLDER)
DEFAULT_ZONE: Final = "GB"
"""Where `local` lies until somebody says otherwise: the one grid with a keyless live forecast."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """A configured cluster: the plugin that speaks to it, and the plugin's own table."""

    name: str
    type: str
    table: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A configured forecast source: the plugin, and the plugin's own table."""

    name: str
    type: str
    table: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can say, as values. `listen` is None where metrics are off; `defaults` are request words."""

    clusters: Mapping[str, ClusterSettings]
    locations: Mapping[str, Location]
    chain: tuple[str, ...]
    zone_chains: Mapping[str, tuple[str, ...]]
    beside: tuple[str, ...]
    """The chain of a second measure, in which runs are settled beside their accounts; empty where none is wanted."""
    sources: Mapping[str, SourceSettings]
    meters: Mapping[str, Mapping[str, Any]]
    defaults: Mapping[str, str]
    rules: Rules
    tick: timedelta
    admission: str
    listen: tuple[str, int] | None
    ledger_url: str
    state_folder: Path
    hardware: Hardware | None = None
    """The servers everywhere, for embodied carbon; None where nothing was said."""
    hardware_at: Mapping[str, Hardware] = field(default_factory=dict)
    file: Path | None = None
    effective: tuple[Effective, ...] = ()

    def chain_of(self, zone: str) -> tuple[str, ...]:
        """The forecast chain of a grid zone, best first."""
        return self.zone_chains.get(zone, self.chain)

    def source(self, name: str) -> SourceSettings:
        """A source by its name in a chain; one without a table is the plugin of that name."""
        return self.sources.get(name, SourceSettings(name, name))

    def to_json(self) -> dict[str, dict[str, str]]:
        """Per dotted name its value, as shown, and its origin."""
        return {
            one.key: {"value": one.value, "origin": one.origin.value}
            | ({"source": one.source} if one.source else {})
            for one in self.effective
        }


def load_settings(
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    folder: Path = Path(),
    system: Path = SYSTEM_FOLDER,
) -> Settings:
    """The settings in force. `flags` have dotted names (`metrics.listen`); None means not given.

    Raises ConfigurationError with every fault, each naming the setting, the value found, what would have been right,
    and where it was said.
    """
    from cleanhours.adapters.tables import check_tables

    said = dict(os.environ) if environment is None else environment
    file = find_file(config, said, folder, system)
    layers = read_layers(file, said, flags or {})
    _put_defaults(layers, said)
    tables, faults = check_tables(layers)
    if faults or tables is None:
        raise ConfigurationError("the settings are wrong:" + "".join(f"\n  {fault}" for fault in faults))
    return _settings(tables, layers, file)


def _put_defaults(layers: Layers, environment: Mapping[str, str]) -> None:
    """What depends on the machine, or on what else was said; the other defaults stand in the tables."""

    def put(path: str, value: Any) -> None:
        parts = tuple(path.split("."))
        if not layers.said(*parts):
            layers.put(parts, value, Origin.DEFAULT, "")

    locations = layers.tree.get("locations")
    if not locations or (isinstance(locations, dict) and isinstance(locations.get("local"), dict)):
        put("locations.local.zone", DEFAULT_ZONE)
    clusters = layers.tree.get("clusters")
    if not clusters or (isinstance(clusters, dict) and isinstance(clusters.get("local"), dict)):
        put("clusters.local.type", "local")
    put("state.folder", str(xdg(environment, "XDG_STATE_HOME", ".local/state") / "cleanhours"))
    state = layers.tree.get("state")
    home = state.get("folder") if isinstance(state, dict) else None
    put("ledger.url", f"sqlite:///{Path(str(home)).expanduser().absolute() / 'ledger.sqlite'}")


def _settings(tables: SettingsTables, layers: Layers, file: Path | None) -> Settings:
    planning = tables.planning
    rules = Rules(
        margins=Margins(planning.safety, planning.queue_margin),
        minimum_saving_percent=planning.minimum_saving_percent,
        hysteresis_percent=planning.hysteresis_percent,
        delay_g_per_hour=planning.delay_g_per_hour,
        transfer_kwh_per_gb=planning.transfer_kwh_per_gb,
        minimum_run=planning.minimum_run,
        maximum_pauses=planning.maximum_pauses,
        releases_per_tick=planning.releases_per_tick,
        power_curves={name: table.curve() for name, table in tables.power_curves.items()},
    )
    clusters = {
        name: ClusterSettings(name, table.type, _plugin_table(layers, ("clusters", name), table.model_extra))
        for name, table in tables.clusters.items()
    }
    sources = {
        name: SourceSettings(
            name,
            str(table.get("type", name)),
            _plugin_table(
                layers, ("forecasts", "sources", name), {k: v for k, v in table.items() if k != "type"}
            ),
        )
        for name, table in tables.forecasts.sources.items()
    }
    return Settings(
        clusters=clusters,
        locations={
            name: replace(table.location(name), assumed=_assumed(layers, name))
            for name, table in tables.locations.items()
        },
        chain=tuple(tables.forecasts.chain),
        zone_chains={zone: tuple(chain) for zone, chain in tables.forecasts.zones.items()},
        beside=tuple(tables.forecasts.beside),
        sources=sources,
        meters={
            name: _plugin_table(layers, ("meters", name), table) for name, table in tables.meters.items()
        },
        defaults=tables.defaults,
        rules=rules,
        tick=planning.tick,
        admission=tables.admission.mode,
        listen=tables.metrics.listen,
        ledger_url=tables.ledger.url,
        state_folder=tables.state.folder.expanduser().absolute(),
        hardware=tables.embodied.hardware(),
        hardware_at={
            name: told
            for name, table in tables.embodied.locations.items()
            if (told := table.hardware()) is not None
        },
        file=file,
        effective=tuple(_effective(tables.model_dump(), layers)),
    )


def _assumed(layers: Layers, location: str) -> bool:
    return layers.origin_of(("locations", location, "zone"))[0] is Origin.DEFAULT


def _plugin_table(layers: Layers, path: tuple[str, ...], table: Mapping[str, Any] | None) -> dict[str, Any]:
    """A plugin's own keys; what came from the environment is read as TOML reads it."""
    return {
        key: parsed(value) if layers.origin_of((*path, key))[0] is Origin.ENVIRONMENT else value
        for key, value in (table or {}).items()
    }


def _effective(values: Mapping[str, Any], layers: Layers, path: tuple[str, ...] = ()) -> Iterator[Effective]:
    for name, value in values.items():
        here = (*path, name)
        if isinstance(value, Mapping):
            yield from _effective(value, layers, here)
            continue
        if value is None and here != ("metrics", "listen"):
            continue
        origin, source = layers.origin_of(here)
        yield Effective(".".join(here), shown(here, _worded(value)), origin, source)


def _worded(value: Any) -> Any:
    """A value as an operator would write it."""
    if value is None:
        return "off"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int):
        host, port = value
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return value
