"""Repairing: a job that a dead submission left held is found in Slurm by its record, and let go.

Nobody ever touches a hold that is not ours. Standard library only, for a submission waits for each import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cleanhours_plugins.clusters.slurm.recording import Record, host_name

if TYPE_CHECKING:
    from cleanhours_plugins.clusters.slurm.calling import Slurm

_GIVEN_UP_S: Final = 7 * 86_400
_CLOCKS_S: Final = 300
"""By so much Slurm's clock may be behind that of a login node: munge takes no more."""
_SAVED_S: Final = 10
"""A slurmctld that began so long before a release, by its clock, may have begun after it by ours."""
_BOOTED: Final = re.compile(r"^BOOT_TIME\s*=\s*(\d+)", re.MULTILINE)
_REQUEUED: Final = "requeued"
_HELD: Final = "JobHeldUser"
_FIELD: Final = "\x1f"
_COLUMNS: Final = (
    "ArrayJobID:24", "HetJobID:24", "Cluster:64", "Reason:64", "AllocNodes:128", "AllocSID:24", "SubmitTime:24",
)  # fmt: skip
_ALL: Final = "all"
"""To Slurm, every cluster of its database."""
_TRIES_S: Final = 900
"""So long sbatch may go on trying, with whom nobody waits any more: Slurm's own gives up after some minutes."""


def repair(path: Path, record: Record, now: int) -> list[str]:
    """Lets go what the submission left held, and takes its record away. Returns the jobs.

    Raises CleanhoursError where Slurm does not answer, or where sbatch still tries; the record is kept then, for a week.
    """
    from cleanhours.domain.errors import CleanhoursError

    try:
        let_go = [] if record.held or record.free else _let_go(record, now)
    except CleanhoursError:
        if now - record.submitted > _GIVEN_UP_S:
            path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    return let_go


def _let_go(record: Record, now: int) -> list[str]:
    from cleanhours.domain.errors import CleanhoursError
    from cleanhours_plugins.clusters.slurm.calling import Refused

    if record.requeued:
        return _let_go_requeued(record)
    if record.released and not _began_anew(record):
        return []
    held = held_jobs(record)
    if not held and not record.job and abs(now - record.submitted) < _TRIES_S and _lives(record):
        raise CleanhoursError("sbatch goes on without us")
    let_go = []
    for job, cluster in held:
        slurm = _slurm_of(record, cluster)
        with suppress(Refused):  # it is gone, or no longer held
            if not asks_for_hold(job, slurm, ignores_pbs=record.ignores_pbs):
                slurm.ask("scontrol", "release", job)
                let_go.append(job)
    return let_go


def _let_go_requeued(record: Record) -> list[str]:
    """A requeue's hold has a reason of its own: what its owner holds has another."""
    from cleanhours_plugins.clusters.slurm.calling import Refused

    slurm = _slurm_of(record, record.cluster)
    with suppress(Refused):  # it is gone, or no longer held
        answer = slurm.ask(
            "squeue", "--noheader", "--states=PENDING", f"--jobs={record.job}", "--Format=Reason:64"
        )
        if any(_REQUEUED in line for line in answer.splitlines()):
            slurm.ask("scontrol", "release", record.job)
            return [record.job]
    return []


def _began_anew(record: Record) -> bool:
    """Whether the slurmctld of now began after the job was let go: it may have forgotten that."""
    found = _BOOTED.search(_slurm_of(record, record.cluster).ask("scontrol", "show", "config"))
    return found is not None and int(found[1]) >= record.released - _SAVED_S


def asks_for_hold(job: str, slurm: Slurm, *, ignores_pbs: bool) -> bool:
    """Whether its script does. Not knowing holds no job."""
    from cleanhours_plugins.clusters.slurm.arguments import Said, read_script
    from cleanhours_plugins.clusters.slurm.calling import Refused

    try:
        said, _ = read_script(slurm.ask("scontrol", "write", "batch_script", job, "-"))
    except Refused:
        return False
    return (said | Said(frozenset({"ignore-pbs"}))).held if ignores_pbs else said.held


def held_jobs(record: Record) -> list[tuple[str, str]]:
    """Jobs of that very submission that are still held, and their clusters, where some were named; if it is a free one, that wait.

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
        if not (submitted.isdigit() and session == str(record.session) and (record.free or reason == _HELD)):
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
    if record.host != host_name() or record.session <= 0:
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
    if host == host_name():
        import socket  # only who repairs asks; whoever submits waits for each import

        with suppress(OSError):
            for address in socket.gethostbyname_ex(socket.gethostname())[2]:
                name, aliases, _ = socket.gethostbyaddr(address)
                names |= {one.partition(".")[0] for one in (name, *aliases)}
    return names
