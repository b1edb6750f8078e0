"""Records: a line on disk for every submission that we hold, from before it is made until it is let go.

Who is killed in between leaves one behind, and whoever comes by after a minute lets the job go: the watchdog that the
submission itself left, the next submission, the controller. A record names the session in which sbatch ran, made for it alone
(Slurm keeps it as `AllocNode:Sid`): so nobody ever touches a hold that is not ours. Standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cleanhours_plugins.clusters.slurm.calling import Slurm

LEFT_ALONE_S: Final = 60
"""A submission younger than this may still be under way."""
_GIVEN_UP_S: Final = 7 * 86_400
_CLOCKS_S: Final = 5
"""By so much Slurm's clock may be behind that of a login node."""
_FIELD: Final = "\x1f"
_COLUMNS: Final = (
    "ArrayJobID:24", "HetJobID:24", "Cluster:64", "Reason:64", "AllocNodes:128", "AllocSID:24", "SubmitTime:24",
)  # fmt: skip
_ALL: Final = "all"
"""To Slurm, every cluster of its database."""
_TRIES_S: Final = 900
"""So long sbatch may go on trying, with whom nobody waits any more: Slurm's own gives up after some minutes."""
NO_SESSION: Final = -1
"""Of a submission whose sbatch was not started yet: no job is of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One submission. `session` is that of sbatch, `job` what it answered, as far as it was read.

    `cluster` is what was said by `-M`, which may be several, then the one that answered. `held`: its owner asked for a hold.
    """

    user: str
    host: str
    session: int = NO_SESSION
    submitted: int
    job: str = ""
    cluster: str = ""
    held: bool = False
    slurm_conf: str = ""


_EXAMPLE: Final = Record(user="", host="", submitted=0)


def folder_of(environment: Mapping[str, str]) -> Path:
    """Where a user's records lie; wherever his settings say that state is kept, without reading them."""
    named = environment.get("CLEANHOURS_STATE__FOLDER")
    if named:
        return Path(named).expanduser().absolute() / "submissions"
    state = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/")) / ".local" / "state")
    return Path(state).absolute() / "cleanhours" / "submissions"


def new_record(
    user: str, environment: Mapping[str, str], submitted: int, *, clusters: str = "", held: bool = False
) -> Record:
    """Of a submission from this machine, before its sbatch is started. Slurm, too, takes clusters from the environment."""
    named = (clusters, environment.get("SBATCH_CLUSTERS", ""), environment.get("SLURM_CLUSTERS", ""))
    return Record(
        user=user,
        host=_host(),
        submitted=submitted,
        cluster=next(filter(None, named), ""),
        held=held,
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


def repair(path: Path, record: Record, now: int) -> list[str]:
    """Lets go what the submission left held, and takes its record away. Returns the jobs.

    Raises CleanhoursError where Slurm does not answer, or where sbatch still tries; the record is kept then, for a week.
    """
    from cleanhours.domain.errors import CleanhoursError

    try:
        let_go = [] if record.held else _let_go(record, now)
    except CleanhoursError:
        if now - record.submitted > _GIVEN_UP_S:
            path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    return let_go


def _let_go(record: Record, now: int) -> list[str]:
    from cleanhours.domain.errors import TemporaryError
    from cleanhours_plugins.clusters.slurm.calling import Refused

    held = held_jobs(record)
    if not held and not record.job and abs(now - record.submitted) < _TRIES_S and _lives(record):
        raise TemporaryError("sbatch goes on without us")
    let_go = []
    for job, cluster in held:
        slurm = _slurm_of(record, cluster)
        with suppress(Refused):  # it is gone, or no longer held
            if not _asks_for_hold(job, slurm):
                slurm.ask("scontrol", "release", job)
                let_go.append(job)
    return let_go


def _asks_for_hold(job: str, slurm: Slurm) -> bool:
    """Whether its script does. Not knowing holds no job."""
    from cleanhours_plugins.clusters.slurm.arguments import read_script
    from cleanhours_plugins.clusters.slurm.calling import Refused

    try:
        said, _ = read_script(slurm.ask("scontrol", "write", "batch_script", job, "-"))
    except Refused:
        return False
    return said.held


def held_jobs(record: Record) -> list[tuple[str, str]]:
    """Jobs of that very submission that are still held, and their clusters, where some were named.

    Raises CleanhoursError where nothing is found and a cluster did not answer.
    """
    from cleanhours.domain.errors import CleanhoursError

    found: list[tuple[str, str]] = []
    fault: CleanhoursError | None = None
    for cluster in record.cluster.split(","):
        try:
            found += _held(record, cluster)
        except CleanhoursError as one:
            fault = one
    if not found and fault is not None:
        raise fault
    if not found and not record.cluster and not record.job:
        with suppress(CleanhoursError):  # a script may name clusters too; most sites have one
            found += _held(record, _ALL)
    return list(dict.fromkeys(found))


def _held(record: Record, clusters: str) -> Iterator[tuple[str, str]]:
    form = f"{_FIELD},".join(_COLUMNS) + _FIELD
    answer = _slurm_of(record, clusters).ask(
        "squeue", "--noheader", f"--user={record.user}", "--states=PENDING", f"--Format={form}"
    )
    for line in answer.splitlines():
        values = [value.strip() for value in line.split(_FIELD)]
        if len(values) <= len(_COLUMNS):
            continue
        base, leader, cluster, reason, host, session, submitted = values[: len(_COLUMNS)]
        if not (submitted.isdigit() and session == str(record.session) and reason == "JobHeldUser"):
            continue
        # parts of a heterogeneous job are let go by their leader
        job = leader if leader.isdigit() and leader != "0" else base
        if int(submitted) >= record.submitted - _CLOCKS_S and (
            job == record.job or (record.job == "" and host.partition(".")[0] in _names(record.host))
        ):
            yield job, cluster if clusters else ""


def _slurm_of(record: Record, cluster: str) -> Slurm:
    """As its submission found it, whatever this process was told of another."""
    from cleanhours_plugins.clusters.slurm.calling import Slurm

    environment = {name: value for name, value in os.environ.items() if name != "SLURM_CONF"}
    conf = Path(record.slurm_conf) if record.slurm_conf else None
    return Slurm(conf, cluster or None, environment)


def _lives(record: Record) -> bool:
    """Whether its sbatch is a process of ours that still runs."""
    if record.host != _host() or record.session <= 0:
        return False
    process = Path("/proc") / str(record.session)
    try:
        state = (process / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
        return process.stat().st_uid == os.getuid() and state not in {"Z", "X"}
    except (OSError, IndexError):
        return False


def _names(host: str) -> set[str]:
    """What Slurm may call the machine of a record; of another than this one only its own name is known.

    Slurm looks up the name of the address from which munge's credential came (slurmctld's proc_req.c).
    """
    names = {host}
    if host == _host():
        import socket  # only who repairs asks; whoever submits waits for each import

        with suppress(OSError):
            for address in socket.gethostbyname_ex(socket.gethostname())[2]:
                name, aliases, _ = socket.gethostbyaddr(address)
                names |= {one.partition(".")[0] for one in (name, *aliases)}
    return names


def _host() -> str:
    return os.uname().nodename.partition(".")[0]


def read(path: Path) -> Record:
    """Raises OSError, or ValueError where it is no record."""
    data = json.loads(path.read_text("utf-8"))
    usual = asdict(_EXAMPLE)
    if not isinstance(data, dict) or any(type(data.get(name)) is not type(usual[name]) for name in usual):
        raise ValueError(f"{path} is no record of a submission")
    return Record(**{name: data[name] for name in usual})
