"""Wishes: the words of a submission, read from where they may stand, and the plan that they make for a held job."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cleanhours.domain.errors import (
    CleanhoursError,
    Complaint,
    ConfigurationError,
    InvalidRequest,
    NotConfigured,
    TemporaryError,
)
from cleanhours.domain.words import parse_words, split_words
from cleanhours_plugins.clusters.slurm.arguments import Said, read_script
from cleanhours_plugins.clusters.slurm.asking import Seen, queue_question, read_queue
from cleanhours_plugins.clusters.slurm.calling import Slurm
from cleanhours_plugins.clusters.slurm.commands.sbatch import CLUSTER, USUAL_CLUSTER
from cleanhours_plugins.clusters.slurm.details import Details, details_question, read_details
from cleanhours_plugins.clusters.slurm.fitting import fitting, fitting_question
from cleanhours_plugins.clusters.slurm.places import Asked
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings, read_settings
from cleanhours_plugins.clusters.tables import TIMES, words_over

if TYPE_CHECKING:
    from cleanhours.ports import Context

_NAME: Final = re.compile(r"^ClusterName\s*=\s*(\S+)", re.MULTILINE)


def plan_job(
    job: str,
    texts: tuple[str, str],
    said: Said,
    slurm: Slurm,
    context: Context,
    *,
    starts: int | None,
    tell: Callable[[str], None],
    let_go: Callable[[], bool] = lambda: False,
) -> Said:
    """Tells Slurm when and where a held job starts; says the plan. Nothing is changed of a job that does not ask for it.

    `texts` are the words of its environment and of its option, `starts` when Slurm would start it if it were not held. `let_go` ends the hold sooner, for what no held job may be
    told. Returns what its script says besides. Raises CleanhoursError: then nothing was changed. Most jobs of a site ask for
    nothing, and wait for each import.
    """
    nonce = os.urandom(8).hex()
    questions = [
        slurm.begin("scontrol", "write", "batch_script", job, "-"),
        slurm.begin("squeue", *queue_question(nonce, user=None, job=job)),
        slurm.begin("squeue", *details_question([job])),
    ]
    try:
        settings = _settings(context, slurm)
        from cleanhours_plugins.clusters.slurm.jobs import Reporting
        from cleanhours_plugins.clusters.slurm.starting import queues_of, set_start

        script, lines = read_script(questions[0].answer())
        seen = _only(job, read_queue(questions[1].answer(), nonce))
        details = read_details(questions[2].answer()).get(job, Details())
    finally:
        for question in questions:
            question.end()
    try:
        said_here = (lines, *texts)
        wanted = _words(settings, seen, said_here)
        words, away = _checked(wanted, settings, context, slurm, seen, said | script)
        if "locations" not in words and any("locations=" in text for text in said_here):
            tell(
                f"none of locations={wanted['locations']} goes with what was asked of Slurm: it stays where it was sent"
            )
        if TIMES.isdisjoint(words):
            if any(said_here):
                tell("neither deadline nor max-delay is given: the job runs as if submitted by sbatch")
            return script
    except InvalidRequest as invalid:
        faults = "".join(f"\n  {complaint}" for complaint in invalid.complaints)
        tell(f"the request cannot be read, the job runs as if submitted by sbatch:{faults}")
        return script
    reporting = Reporting(settings, queues=queues_of(seen, starts, context.clock.now()), away=away)
    plan, free = set_start(seen, words, details, reporting, slurm, context)
    if plan is not None:
        tell(plan.sentence)
    if free and not (said | script).held and let_go():
        try:
            for program, *arguments in free:
                slurm.ask(program, *arguments)
        except CleanhoursError as fault:
            tell(f"{fault}: Slurm chooses the cluster")
    return script


def _only(job: str, found: Sequence[Seen]) -> Seen:
    if not found:
        raise TemporaryError(f"Slurm does not show job {job}")
    return found[0]


def _settings(context: Context, slurm: Slurm) -> SlurmSettings:
    """Of the cluster that CLEANHOURS_CLUSTER names, else of the one that took the job, else of the usual one.

    On a machine where nobody configured one, of a Slurm at the first location. Raises ConfigurationError where nobody said
    where that is: what is not known holds no job.
    """
    told = os.environ.get(CLUSTER)
    if told is not None:
        return _configured(context, told)
    for name in filter(None, (slurm.cluster, USUAL_CLUSTER)):
        with suppress(NotConfigured):
            return _configured(context, name)
    own = _NAME.search(slurm.ask("scontrol", "show", "config"))
    try:
        return _configured(context, own[1] if own is not None else USUAL_CLUSTER)
    except NotConfigured:
        if all(location.assumed for location in context.locations.values()):
            raise ConfigurationError(
                'nobody said where this cluster is: `[locations.here]` and `zone = "DE"` in cleanhours.toml do'
            ) from None
        return read_settings({"name": USUAL_CLUSTER}, context.locations, context.default_words)


def _configured(context: Context, name: str) -> SlurmSettings:
    """Raises NotConfigured, ConfigurationError."""
    from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster

    found = context.cluster(name)
    if not isinstance(found, SlurmCluster):
        raise ConfigurationError(f"cluster {name!r} is not of type slurm")
    return found.settings


def _words(settings: SlurmSettings, seen: Seen, texts: Iterable[str]) -> Mapping[str, str]:
    """Each text over the one before it, all over what is usual at the site. Raises InvalidRequest with all faults."""
    words = settings.usual_words(seen.partition, seen.qos)
    complaints: list[Complaint] = []
    for text in texts:
        try:
            words = words_over(words, split_words(text))
        except InvalidRequest as invalid:
            complaints += invalid.complaints
    if complaints:
        raise InvalidRequest(complaints)
    return words


def _checked(
    words: Mapping[str, str], settings: SlurmSettings, context: Context, slurm: Slurm, seen: Seen, said: Said
) -> tuple[dict[str, str], frozenset[str]]:
    """The same, with the locations that what he asked of Slurm leaves, and where it could run; and where not now.

    Raises InvalidRequest with all complaints.
    """
    request = parse_words(words, created=context.clock.now(), locations=settings.places.locations)
    if not request.locations:
        return dict(words), frozenset()
    bound = bool(seen.reservation or seen.wanted_nodes or seen.parts or said.clustered)
    usual = "" if said.placed else seen.partition
    asked = Asked(seen.partition, seen.features, bound)
    allowed = settings.places.allowed(asked, request.locations, usual)
    away: frozenset[str] = frozenset()
    if set(allowed) - {settings.places.home_of(asked)}:
        found = fitting(allowed, seen, settings.places, slurm.ask("sinfo", *fitting_question()))
        allowed, away = tuple(found), frozenset(name for name, up in found.items() if not up)
    rest = {word: text for word, text in words.items() if word != "locations"}
    return {**rest, "locations": ",".join(allowed)} if allowed else rest, away
