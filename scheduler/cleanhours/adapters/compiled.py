"""Settings compiled: checked once, then kept as JSON until a file, the environment or the program changes.

For commands that somebody waits for: reading them takes a millisecond, and neither pydantic nor TOML. They may hold keys
of providers, hence the private file. What JSON cannot say back exactly is not kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cleanhours.adapters.keeping import keep, kept_file, read_kept
from cleanhours.adapters.layers import Effective, Origin, find_file
from cleanhours.adapters.locating import identity_of, state_of
from cleanhours.adapters.settings import (
    SYSTEM_FOLDER,
    ClusterSettings,
    Settings,
    SourceSettings,
    load_settings,
)
from cleanhours.domain.caps import CapPoint, PowerCurve
from cleanhours.domain.deadlines import Margins
from cleanhours.domain.hardware import Hardware
from cleanhours.domain.locations import Location
from cleanhours.domain.resources import Capacity
from cleanhours.domain.rules import Rules

_VALUES: Final = (
    Settings, ClusterSettings, SourceSettings, Location, Capacity, Rules, Margins, Effective, Hardware,
    PowerCurve, CapPoint,
)  # fmt: skip
_WORDS: Final[Mapping[str, Any]] = {
    **{one.__name__: one for one in _VALUES},
    "Origin": Origin,
    "Path": Path,
    "timedelta": timedelta,
    "tuple": lambda *of: of,
}
_IS: Final = "is"
_OF: Final = "of"


def compiled_settings(
    release: str,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path(),
    system: Path = SYSTEM_FOLDER,
) -> Settings:
    """As `load_settings` without `config` and `flags`, from what an earlier call of this `release` kept, if it still holds."""
    said = dict(os.environ) if environment is None else environment
    file = find_file(None, said, folder, system)
    spoken = None if file is None else str(file)
    identity, state = identity_of(release, spoken, said), state_of(spoken)
    path, key = kept_file(said, "settings", identity), f"{identity} {state}"
    settings = _unpacked(read_kept(path, key))
    if settings is None:
        settings = load_settings(environment=said, folder=folder, system=system)
        text = _packed(settings)
        if text is not None and settings.file == file and not _relative(settings):
            keep(path, key, text)
    return settings


def _relative(settings: Settings) -> bool:
    """Whether the state folder was told from where the caller is: then it is another one elsewhere."""
    told = next((one.value for one in settings.effective if one.key == "state.folder"), "")
    return not Path(told).expanduser().is_absolute()


def _packed(settings: Settings) -> str | None:
    try:
        text = json.dumps(_plain(settings), separators=(",", ":"))
    except (TypeError, ValueError):  # a date of TOML
        return None
    return text if _unpacked(text) == settings else None


def _unpacked(text: object) -> Settings | None:
    if not isinstance(text, str):
        return None
    try:
        settings = json.loads(text, object_hook=_told)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return settings if isinstance(settings, Settings) else None


def _plain(value: Any) -> Any:
    """A value as JSON can say it: what is more than table, list or text says what it is."""
    if is_dataclass(value):
        return {_IS: type(value).__name__} | {
            field.name: _plain(getattr(value, field.name)) for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, tuple):
        return {_IS: "tuple", _OF: [_plain(inner) for inner in value]}
    if isinstance(value, timedelta):
        return {_IS: "timedelta", _OF: [value.days, value.seconds, value.microseconds]}
    if isinstance(value, (Path, Origin)):
        return {_IS: "Path" if isinstance(value, Path) else "Origin", _OF: [str(value)]}
    return value


def _told(found: dict[str, Any]) -> Any:
    if _IS not in found:
        return found
    made = _WORDS[found.pop(_IS)]
    return made(*found[_OF]) if _OF in found else made(**found)
