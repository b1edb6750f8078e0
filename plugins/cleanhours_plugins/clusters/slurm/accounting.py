"""Accounting: what is asked of `sacct`, and the reading of its answer into the runs of jobs. Pure.

Two questions, for sacct has a trap (seen; `_cluster_get_jobs` of accounting_storage/mysql): of a job that ended inside the
window it leaves out the steps that ended before the window, and their energy with them. So `ended_question` asks which jobs
ended, and `history_question` for all that is known of these, every run of them. Names and comments may hold anything, so
fields end with control characters and a number that nobody can guess. All fields are those of Slurm 22.05 and later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.times import epoch, epoch_after, instant_of
from cleanhours_plugins.clusters.slurm.histories import Accounted, Resources, Step

ENVIRONMENT: Final[Mapping[str, str]] = {"SLURM_TIME_FORMAT": "%s", "TZ": "UTC"}
"""What sacct needs over the caller's own environment: epoch seconds, and no zone to read them in."""

ENDED_STATES: Final = "BF,CA,CD,DL,F,NF,OOM,PR,TO"
"""How a job ends. REQUEUED and RESIZING end a run and not the job; a REVOKED one runs at another cluster of its federation."""

MOST_JOBS: Final = 500
"""Ids in one `history_question`: their text stays far below what a command line may hold."""

_BEGINNING: Final = "uts1000000"
"""January 1970: an earlier one is no time to Slurm."""

_FIELDS: Final = (
    "JobID", "JobIDRaw", "User", "UID", "Account", "Partition", "QOS", "JobName", "State", "ExitCode", "Submit", "Eligible",
    "Start", "End", "ElapsedRaw", "Suspended", "NNodes", "NodeList", "AllocTRES", "ReqTRES", "ConsumedEnergyRaw", "TotalCPU",
    "TRESUsageInTot", "MaxRSS", "Comment",
)  # fmt: skip
_LENGTH: Final = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)", re.ASCII)
_SIZES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_NO_NODES: Final = frozenset({"", "None assigned", "(unknown)", "(null)"})
_NOT_MEASURED: Final = frozenset({0, 2**32 - 2, 2**32 - 1})
"""0, and NO_VAL and INFINITE of 32 bits. Their 64-bit forms, and a counter that ran backwards, are 2^63 or more."""


def ended_question(
    nonce: str, since: datetime, until: datetime, *, uids: Sequence[int] = (), cluster: str | None = None
) -> list[str]:
    """The arguments of `sacct` for the allocations that ended in [since, until], both ends included; no steps.

    With states sacct selects what *ended* in the window, whenever it began or was submitted; without, what was eligible.
    Without `uids` it is asked for all users, which gives only one's own where the site keeps jobs private. A job that was
    preempted, or lost its node, and waits again is among them: who is in the queue has not ended. Of a `cluster` that the
    database does not know the answer is empty, without an error.
    """
    window = [
        f"--starttime=uts{epoch(since)}",
        f"--endtime=uts{epoch_after(until)}",
        f"--state={ENDED_STATES}",
    ]
    return [*_form(nonce, uids, cluster), "--allocations", *window]


def history_question(
    nonce: str, jobs: Sequence[str], *, uids: Sequence[int] = (), cluster: str | None = None
) -> list[str]:
    """The arguments of `sacct` for all runs of some jobs (`12`, `33_3`, `45`), with their steps. At most MOST_JOBS."""
    return [*_form(nonce, uids, cluster), f"--starttime={_BEGINNING}", f"--jobs={','.join(jobs)}"]


def _form(nonce: str, uids: Sequence[int], cluster: str | None) -> list[str]:
    whose = "--uid=" + ",".join(map(str, uids)) if uids else "--allusers"
    where = "--local" if cluster is None else f"--clusters={cluster}"
    shape = ("--noheader", "--parsable", "--noconvert", f"--delimiter={_delimiter(nonce)}")
    return [*shape, "--duplicates", whose, where, f"--format={','.join(_FIELDS)}"]


def _delimiter(nonce: str) -> str:
    return f"\x1e{nonce}\x1f"


