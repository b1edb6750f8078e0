"""Processor time of runs as Slurm counted it: which of its figures to take, and when none of them is to be believed. Pure.

Seen (22.05.8, jobacct_gather/linux):

    run                                          job row    its steps              TRESUsageInTot of the step that worked
    two CPUs busy in srun and in the script      1.149 s    0.678 + 0.470          cpu=00:00:00
    the same kind, PrologFlags=Contain           1.054 s    0.586 + 0.002 + 0.466  cpu=00:00:00
    a busy child, cancelled after 13 s           4.003 s    4.003                  cpu=00:00:04
    the same, cancelled before Slurm's first look  0.002 s  0.002                  cpu=00:00:00
    the same, requeued then                      0.002 s    0.002                  cpu=00:00:00
    a site that does not look (task=0)           1.363 s    1.363                  no cpu=

So the job row is the sum of its steps, and is taken only where no step says anything. A step's own figure is what the system
says at the end of its processes; those that were killed before anybody waited for them are missing from it. What Slurm saw of them
by looking at them now and then (JobAcctGatherFrequency, 30 s) is in TRESUsageInTot, and the larger of both is taken; since
25.05 the former may be 0 in all steps (NordicHPC/slurm2sql#22). A run that did not end by itself is therefore known only where
Slurm looked. 0 is never known (Green Algorithms for HPC: assume all of the time).
"""

from __future__ import annotations

from typing import Final

from cleanhours_plugins.clusters.slurm.histories import Accounted, Run

ENDED_BY_ITSELF: Final = frozenset({"COMPLETED", "FAILED"})


def cpu_seconds_of(run: Run) -> float | None:
    """CPU seconds of a run, its parts together; None where those of one part are not known."""
    parts = [_of_part(part) for part in run.parts if part.started is not None]
    known = [seconds for seconds in parts if seconds is not None]
    return sum(known) if parts and len(known) == len(parts) else None


def _of_part(one: Accounted) -> float | None:
    looked = any(step.seen_cpu_seconds for step in one.steps)
    if not looked and one.state not in ENDED_BY_ITSELF:
        return None
    in_steps = sum(max(step.cpu_seconds or 0.0, step.seen_cpu_seconds or 0.0) for step in one.steps)
    return in_steps or one.cpu_seconds or None
