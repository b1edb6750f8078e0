"""What sacct printed, in the shape in which it prints it: recorded from Slurm 22.05.8, and written after it."""

from __future__ import annotations

from datetime import datetime

from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.accounting import read_accounts
from cleanhours_plugins.clusters.slurm.histories import Accounted

NONCE = "5ad1f0e2"
DELIMITER = f"\x1e{NONCE}\x1f"
BEGAN = 1795309000
"""An instant like those recorded; rows say seconds after it."""

_JOB = {
    "JobID": "2", "JobIDRaw": "2", "User": "games", "UID": "5", "Account": "", "Partition": "fr", "QOS": "normal",
    "JobName": "wrap", "State": "COMPLETED", "ExitCode": "0:0", "Submit": "0", "Eligible": "0", "Start": "0", "End": "14",
    "ElapsedRaw": "14", "Suspended": "00:00:00", "NNodes": "2", "NodeList": "fr[1-2]", "AllocTRES": "billing=8,cpu=8,node=2",
    "ReqTRES": "billing=2,cpu=2,mem=2M,node=2", "ConsumedEnergyRaw": "", "TotalCPU": "00:00.044",
    "TRESUsageInTot": "", "MaxRSS": "", "Comment": "",
}  # fmt: skip
_OF_JOBS_ONLY = ("User", "UID", "Account", "Partition", "QOS", "ReqTRES", "Comment")
_TIMES = ("Submit", "Eligible", "Start", "End")


def at(second: int) -> datetime:
    return instant_of(BEGAN + second)


def job(id: str = "2", **changed: str) -> str:  # noqa: A002
    """The row of an allocation; times are seconds after BEGAN, or a word."""
    return _printed({**_JOB, "JobID": id, "JobIDRaw": id, **changed})


def step(name: str, joules: str = "", id: str = "2", **changed: str) -> str:  # noqa: A002
    """The row of a step, which follows its allocation's."""
    nodes = "1" if name in ("batch", "interactive") else "2"
    blank = dict.fromkeys(_OF_JOBS_ONLY, "")
    own = {
        "JobID": f"{id}.{name}",
        "JobIDRaw": f"{id}.{name}",
        "JobName": name,
        "NNodes": nodes,
        "TotalCPU": "00:00:00",
    }
    return _printed({**_JOB, **blank, **own, "ConsumedEnergyRaw": joules, **changed})


def _printed(row: dict[str, str]) -> str:
    times = {name: str(BEGAN + int(row[name])) if row[name].isdigit() else row[name] for name in _TIMES}
    return DELIMITER.join({**row, **times}.values()) + DELIMITER + "\n"


def accounts(*rows: str) -> list[Accounted]:
    return read_accounts("".join(rows), NONCE)
