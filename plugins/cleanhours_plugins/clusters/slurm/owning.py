"""Owning: what a job's owner changed of it himself in Slurm is his word from then on. Pure."""

from __future__ import annotations

from dataclasses import replace

from cleanhours_plugins.clusters.slurm.jobs import Known
from cleanhours_plugins.clusters.slurm.places import Asked, Places


def heeding_its_owner(known: Known, places: Places) -> Known:
    """A waiting job that is not where its last plan put it was moved by hand: it stays there, which is its home now.

    What is written down next says so for good.
    """
    tag, seen = known.tag, known.seen
    plan = tag.plan
    if plan is None or "locations" not in tag.words or plan.location not in places.locations:
        return known
    if not known.waits or tag.paused or known.requeued:  # its next place was not told yet
        return known
    there = places.where(plan.location, Asked(tag.partition or seen.partition, tag.features))
    if (seen.partition, seen.features) == (
        there.get("Partition", seen.partition),
        there.get("Features", seen.features),
    ):
        return known
    words = {word: text for word, text in tag.words.items() if word != "locations"}
    return replace(known, tag=replace(tag, words=words, home=places.at(seen.partition, seen.features)))
