"""Reports that runs write of themselves: where a run's lie, and reading them whole or not at all.

A place is a folder and a file pattern with the words `{cluster} {namespace} {owner} {name} {uid} {attempt}` of the run in
braces. What stands for a word came from users: a value that would lead to another folder leads nowhere.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import math
import os
import reprlib
import stat
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from cleanhours.domain.errors import CleanhoursError, ConfigurationError, TemporaryError
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import parse_duration
from cleanhours_plugins.meters.keys import check_keys

WORDS: Final = ("cluster", "namespace", "owner", "name", "uid", "attempt")
TELLING: Final = frozenset({"name", "uid"})
"""Words that tell one job from another."""

LARGEST_BYTES: Final = 16 << 20
"""Of all reports of a run: what is more is none, and would hold the controller up."""

MOST_FILES: Final = 1000
LARGEST_NUMBER: Final = 1e12
"""Of joules, kilowatt-hours or anything else that a report may say: more is a mistake."""

TOLERANCE: Final = timedelta(minutes=2)
"""By which the clocks of a run and of its cluster may differ, and what a report needs to be written."""

UNFINISHED: Final = timedelta(minutes=2)
"""So long after a run's end its report may still be in the writing."""


class UnreadableReport(CleanhoursError):
    """A run's report makes no sense or may not be counted: whoever wrote it must look."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where reports lie, and how their times are read: `zone` is of those without one (None: this machine's)."""

    folder: str
    file: str
    tolerance: timedelta = TOLERANCE
    zone: tzinfo | None = None

    def reports(self, run: FinishedRun) -> list[Path]:
        """The run's reports, by name; none where the folder is not there. Raises UnreadableReport, and OSError."""
        folder = Path(fill(self.folder, run))
        pattern = fill(self.file, run, escape=True)
        try:
            found = sorted(path for path in folder.iterdir() if fnmatch.fnmatchcase(path.name, pattern))
        except (FileNotFoundError, NotADirectoryError):
            return []
        if len(found) > MOST_FILES or sum(path.stat().st_size for path in found) > LARGEST_BYTES:
            raise UnreadableReport(
                f"{folder}: {len(found)} reports {pattern}: accepted are {MOST_FILES} files and {LARGEST_BYTES >> 20} MiB"
            )
        return found

    def is_of_one_run(self, run: FinishedRun) -> bool:
        """Whether what lies there can be of no other run of any job."""
        named = words_of(self.folder) | words_of(self.file)
        return "uid" in named and (run.key.attempt == 1 or "attempt" in named)

    def within(self, run: FinishedRun, start: datetime, end: datetime) -> bool:
        """Whether something that lasted from `start` to `end` may be this run's, as far as clocks agree."""
        first = run.segments[0].start - self.tolerance
        return first <= start <= end <= run.finished_at + self.tolerance

    def instants(self, text: str) -> tuple[datetime, ...]:
        """What an ISO time may mean: one instant, or two in the hour that a clock is put back. Raises ValueError."""
        found = datetime.fromisoformat(text.strip())
        if not 1971 <= found.year < 9000:
            raise ValueError(f"{text} is no time of a run")
        if found.tzinfo is not None:
            return (found.astimezone(UTC),)
        both = (found.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return tuple(dict.fromkeys(both))


def words_of(template: str) -> set[str]:
    """The words in braces. Raises ValueError for what is no template."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def fill(template: str, run: FinishedRun, *, escape: bool = False) -> str:
    """The template with the run's words. Raises UnreadableReport for a value that is no name of one file or folder."""
    values = {
        "cluster": run.key.cluster,
        "namespace": run.namespace,
        "owner": run.owner,
        "name": run.name,
        "uid": run.key.uid,
        "attempt": str(run.key.attempt),
    }
    for word in words_of(template):
        value = values[word]
        if not value or value.startswith(".") or not value.isprintable() or "/" in value:
            raise UnreadableReport(
                f"the {word} {value!r} of a run names no folder: its reports are not sought"
            )
    return template.format_map(
        {word: glob.escape(value) if escape else value for word, value in values.items()}
    )


def read_text(path: Path) -> str:
    """A report's text. Raises UnreadableReport: no plain file, too long, not UTF-8; and OSError."""
    # whoever may write there could leave a pipe, and opening it would wait for ever
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_BYTES:
            raise UnreadableReport(f"{path}: a report is a plain file of at most {LARGEST_BYTES >> 20} MiB")
        content = file.read(LARGEST_BYTES + 1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise UnreadableReport(f"{path}: not UTF-8 text: {fault}") from None


def read_json(path: Path, *, may_grow: bool) -> Any:
    """A report's JSON. Raises UnreadableReport, or TemporaryError where it is not whole and `may_grow`; and OSError."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as fault:
        if may_grow:
            raise growing(path) from None
        raise UnreadableReport(f"{path}: {fault}") from None
    except (RecursionError, ValueError) as fault:
        raise UnreadableReport(f"{path}: no JSON that anybody reads: {fault}") from None


def growing(path: Path) -> TemporaryError:
    """What to raise of a report whose end is not written yet."""
    return TemporaryError(f"{path}: not written to its end yet", delay=UNFINISHED / 8)


def shown(value: object) -> str:
    """A value as a complaint shows it: what stands in a report may be megabytes long, or nested too deep to be written."""
    return reprlib.repr(value)


def number_of(path: Path, what: str, value: object, most: float = LARGEST_NUMBER) -> float:
    """A number from 0 to `most`, or text that is one. Raises UnreadableReport."""
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number <= most:
        raise UnreadableReport(f"{path}: {what}: found {shown(value)}, accepted: a number from 0 to {most:g}")
    return number


def place_of(
    meter: str,
    settings: Mapping[str, Any],
    file: str,
    *,
    templates: Sequence[str] = (),
    others: Sequence[str] = (),
    faults: Iterable[str] = (),
) -> Place | None:
    """The place that a meter's table names; None for an empty table: then nobody reports.

    Keys: `folder`, `file` (by default as given here), `tolerance`, `timezone`; the meter's own are `templates`, which may
    tell runs apart too, and `others`, whose `faults` it found itself. Raises ConfigurationError naming every fault.
    """
    if not settings:
        return None
    found = [*_faults(meter, settings, templates, others), *faults]
    if found:
        raise ConfigurationError("; ".join(found))
    zone = settings.get("timezone")
    return Place(
        settings["folder"],
        settings.get("file", file),
        parse_duration(settings["tolerance"]) if "tolerance" in settings else TOLERANCE,
        None if zone is None else ZoneInfo(zone),
    )


def _faults(
    meter: str, settings: Mapping[str, Any], templates: Sequence[str], others: Sequence[str]
) -> Iterator[str]:
    try:
        check_keys(meter, settings, ("folder", "file", "tolerance", "timezone", *templates, *others))
    except ConfigurationError as fault:
        yield str(fault)
    told: set[str] = set()
    wrong = False
    for key in ("folder", "file", *templates):
        value = settings.get(key, None if key == "folder" else "")
        if accepted := _template_fault(value, key):
            wrong = True
            yield f"meters.{meter}.{key}: found {value!r}, accepted: {accepted}"
        else:
            told |= words_of(value)
    if not wrong and not told & TELLING:
        known = ", ".join(("folder", "file", *templates))
        yield f"meters.{meter}: every run would be given the same report: put {{uid}} or {{name}} into {known}"
    for key, read, accepted in (
        ("tolerance", parse_duration, "a duration such as 2m"),
        ("timezone", ZoneInfo, "a name such as Europe/Paris"),
    ):
        try:
            if key in settings:
                read(settings[key])
        except (ValueError, TypeError, LookupError, OSError, AttributeError):
            yield f"meters.{meter}.{key}: found {settings[key]!r}, accepted: {accepted}"


def _template_fault(value: object, key: str) -> str:
    """What would have been right; empty where it is."""
    words = ", ".join(f"{{{word}}}" for word in WORDS)
    kind = {"folder": "the path of a folder, from / on", "file": "the name of a file, * and ? for any"}
    accepted = f"{kind.get(key, 'text')}, with any of {words}"
    if not isinstance(value, str) or (key == "folder" and not value.startswith("/")):
        return accepted
    if key == "file" and "/" in value:
        return accepted
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError:
        return accepted
    plain = all(
        name is None or (name in WORDS and not spec and not conversion) for _, name, spec, conversion in parts
    )
    return "" if plain else accepted
