"""Records: a line on disk for every submission that we hold, from before it is made until it is let go.

Who is killed in between leaves one behind, and whoever comes by after a minute lets the job go: the watchdog that the
submission itself left, the next submission, the controller. A record names the session in which sbatch ran, made for it alone
(Slurm keeps it as `AllocNode:Sid`): so nobody ever touches a hold that is not ours. Standard library only.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

LEFT_ALONE_S: Final = 60
"""A submission younger than this may still be under way."""
NO_SESSION: Final = -1
"""Of a submission whose sbatch was not started yet: no job is of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One submission. `session` is that of sbatch, `job` what it answered, as far as it was read.

    `cluster` is what was said by `-M`, which may be several, then the one that answered. `held`: its owner asked for a hold;
    `ignores_pbs`: he wants no lines `#PBS` read. `released` is when we let it go, 0 before. `requeued`: it is no submission but
    a job that a controller requeued held, to tell it when to start again. `free`: it was not submitted held, and is let go by nobody.
    """

    user: str
    host: str
    session: int = NO_SESSION
    submitted: int
    job: str = ""
    cluster: str = ""
    held: bool = False
    ignores_pbs: bool = False
    released: int = 0
    requeued: bool = False
    free: bool = False
    slurm_conf: str = ""


_EXAMPLE: Final = Record(user="", host="", submitted=0)
_LATER: Final = {"ignores_pbs": False, "released": 0, "requeued": False, "free": False}
"""What records of an earlier release do not say."""


def folder_of(environment: Mapping[str, str]) -> Path:
    """Where a user's records lie; wherever his settings say that state is kept, without reading them."""
    named = environment.get("CLEANHOURS_STATE__FOLDER")
    if named:
        return Path(named).expanduser().absolute() / "submissions"
    state = environment.get("XDG_STATE_HOME") or str(Path(_home(environment)) / ".local" / "state")
    return Path(state).absolute() / "cleanhours" / "submissions"


def _home(environment: Mapping[str, str]) -> str:
    try:
        return environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"


def new_record(
    user: str,
    environment: Mapping[str, str],
    submitted: int,
    *,
    clusters: str = "",
    held: bool = False,
    ignores_pbs: bool = False,
    free: bool = False,
) -> Record:
    """Of a submission from this machine, before its sbatch is started. Slurm, too, takes clusters from the environment."""
    named = (clusters, environment.get("SBATCH_CLUSTERS", ""), environment.get("SLURM_CLUSTERS", ""))
    return Record(
        user=user,
        host=host_name(),
        submitted=submitted,
        cluster=next(filter(None, named), ""),
        held=held,
        ignores_pbs=ignores_pbs,
        free=free,
        slurm_conf=environment.get("SLURM_CONF", ""),
    )


def write(path: Path, record: Record) -> None:
    """Whole or not at all. Raises OSError."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(record), file)
    fresh.replace(path)


def with_job(path: Path, job: str, cluster: str) -> None:
    """Adds what sbatch answered. A record that cannot be written again still says enough to find the job."""
    with suppress(OSError, ValueError):
        record = read(path)
        write(path, replace(record, job=job, cluster=cluster or record.cluster))


def is_released(path: Path) -> bool:
    """Whether the job was let go, or is nobody's concern any more."""
    try:
        return bool(read(path).released)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def with_release(path: Path, now: int) -> None:
    """Notes that the job was let go. The record stays for a minute: a slurmctld that dies before it has saved that comes back
    with the job as it was, held.
    """
    try:
        write(path, replace(read(path), released=now))
    except (OSError, ValueError):
        path.unlink(missing_ok=True)


def left_behind(folder: Path, now: int, *, younger: bool = False) -> list[tuple[Path, Record]]:
    """Records of submissions that are not under way any more, oldest first; all of them with `younger`."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.glob("*.json")):
            with suppress(OSError, ValueError):
                record = read(path)
                # of a machine that shares this folder, the clock may be ahead
                if younger or abs(now - record.submitted) >= LEFT_ALONE_S:
                    found.append((path, record))
    return found


def host_name() -> str:
    """This machine's own name, without its domain."""
    return os.uname().nodename.partition(".")[0]


def read(path: Path) -> Record:
    """Raises OSError, or ValueError where it is no record."""
    data = json.loads(path.read_text("utf-8"))
    usual = asdict(_EXAMPLE)
    known: dict[str, Any] = _LATER | data if isinstance(data, dict) else {}
    if any(type(known.get(name)) is not type(usual[name]) for name in usual):
        raise ValueError(f"{path} is no record of a submission")
    return Record(**{name: known[name] for name in usual})
