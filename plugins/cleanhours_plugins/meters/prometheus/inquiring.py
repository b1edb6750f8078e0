"""Inquiring: what a meter learns of a run from its server, when all of it is there, and how it takes an answer that is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cleanhours.domain.energy import EnergyProfile
from cleanhours.domain.jobs import FinishedRun
from cleanhours_plugins.meters.prometheus import pods
from cleanhours_plugins.meters.prometheus.profiles import Span, spans_of
from cleanhours_plugins.meters.prometheus.server import Server, Unanswered
from cleanhours_plugins.meters.prometheus.telling import UNKNOWN

Ask = Callable[[Server, FinishedRun, Sequence[Span]], EnergyProfile]


def inquire(server: Server | None, run: FinishedRun, ask: Ask) -> EnergyProfile:
    """What `ask` finds out of a run that ran, said once where the server will not tell it; nothing without a server.

    Raises TemporaryError while the run's last samples may not be there, or the server does not answer.
    """
    spans = spans_of(run)
    if server is None or not spans:
        return UNKNOWN
    server.wait_for(run)
    try:
        return ask(server, run, spans)
    except Unanswered as fault:
        server.say(str(fault))
        return UNKNOWN


def inquire_of_pods(server: Server | None, run: FinishedRun, ask: Ask) -> EnergyProfile:
    """The same for what is known by Pods: a run without any is not asked about."""
    return inquire(server, run, ask) if pods.uids_of(run) else UNKNOWN