def read_accounts(answer: str, nonce: str) -> list[Accounted]:
    """The allocations of an answer, in its order; a single one that makes no sense is left out.

    Raises TemporaryError where the answer as a whole was cut short.
    """
    values = answer.split(_delimiter(nonce))
    if (len(values) - 1) % len(_FIELDS) or values[-1].strip():
        raise TemporaryError("the answer of sacct is not whole")
    found: list[tuple[dict[str, str], list[Step]]] = []
    for start in range(0, len(values) - 1, len(_FIELDS)):
        row = dict(zip(_FIELDS, values[start : start + len(_FIELDS)], strict=True))
        number, _, step = row["JobIDRaw"].partition(".")
        row["JobID"] = row["JobID"].removeprefix("\n")
        if not step:
            found.append((row, []))
        elif found and found[-1][0]["JobIDRaw"] == number:
            found[-1][1].append(_step(step, row))
            found[-1][0]["MaxRSS"] = max(found[-1][0]["MaxRSS"], row["MaxRSS"], key=_size)
    return [one for one in (_accounted(row, steps) for row, steps in found) if one is not None]


def _step(name: str, row: Mapping[str, str]) -> Step:
    counts = dict(part.partition("=")[::2] for part in row["TRESUsageInTot"].split(","))
    return Step(
        name,
        _whole(row["NNodes"]),
        read_joules(row["ConsumedEnergyRaw"]),
        _seconds(row["TotalCPU"]),
        _seconds(counts.get("cpu", "")),
    )


def _accounted(row: Mapping[str, str], steps: Sequence[Step]) -> Accounted | None:
    submitted = _instant(row["Submit"])
    if submitted is None or not row["JobIDRaw"].isdigit():
        return None
    ran = row["NodeList"] not in _NO_NODES
    code, _, signal = row["ExitCode"].partition(":")
    peak = _size(row["MaxRSS"])
    return Accounted(
        id=row["JobID"],
        number=int(row["JobIDRaw"]),
        user=row["User"],
        uid=int(row["UID"]) if row["UID"].isdigit() else None,
        account=row["Account"],
        partition=row["Partition"],
        qos=row["QOS"],
        name=row["JobName"],
        state=row["State"].partition(" ")[0],
        exit_code=int(code) if code.isdigit() else None,
        signal=_whole(signal),
        submitted=submitted,
        eligible=_instant(row["Eligible"]),
        started=_instant(row["Start"]) if ran else None,
        ended=_instant(row["End"]),
        elapsed=timedelta(seconds=_whole(row["ElapsedRaw"])),
        suspended=timedelta(seconds=_seconds(row["Suspended"]) or 0),
        node_list=row["NodeList"] if ran else "",
        allocated=read_tres(row["AllocTRES"]),
        requested=read_tres(row["ReqTRES"]),
        joules=read_joules(row["ConsumedEnergyRaw"]),
        cpu_seconds=_seconds(row["TotalCPU"]),
        max_rss_bytes=peak or None,
        comment=row["Comment"],
        steps=tuple(steps),
    )


def read_joules(text: str) -> int | None:
    """ConsumedEnergyRaw; None where nothing was measured: empty, 0, null, NO_VAL in any of its forms."""
    joules = int(text) if text.isascii() and text.isdigit() else 0
    return None if joules in _NOT_MEASURED or joules >= 2**63 else joules


def read_tres(text: str) -> Resources:
    """`billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=16384M,node=2`; a size without a unit is in bytes."""
    counts = {name: _size(count) for name, _, count in (part.partition("=") for part in text.split(","))}
    types = tuple((name[len("gres/gpu:") :], n) for name, n in counts.items() if name.startswith("gres/gpu:"))
    gpus = counts.get("gres/gpu", sum(count for _, count in types))
    return Resources(counts.get("cpu", 0), counts.get("mem", 0), counts.get("node", 0), gpus, types)


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _SIZES[match[2]]) if match else 0


def _seconds(text: str) -> float | None:
    """`1-02:03:04`, `02:03.250`; None for what is no length."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 86_400 * days + 3_600 * hours + 60 * minutes + seconds


def _instant(text: str) -> datetime | None:
    """Epoch seconds; None for Unknown, None and 0."""
    return instant_of(int(text)) if text.isascii() and text.isdigit() and int(text) else None


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
