"""Requeuing: a job that is requeued held, to be told when it starts again, is noted before, as a submission is.

Whatever becomes of us in between, the watchdog lets it go after a minute.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cleanhours_plugins.clusters.slurm import recording
from cleanhours_plugins.clusters.slurm.acting import Orders
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.watchdog import start_watchdog

_HOLDS: Final = ("scontrol", "requeuehold")


def note(several: Iterable[Orders], now: int, settings: SlurmSettings) -> Mapping[str, Path]:
    """A record for each that leaves its job held for a moment, by the job's uid.

    Raises OSError where none can be written: then none of them may be carried out.
    """
    holding = [found for found in several if any(command[:2] == _HOLDS for command in found.commands)]
    folder = recording.folder_of(os.environ)
    noted: dict[str, Path] = {}
    for found in holding:
        seen = found.after.seen
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{now}-{os.getpid()}-{seen.id}.json"
        conf = str(settings.slurm_conf or os.environ.get("SLURM_CONF", ""))
        record = recording.Record(
            user=_user(), host=recording.host_name(), submitted=now, job=seen.id, requeued=True,
            cluster=settings.cluster or "", slurm_conf=conf,
        )  # fmt: skip
        recording.write(path, record)
        noted[found.after.uid] = path
    if noted:
        start_watchdog(folder)
    return noted


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
