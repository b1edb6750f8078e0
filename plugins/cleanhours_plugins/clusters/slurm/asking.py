"""Asking: what is asked of Slurm, word for word, and the reading of its answer. Pure.

`squeue -o` is the same in every release, its JSON is not (reference: Slurm's release notes 22.05 to 25.11). Names and comments
may hold anything, so fields end with a control character; records, and comments, begin with one and a number that nobody can
guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

_FIELD: Final = "\x1f"
_RECORD: Final = "\x1e"
_LETTERS: Final = {
    "full_id": "%i", "base": "%F", "task": "%K", "state": "%T", "reason": "%r", "uid": "%U", "user": "%u", "account": "%a",
    "qos": "%q", "partition": "%P", "features": "%f", "reservation": "%v", "limit": "%l", "start": "%S", "end": "%e",
    "submitted": "%V", "cpus": "%C", "nodes": "%D", "memory": "%m", "gres": "%b", "dependency": "%E", "wanted_nodes": "%n",
    "node_list": "%N", "name": "%j", "comment": "%k",
}  # fmt: skip
_LIMIT: Final = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", re.ASCII)
_UNLIMITED: Final = timedelta(days=365)
"""What Slurm says of a job without a limit once it runs."""
_LONGEST_REST: Final = 50_000
"""Characters of a list of tasks; Linux takes 131,072 in one argument."""
_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)[cn]?", re.ASCII)
_SIZES: Final = {"K": 2**10, "": 2**20, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_NOTHING: Final = frozenset({"", "(null)", "N/A", "None", "n/a", "Unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job as `squeue` shows it. `id` is `33` for the tasks of an array that wait, the `rest`, `33_3` for one that was
    taken out of it, the leader's number for a heterogeneous job, which `parts` others belong to.

    Instants are epoch seconds, None where unknown. `limit` None is unlimited. Of an array `tasks` may run at once, in so
    many `rounds`; `cpus`, `memory_bytes` and `gpus` are those of one task.
    """

    id: str
    state: str
    reason: str
    uid: int
    user: str
    account: str
    qos: str
    partition: str
    features: str
    reservation: str
    limit: timedelta | None
    start: int | None
    end: int | None
    submitted: int
    cpus: int
    nodes: int
    memory_bytes: int
    gpus: int
    dependency: str
    wanted_nodes: str
    node_list: str
    name: str
    comment: str
    tasks: int = 1
    rounds: int = 1
    parts: int = 0
    rest: str = ""

    @property
    def address(self) -> str:
        """What `scontrol` is told. `33` alone would mean the tasks that run and have ended, too."""
        return f"{self.id}_[{self.rest}]" if 0 < len(self.rest) <= _LONGEST_REST else self.id

    @property
    def number(self) -> str:
        """The job's own number, without task or part."""
        return re.split(r"[_+]", self.id)[0]


def queue_question(nonce: str, *, user: str | None, job: str | None = None) -> list[str]:
    """The arguments of `squeue`: every job that it still knows, of one user or of all. With SLURM_TIME_FORMAT=%s."""
    *others, comment = _LETTERS.values()
    form = f"{_RECORD}{nonce}{_FIELD}{_FIELD.join(others)}{_FIELD}{nonce}{_FIELD}{comment}"
    asked = ["--noheader", "--all", "--states=all", f"--format={form}"]
    if user is not None:
        asked.append(f"--user={user}")
    return [*asked, f"--jobs={job}"] if job is not None else asked


Remembered = dict[tuple[str, str], Seen]
"""Records of the last answer: of thousands of jobs few change between two looks."""


def read_queue(answer: str, nonce: str, remembered: Remembered | None = None) -> list[Seen]:
    """The jobs of an answer; parts of a heterogeneous job are added to their leader. What makes no sense is left out.

    What is `remembered` is not read again; it is replaced by what this answer has.
    """
    found: dict[str, Seen] = {}
    parts: list[Seen] = []
    before, fresh = remembered or {}, Remembered()
    for record in answer.split(f"{_RECORD}{nonce}{_FIELD}")[1:]:
        head, _, comment = record.removesuffix("\n").partition(f"{_FIELD}{nonce}{_FIELD}")
        seen = before.get((head, comment)) or _record(head, comment)
        if seen is None:
            continue
        fresh[head, comment] = seen
        (parts.append(seen) if "+" in seen.id else found.setdefault(seen.id, seen))
    if remembered is not None:
        remembered.clear()
        remembered.update(fresh)
    return list(_with_parts(found, parts)) if parts else list(found.values())


