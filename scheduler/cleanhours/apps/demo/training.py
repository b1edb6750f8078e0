"""A real small training run, as a job of the demonstration: SGD on generated data, with a checkpoint it goes on from.

Run as `python -m cleanhours.apps.demo.training --steps 40 --checkpoint run.npz`. It knows nothing of cleanhours.
"""

from __future__ import annotations

import os

# one thread: the matrices are tiny, and eight jobs share the machine; must be set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import signal
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SAMPLES: Final = 2_000
_INPUTS: Final = 16
_HIDDEN: Final = 32
_BATCH: Final = 200
_UPDATES_PER_STEP: Final = 20
_RATE: Final = 0.05
_LOST_S: Final = 0.5
"""A step this late was stopped by a signal, not slow: that time is lost, and not caught up by racing."""


@dataclass
class Network:
    """Two layers, tanh between them; changed in place by training."""

    first: Floats
    second: Floats

    @classmethod
    def fresh(cls, dice: np.random.Generator) -> Network:
        """Small random weights."""
        return cls(dice.normal(0, 0.3, (_INPUTS, _HIDDEN)), dice.normal(0, 0.3, (_HIDDEN, 1)))

    def predict(self, inputs: Floats) -> Floats:
        """One number a row."""
        result: Floats = np.tanh(inputs @ self.first) @ self.second
        return result

    def update(self, inputs: Floats, targets: Floats) -> None:
        """One step of gradient descent on the mean squared error."""
        hidden = np.tanh(inputs @ self.first)
        slope = 2 * (hidden @ self.second - targets) / len(inputs)
        back = (slope @ self.second.T) * (1 - hidden**2)
        self.second -= _RATE * (hidden.T @ slope)
        self.first -= _RATE * (inputs.T @ back)


def generate(seed: int) -> tuple[Floats, Floats]:
    """Inputs (samples x inputs) and targets (samples x 1) of a smooth function with a little noise."""
    dice = np.random.default_rng([seed, 0])
    inputs = dice.standard_normal((_SAMPLES, _INPUTS))
    targets = np.sin(inputs @ dice.normal(0, 0.4, (_INPUTS, 1))) + 0.05 * dice.standard_normal((_SAMPLES, 1))
    return inputs, targets


def load(checkpoint: Path, seed: int) -> tuple[int, Network]:
    """The steps done and the network so far; from the beginning where there is no checkpoint that can be read."""
    try:
        with np.load(checkpoint) as saved:
            return int(saved["step"]), Network(saved["first"], saved["second"])
    except FileNotFoundError:
        return 0, Network.fresh(np.random.default_rng([seed, 1]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as fault:
        print(f"checkpoint {checkpoint} cannot be read ({fault}): starting anew", file=sys.stderr)  # noqa: T201
        return 0, Network.fresh(np.random.default_rng([seed, 1]))


def save(checkpoint: Path, step: int, network: Network) -> None:
    """Writes the checkpoint whole or not at all: a kill in the middle leaves the last one."""
    unfinished = checkpoint.with_name(checkpoint.name + ".part")
    with unfinished.open("wb") as file:
        np.savez(file, step=np.int64(step), first=network.first, second=network.second)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(checkpoint)


class Stopped(Exception):
    """SIGTERM came; the checkpoint of that step is written."""


class Stopping:
    """Whether SIGTERM came. Looked at between naps: the handler itself only takes a note."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Takes SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.asked = True

    def nap_until(self, instant: float) -> None:
        """Sleeps until an instant of the monotonic clock, or until it was asked."""
        while not self.asked and (rest := instant - time.monotonic()) > 0:
            time.sleep(min(rest, 0.02))


def train(
    steps: int,
    checkpoint: Path,
    stopping: Stopping,
    *,
    seed: int = 0,
    step_seconds: float = 0.0,
    every: int = 5,
) -> float:
    """Trains up to `steps` from the checkpoint on, `step_seconds` a step at least; returns the last mean squared error.

    Every step draws its batches from its own number, so a run with pauses ends with the very same network. Raises
    Stopped at the end of the step in which SIGTERM came.
    """
    inputs, targets = generate(seed)
    done, network = load(checkpoint, seed)
    print(f"step {done}/{steps} from {'the start' if not done else 'the checkpoint'}", flush=True)  # noqa: T201
    loss = float(np.mean((network.predict(inputs) - targets) ** 2))
    due = time.monotonic()
    for step in range(done + 1, steps + 1):
        dice = np.random.default_rng([seed, 2, step])
        for _ in range(_UPDATES_PER_STEP):
            chosen = dice.integers(0, _SAMPLES, _BATCH)
            network.update(inputs[chosen], targets[chosen])
        loss = float(np.mean((network.predict(inputs) - targets) ** 2))
        print(f"step {step}/{steps} loss {loss:.4f}", flush=True)  # noqa: T201
        due += step_seconds
        stopping.nap_until(due)
        if time.monotonic() > due + _LOST_S:
            due = time.monotonic()
        if step == steps or step % every == 0 or stopping.asked:
            save(checkpoint, step, network)
        if stopping.asked and step < steps:
            raise Stopped(step)
    return loss


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when all steps are done, ended by SIGTERM itself when it was told to stop."""
    parser = argparse.ArgumentParser(prog="training", description=__doc__)
    parser.add_argument("--steps", type=int, required=True, help="steps in all, over all runs")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--step-seconds", type=float, default=0.0, help="least real time of a step")
    parser.add_argument("--every", type=int, default=5, help="steps between checkpoints")
    chosen = parser.parse_args(arguments)
    stopping = Stopping()
    stopping.listen()
    try:
        loss = train(
            chosen.steps,
            chosen.checkpoint,
            stopping,
            seed=chosen.seed,
            step_seconds=chosen.step_seconds,
            every=chosen.every,
        )
    except Stopped as stopped:
        print(f"stopped after step {stopped}, checkpoint written", flush=True)  # noqa: T201
        # the parent should see what really ended us, not an exit code that we made up
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        print(f"done: {chosen.steps} steps, loss {loss:.4f}", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
