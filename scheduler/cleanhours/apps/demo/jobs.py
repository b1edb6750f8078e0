"""The eight jobs of the demonstration: real training processes whose wishes make an interesting day."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Submission

NAMESPACE: Final = "demo"
STARTS_AT_HOUR: Final = 16
"""The day begins at 16:00 UTC, before the evening peak: that is when people submit, and when waiting is worth most."""
DAY: Final = timedelta(hours=24)
_STEPS_PER_HOUR: Final = 12
_STARTUP_S: Final = 0.5
"""Real time of an interpreter with numpy, on a machine that is busy with the others."""
_PACE: Final = 0.85
"""Share of the duration that the steps take. Owners round up too, and a busy machine must not cost a deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoJob:
    """One job, in clock time; `submitted_after` counts from the day's begin, the other lengths from submission.

    `checkpoint` of more than nothing: it pauses by SIGTERM and goes on from its checkpoint with the same command.
    """

    name: str
    about: str
    submitted_after: timedelta
    duration: timedelta
    power_w: float
    due_after: timedelta | None = None
    max_delay: timedelta | None = None
    interruptible: bool = False
    checkpoint: timedelta = timedelta(0)

    @property
    def steps(self) -> int:
        """Training steps in all."""
        return max(round(self.duration / timedelta(hours=1) * _STEPS_PER_HOUR), 1)

    def request(self, now: datetime) -> JobRequest:
        """What its owner asks for, submitted now."""
        return JobRequest(
            submitted=now,
            duration=self.duration,
            deadline=None if self.due_after is None else now + self.due_after,
            max_delay=self.max_delay,
            interruptible=self.interruptible,
            checkpoint=self.checkpoint,
            power_w=self.power_w,
        )

    def step_seconds(self, rate: float) -> float:
        """Real seconds a step, so that the run fits its duration on a clock `rate` times as fast."""
        real = self.duration.total_seconds() / rate
        return max(real * _PACE - _STARTUP_S, 0.0) / self.steps

    def submission(self, now: datetime, rate: float, folder: Path, seed: int = 0) -> Submission:
        """The process to queue. Its checkpoint lies in `folder`, which exists."""
        command = (
            sys.executable, "-m", "cleanhours.apps.demo.training",
            "--steps", str(self.steps),
            "--checkpoint", str(folder / f"{self.name}.npz"),
            "--seed", str(seed),
            "--step-seconds", f"{self.step_seconds(rate):.4f}",
        )  # fmt: skip
        return Submission(
            name=self.name,
            command=command,
            request=self.request(now),
            folder=folder,
            namespace=NAMESPACE,
            restart=command if self.checkpoint else (),
        )


def _hours(count: float) -> timedelta:
    return timedelta(hours=count)


DEMO_JOBS: Final = (
    DemoJob(
        name="resnet50-finetune",
        about="has until tomorrow afternoon and cannot pause: waits for the noon sun",
        submitted_after=_hours(0),
        duration=_hours(4),
        due_after=_hours(23.5),
        power_w=2400,
    ),
    DemoJob(
        name="llm-sft",
        about="may be interrupted at its checkpoints: runs in the cleanest stretches and pauses over the peak",
        submitted_after=_hours(0.25),
        duration=_hours(6),
        due_after=_hours(20.5),
        power_w=3200,
        interruptible=True,
        checkpoint=_hours(0.5),
    ),
    DemoJob(
        name="eval-release",
        about="is due almost at once: no slack, so it runs now",
        submitted_after=_hours(0.5),
        duration=_hours(2),
        due_after=_hours(3),
        power_w=900,
    ),
    DemoJob(
        name="embeddings",
        about="is due in the morning: waits for the night",
        submitted_after=_hours(1),
        duration=_hours(2),
        due_after=_hours(13),
        power_w=1200,
    ),
    DemoJob(
        name="tabular-sweep",
        about="gives little time: may be delayed by three hours in all",
        submitted_after=_hours(2.5),
        duration=_hours(1),
        max_delay=_hours(3),
        power_w=400,
    ),
    DemoJob(
        name="asr-ablation",
        about="can be stopped in place: no checkpoint needed, its process sleeps",
        submitted_after=_hours(4),
        duration=_hours(3),
        due_after=_hours(17),
        power_w=700,
        interruptible=True,
    ),
    DemoJob(
        name="tokenise-corpus",
        about="comes with the morning peak: waits a few hours",
        submitted_after=_hours(15.5),
        duration=_hours(1.5),
        due_after=_hours(7),
        power_w=500,
    ),
    DemoJob(
        name="distil-small",
        about="comes at noon, when waiting would only make it worse: starts at once",
        submitted_after=_hours(20),
        duration=_hours(1),
        max_delay=_hours(4),
        power_w=600,
    ),
)