def _record(head: str, comment: str) -> Seen | None:
    values = [*head.split(_FIELD, len(_LETTERS) - 2), comment]
    if len(values) < len(_LETTERS):
        return None
    try:
        return _seen(dict(zip(_LETTERS, values, strict=True)))
    except (ValueError, OverflowError):
        return None


def _with_parts(found: dict[str, Seen], parts: list[Seen]) -> Iterator[Seen]:
    for seen in found.values():
        mine = [part for part in parts if part.number == seen.id]
        yield (
            replace(
                seen,
                cpus=seen.cpus + sum(part.cpus for part in mine),
                nodes=seen.nodes + sum(part.nodes for part in mine),
                memory_bytes=seen.memory_bytes + sum(part.memory_bytes for part in mine),
                gpus=seen.gpus + sum(part.gpus for part in mine),
                parts=len(mine),
            )
            if mine
            else seen
        )


def _seen(fields: dict[str, str]) -> Seen:
    """Raises ValueError."""
    nodes = max(int(fields["nodes"].partition("-")[0] or 1), 1)
    tasks, rounds = _tasks(fields["task"])
    return Seen(
        id=_id(fields),
        state=fields["state"].partition(" ")[0],
        reason=fields["reason"],
        uid=int(fields["uid"]),
        user=fields["user"],
        account=_said(fields["account"]),
        qos=_said(fields["qos"]),
        partition=_said(fields["partition"]),
        features=_said(fields["features"]),
        reservation=_said(fields["reservation"]),
        limit=read_limit(fields["limit"]),
        start=_epoch(fields["start"]),
        end=_epoch(fields["end"]),
        submitted=int(fields["submitted"]),
        cpus=int(fields["cpus"]),
        nodes=nodes,
        memory_bytes=_memory(fields["memory"]) * nodes,
        gpus=read_gpus(fields["gres"]) * nodes,
        dependency=_said(fields["dependency"]),
        wanted_nodes=_said(fields["wanted_nodes"]),
        node_list=_said(fields["node_list"]),
        name=fields["name"],
        comment="" if fields["comment"] == "(null)" else fields["comment"],
        tasks=tasks,
        rounds=rounds,
        rest=fields["task"].partition("%")[0] if "_[" in fields["full_id"] else "",
    )


def _id(fields: dict[str, str]) -> str:
    """`33_[0-5%2]` is the array's waiting rest, `33_3` one task, `45+0` the leader `45`, `45+1` a part of it."""
    whole = fields["full_id"]
    if "_[" in whole:
        return fields["base"]
    return whole.removesuffix("+0")


def _tasks(task: str) -> tuple[int, int]:
    """How many tasks of `0-5,7%2` may run at once, and how often that takes to run them all."""
    if not _said(task) or task.isdigit():
        return 1, 1
    ranges, _, most = task.partition("%")
    count = 0
    for part in ranges.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        count += (int(last or first) - int(first)) // int(step or 1) + 1
    at_once = min(count, int(most)) if most else count
    return max(at_once, 1), -(-count // max(at_once, 1))


def read_limit(text: str) -> timedelta | None:
    """`1-02:03:04`, `10:00`; None for what is no length: UNLIMITED, NOT_SET, Partition_Limit, a year."""
    match = _LIMIT.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return length if length < _UNLIMITED else None


def read_gpus(gres: str) -> int:
    """GPUs on each node: `gres:gpu:a100:2`, `gpu:4`, `gres/gpu=1`, `gpu:3090:2(S:0,1)`; a type may be all digits."""
    count = 0
    for one in re.sub(r"\(.*?\)", "", gres).split(","):
        kind, *words = re.split(r"[:=/]", one.removeprefix("gres:").removeprefix("gres/"))
        if kind == "gpu":
            count += int(words[-1]) if words and words[-1].isdigit() else 1
    return count


def _memory(text: str) -> int:
    match = _MEMORY.fullmatch(text)
    return int(float(match[1]) * _SIZES[match[2]]) if match else 0


def _said(text: str) -> str:
    return "" if text in _NOTHING else text


def _epoch(text: str) -> int | None:
    return int(text) if text.isdigit() else None
