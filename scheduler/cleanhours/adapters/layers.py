"""Layers of settings: file under environment under flags, each value with where it came from, secrets masked when shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cleanhours.adapters.keeping import xdg_folder
from cleanhours.adapters.locating import PREFIX, SEPARATOR, settings_file
from cleanhours.domain.errors import ConfigurationError

_SECRET: Final = re.compile(r"(?:^|[_.-])(?:token|key|password|passwd|secret)s?(?:$|[_.-])", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(r"(://[^/?#\s:@]*:)\S*(?=@)")
_QUERY_SECRET: Final = re.compile(
    r"([?&][^=&\s]*(?:token|key|password|secret)[^=&\s]*=)[^&\s]+", re.IGNORECASE
)
_MASK: Final = "***"

Path_ = tuple[str, ...]


class Origin(StrEnum):
    """Where a value was said, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "env"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting in force: its dotted name, its value as shown (secrets masked), and where it was said."""

    key: str
    value: str
    origin: Origin
    source: str = ""
    """The file, the variable; empty for defaults and flags."""


@dataclass(slots=True)
class Layers:
    """What was said, merged: `tree` as nested tables, and for each value its origin."""

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, tuple[Origin, str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def put(self, path: Path_, value: Any, origin: Origin, source: str) -> None:
        """Lays a value over whatever was there; a table goes over a table key by key."""
        if isinstance(value, Mapping):
            if not value:
                self._table(path)
            for name, inner in value.items():
                self.put((*path, str(name)), inner, origin, source)
            return
        table = self._table(path[:-1])
        if table is None:
            self.faults.append(f"{'.'.join(path[:-1])}: found a value, accepted: a table ({source})")
            return
        if isinstance(table.get(path[-1]), dict):
            self.faults.append(f"{'.'.join(path)}: found {shown(path, value)}, accepted: a table ({source})")
            return
        table[path[-1]] = value
        self.origins[path] = (origin, source)

    def origin_of(self, path: Path_) -> tuple[Origin, str]:
        """Where the value, or most of what is inside it, was said."""
        if path in self.origins:
            return self.origins[path]
        inner = [origin for said, origin in self.origins.items() if said[: len(path)] == path]
        return max(inner, key=lambda pair: list(Origin).index(pair[0]), default=(Origin.DEFAULT, ""))

    def said(self, *path: str) -> bool:
        """Whether anything was said there."""
        node: Any = self.tree
        for name in path:
            if not isinstance(node, dict) or name not in node:
                return False
            node = node[name]
        return True

    def _table(self, path: Path_) -> dict[str, Any] | None:
        node = self.tree
        for name in path:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                return None
        return node


def find_file(config: Path | None, environment: Mapping[str, str], folder: Path, system: Path) -> Path | None:
    """The settings file: the one named, else the first of folder, user's and system's. One file, never a mixture.

    Raises ConfigurationError where the one named is not there.
    """
    if config is not None:
        if not config.is_file():
            raise ConfigurationError(f"--config {config}: no such file")
        return config
    found = settings_file(environment, str(folder), str(system))
    return None if found is None else Path(found)


def xdg(environment: Mapping[str, str], variable: str, below_home: str) -> Path:
    """A folder of the XDG base directory specification; relative values are ignored, as it says."""
    return Path(xdg_folder(environment, variable, below_home))


def read_layers(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Layers:
    """What file, environment and flags (dotted names) say, the later ones on top. Raises ConfigurationError for a bad file."""
    layers = Layers()
    if file is not None:
        for name, value in _read_toml(file).items():
            layers.put((name,), value, Origin.FILE, str(file))
    for variable, path, text in _variables(environment, layers.tree):
        layers.put(path, text, Origin.ENVIRONMENT, variable)
    for dotted, value in flags.items():
        if value is not None:
            layers.put(tuple(dotted.split(".")), value, Origin.FLAG, "")
    return layers


def parsed(value: Any) -> Any:
    """A plugin's value from the environment, where all is text: as TOML reads it, else the text itself."""
    if not isinstance(value, str):
        return value
    import tomllib

    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return value


def shown(path: Sequence[str], value: Any) -> str:
    """A value for people, on one line; what is named like a secret, and passwords in URLs, are masked."""
    if any(_SECRET.search(name) for name in path[-1:]) and value not in (None, ""):
        return _MASK
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {shown((*path, str(k)), v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(path, item) for item in value) + "]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = _URL_PASSWORD.sub(rf"\1{_MASK}", text)
    return _QUERY_SECRET.sub(rf"\1{_MASK}", text)


def _read_toml(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise ConfigurationError(f"{file} is not TOML: {fault}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text") from None
    except OSError as fault:
        raise ConfigurationError(f"{file} cannot be read: {fault.strerror}") from None


def _variables(environment: Mapping[str, str], tree: Mapping[str, Any]) -> Iterator[tuple[str, Path_, str]]:
    for variable in sorted(environment):
        rest = variable.removeprefix(PREFIX)
        if rest == variable or SEPARATOR not in rest:
            continue
        yield variable, _spelled(rest.split(SEPARATOR), tree), environment[variable]


def _spelled(names: Sequence[str], tree: Mapping[str, Any]) -> Path_:
    """Variables are in capitals: a name that the file spells otherwise is meant as the file spells it."""
    path: list[str] = []
    node: Any = tree
    for name in names:
        known = {key.lower().replace("-", "_"): key for key in node} if isinstance(node, Mapping) else {}
        path.append(known.get(name.lower(), name.lower()))
        node = node.get(path[-1]) if isinstance(node, Mapping) else None
    return tuple(path)
