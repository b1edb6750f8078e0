"""What every report says about its own figures: how they are made, and what is left out."""

from __future__ import annotations

from typing import Final

METHOD: Final = (
    (
        "Energy is what meters or the cluster's accounting saw of each run, before PUE; the method of each figure is "
        "named: measured, slurm, self-reported, modelled or declared. Declared means the owner's own number of watts."
    ),
    (
        "Emissions are that energy, as it was drawn over time, times PUE, times the grid's carbon intensity at the place "
        "and in the hours of the run."
    ),
    (
        "The baseline is the same work started at once at home: the same energy with pauses closed up, and without what "
        "checkpoints, restarts and transfers cost that only happened because of the schedule."
    ),
    (
        "Avoided is baseline less emissions. It may be negative, and then it is shown so. Its causes are the differences "
        "of changing one thing at a time, in the order delayed, relocated, paused, scaled, capped; they add up exactly. What "
        "a power cap avoided is counted only where a meter saw that the accelerators drew what they draw under it."
    ),
    (
        "Final: every hour of the run and of its baseline was settled on actual intensity that its provider does not "
        "revise any more. Provisional: it may still change. Typical: no actual intensity came, so the month's and hour's "
        "typical value was used. No sum mixes the three."
    ),
    (
        "Sums are made of whole millijoules and micrograms, so they equal the rows to the last digit. Runs whose energy "
        "nobody knows are in no sum: missing is not zero."
    ),
)

NOT_COUNTED: Final = (
    "Making, shipping and scrapping the machines.",
    (
        "Idle power of machines that wait for work, what a paused process on one machine draws to stay in memory, and "
        "networks other than the data a relocation moved."
    ),
    "What the freed hours were used for, by this cluster or by others on the same grid.",
    (
        "Whether the grid as a whole emitted less: with an average signal the figures share out what was emitted; only a "
        "marginal signal estimates what a change causes."
    ),
    "Jobs that were not managed, or have not finished.",
)

STATEMENT: Final = (
    "metered energy x PUE x grid intensity at the place and in the hours of the run; not counted: making of machines, "
    "idle power, networks, jobs that were not managed"
)
"""The same in one cell, for tables that travel without the page."""
