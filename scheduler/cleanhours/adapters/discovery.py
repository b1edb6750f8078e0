"""Discovery of plugins by their entry points: nothing is imported before it is asked for, one broken plugin harms no other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cleanhours.adapters.plugin_index import load_target
from cleanhours.domain.errors import CleanhoursError, ConfigurationError

if TYPE_CHECKING:  # help lists the commands of plugins, and must not import numpy for it
    from cleanhours.adapters.plugin_index import Targets
    from cleanhours.ports import Cluster, Context, ForecastSource, Meter

log = logging.getLogger(__name__)


class Group(StrEnum):
    """What plugins can be. Each entry point names `build(settings, context)`; a command names a module or click command."""

    FORECASTS = "cleanhours.forecasts"
    CLUSTERS = "cleanhours.clusters"
    METERS = "cleanhours.meters"
    COMMANDS = "cleanhours.commands"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that is installed and cannot be used."""

    name: str
    reason: str


@dataclass(slots=True)
class Plugins:
    """The installed plugins; `path` is where to look for distributions, by default where Python does.

    `known` is what a search found before: then nobody looks.
    """

    path: Sequence[str] | None = None
    known: Targets | None = None
    _found: dict[Group, Mapping[str, str]] = field(default_factory=dict)

    def names(self, group: Group) -> list[str]:
        """Every installed plugin of a group, sorted, without importing any."""
        return sorted(self._targets(group))

    def load(self, group: Group, name: str) -> Any:
        """What the entry point names. Raises ConfigurationError: unknown (with the known names), or it fails to load."""
        targets = self._targets(group)
        if name not in targets:
            raise ConfigurationError(_unknown(group, name, sorted(targets)))
        try:
            return load_target(targets[name])
        except Exception as fault:
            raise ConfigurationError(f"{_kind(group)} {name!r} cannot be loaded: {_said(fault)}") from fault

    def forecast(self, name: str, settings: Mapping[str, Any], context: Context) -> ForecastSource:
        """The source `name` of this table. Raises ConfigurationError or what its `build` says on purpose."""
        built: ForecastSource = self._build(Group.FORECASTS, name, settings, context)
        return built

    def cluster(self, type_: str, settings: Mapping[str, Any], context: Context) -> Cluster:
        """A cluster of this type and table. Raises as `forecast`."""
        built: Cluster = self._build(Group.CLUSTERS, type_, settings, context)
        return built

    def meter(self, name: str, settings: Mapping[str, Any], context: Context) -> Meter:
        """The meter `name` of this table. Raises as `forecast`."""
        built: Meter = self._build(Group.METERS, name, settings, context)
        return built

    def meters(
        self, settings: Mapping[str, Mapping[str, Any]], context: Context
    ) -> tuple[list[Meter], list[Broken]]:
        """Every installed meter that works, by name, and those that do not: each named in the log once.

        A table of a meter that is not installed is one of these: a mistyped name must not be silence.
        """
        built: list[Meter] = []
        broken: list[Broken] = []
        for name in sorted({*self.names(Group.METERS), *settings}):
            try:
                built.append(self.meter(name, settings.get(name, {}), context))
            except CleanhoursError as fault:
                broken.append(Broken(name, str(fault)))
                log.warning("plugin skipped group=%s name=%s error=%s", Group.METERS, name, fault)
        return built, broken

    def _build(self, group: Group, name: str, settings: Mapping[str, Any], context: Context) -> Any:
        build = self.load(group, name)
        try:
            return build(settings, context)
        except CleanhoursError:
            raise
        except Exception as fault:
            raise ConfigurationError(f"{_kind(group)} {name!r} cannot be built: {_said(fault)}") from fault

    def _targets(self, group: Group) -> Mapping[str, str]:
        if self.known is not None:
            return self.known.get(group.value, {})
        if group not in self._found:
            self._found[group] = _search(group, self.path)
        return self._found[group]


def find_targets(path: Sequence[str] | None = None) -> dict[str, dict[str, str]]:
    """What the entry points of every group name, as `Plugins.known` takes it: a search among all distributions."""
    return {group.value: _search(group, path) for group in Group}


def _search(group: Group, path: Sequence[str] | None) -> dict[str, str]:
    from importlib.metadata import distributions, entry_points

    if path is None:
        points = list(entry_points(group=group.value))
    else:
        found = distributions(path=list(path))
        points = [point for one in found for point in one.entry_points if point.group == group.value]
    # of two plugins with one name the first on the path wins, as with modules
    return {point.name: point.value for point in reversed(points)}


def _kind(group: Group) -> str:
    return {
        Group.FORECASTS: "forecast source",
        Group.CLUSTERS: "cluster type",
        Group.METERS: "meter",
        Group.COMMANDS: "command",
    }[group]


def _unknown(group: Group, name: str, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"no {_kind(group)} {name!r} is installed; {hint}installed: {', '.join(known) or 'none'}"


def _said(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
