"""Settings and forecasts of these tests, in an ordinary user's home."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.times import format_instant, instant_of
from tests.integration.slurm.site import Site

HOUR = 3600
SETTINGS = """\
[clusters.slurm]
type = "slurm"
poll = "1s"
{extra}

[locations.de]
zone = "DE"
match = {{partition = "de"}}

[locations.fr]
zone = "FR"
match = {{partition = "fr"}}

[forecasts]
chain = ["csv:{forecast}"]
"""


def now() -> int:
    return int(SystemClock().now().timestamp())


_FIRST_HOUR = now() // HOUR * HOUR


def this_hour() -> int:
    """The hour in which these tests began: a forecast's first, also for a test that lasts into the next one."""
    return _FIRST_HOUR


def clean_hour() -> int:
    """When the forecast of `dirty_at_first` turns clean."""
    return this_hour() + 3 * HOUR


def dirty_at_first(hour: int) -> tuple[float, float]:
    """Dirty for two hours and more in both zones, then clean; France cleaner than Germany."""
    return (500.0, 400.0) if hour < 3 else (100.0, 50.0)


@contextmanager
def calling_sbatch(
    site: Site, text: str, *arguments: str | Path, words: str, stdin: int | None = None
) -> Iterator[Popen[str]]:
    """A program in Python that knows nothing of us, run by an ordinary user, and finds ours where it looks for `sbatch`."""
    folder = site.home / "bin"
    folder.mkdir(exist_ok=True)
    python, _, code = site.words("cleanhours.apps.sbatch", "main")
    link = folder / "sbatch"
    link.write_text(f"#!{python}\n# cleanhours\n{code}\n", "utf-8")
    for path in (folder, link):
        path.chmod(0o755)
    environment = {"PATH": f"{folder}:{site.variables['PATH']}", "CLEANHOURS_JOB": words}
    process = site.start(python, "-c", text, *arguments, environment=environment, stdin=stdin)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def number_of(process: Popen[str]) -> str:
    """The first word that the program prints: what it was told by sbatch."""
    assert process.stdout is not None
    line = process.stdout.readline().split()

    assert line, process.communicate()[1]
    return str(line[0])


def write_settings(site: Site, forecast: Callable[[int], tuple[float, float]], extra: str = "") -> None:
    """What the user's commands read: intensity in DE and FR for each hour from this one on."""
    begins = this_hour()
    rows = ["time,DE,FR"]
    for hour in range(-2, 48):
        germany, france = forecast(hour)
        rows.append(f"{format_instant(instant_of(begins + hour * HOUR))},{germany},{france}")
    file = site.home / "forecast.csv"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    file.chmod(0o644)
    site.settings(SETTINGS.format(forecast=file, extra=extra))
    forget_forecasts(site)


def forget_forecasts(site: Site) -> None:
    """As if half an hour had passed since the last question."""
    shutil.rmtree(site.home / ".local" / "state" / "cleanhours" / "forecasts", ignore_errors=True)


def only_job(printed: str) -> str:
    """The number in what sbatch printed."""
    found = re.search(r"\d+", printed)
    assert found is not None, printed
    return found[0]


def records(site: Site) -> list[str]:
    """Submissions that are under way, or that somebody left behind; those that were let go stay noted for a minute."""
    folder = site.home / ".local" / "state" / "cleanhours" / "submissions"
    found = []
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError):
            if not json.loads(path.read_text("utf-8")).get("released"):
                found.append(path.name)
    return sorted(found)


def script(site: Site, text: str, name: str = "job.sh") -> Path:
    path = site.home / name
    path.write_text(text, "utf-8")
    path.chmod(0o644)
    return path


def slowed(site: Site, program: str, seconds: float) -> dict[str, str]:
    """An environment in which one of Slurm's commands takes its time."""
    folder = site.home / f"slow-{program}"
    folder.mkdir(exist_ok=True)
    file = folder / program
    file.write_text(f'#!/bin/sh\nsleep {seconds}\nexec /usr/bin/{program} "$@"\n', "utf-8")
    file.chmod(0o755)
    folder.chmod(0o755)
    return {"PATH": f"{folder}:{site.variables['PATH']}"}
