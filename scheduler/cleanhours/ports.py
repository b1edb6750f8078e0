"""Every door of the core, a sentence a promise. Plugins and adapters implement these; control knows nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:  # promises are read by people and checkers: who keeps one need not import what it speaks of
    from cleanhours.domain.accounts import Entry, ForecastError, Totals, Waiting
    from cleanhours.domain.energy import EnergyProfile
    from cleanhours.domain.errors import CleanhoursError
    from cleanhours.domain.intensity import IntensitySeries, Measure
    from cleanhours.domain.jobs import (
        Action,
        Applied,
        Decision,
        FinishedRun,
        Job,
        JobKey,
        RunKey,
    )
    from cleanhours.domain.locations import Location, Room
    from cleanhours.domain.plans import Plan
    from cleanhours.domain.requests import JobRequest
    from cleanhours.domain.rules import ForecastLevels, Rules
    from cleanhours.domain.zones import Unserved


class Clock(Protocol):
    """The only one who looks at the time."""

    def now(self) -> datetime:
        """The instant, aware, in UTC. May run fast; never runs backwards because of a time zone."""

    def real_seconds_until(self, instant: datetime) -> float:
        """How long to really sleep until then; 0 when it has passed."""

    @property
    def rate(self) -> float:
        """Clock seconds per real second."""

    @property
    def origin(self) -> datetime | None:
        """The clock's instant at `real_origin` for a fast clock, None for the real one."""

    @property
    def real_origin(self) -> float:
        """Unix time at `origin`; another process rebuilds the same clock from the three."""


class Telemetry(Protocol):
    """What a plugin measures of itself; names without prefix, labels from the closed list of docs/metrics.md."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Adds to a counter."""

    def set(self, name: str, value: float, **labels: str) -> None:
        """Sets a gauge."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Adds to a histogram."""


class ForecastSource(Protocol):
    """Knows the future of some grid zones."""

    name: str

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What is known over [start, end), from the interval that holds `start` on; may end early, never lies.

        Raises UnknownZone, TemporaryError, SeriesError (the provider's answer made no sense) or ConfigurationError.
        """


@runtime_checkable
class Observing(Protocol):
    """A source that also knows what really was."""

    final_after: timedelta
    """An actual older than this is not revised any more."""

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What really was over [start, end), as far as published; may begin late or end early. Errors as `forecast`."""


@runtime_checkable
class Listing(Protocol):
    """A source that can say which zones it serves."""

    def zones(self) -> Sequence[str]:
        """Grid zones, sorted."""


@runtime_checkable
class Discerning(Protocol):
    """A source that serves more zones, or spells them in more ways, than it can list."""

    def serves(self, zone: str) -> bool:
        """Whether it may ever know the zone. Asks no network. Errors as `forecast`."""


@runtime_checkable
class Declaring(Protocol):
    """A source that can say what it measures without being asked for a zone."""

    measure: Measure
    attribution: str
    """The credit its licence asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A process to be queued by a cluster that accepts submissions.

    `restart` says how it pauses: empty means SIGSTOP and SIGCONT; else SIGTERM, and this command to go on.
    """

    name: str
    command: tuple[str, ...]
    request: JobRequest
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    restart: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


class Cluster(Protocol):
    """Jobs that wait and run. Every action is idempotent, one job's trouble is never another's."""

    name: str
    powers: frozenset[Action]
    """Which actions it can carry out; HOLD, RELEASE and REMARK always."""

    def pending(self) -> Sequence[Job]:
        """Jobs that wait: pending, held, paused, or unmanaged while their owner holds them."""

    def running(self) -> Sequence[Job]:
        """Jobs that occupy their location: released, running, pausing, moving."""

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        """Runs that ended at or after `since`, oldest first."""

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        """Carries decisions out, each for itself, in order; says of each whether it was done. Never raises for one.

        Called each tick of a controller that may act, also with nothing decided: what a cluster has to write down or to
        tell its owners besides, it does then.
        """


@runtime_checkable
class HavingCapacity(Protocol):
    """A cluster that knows what its locations hold."""

    def capacity(self) -> Mapping[str, Room]:
        """Per location of this cluster: what is there, and what is taken by work that is not ours."""


@runtime_checkable
class Submitting(Protocol):
    """A cluster that accepts processes."""

    def submit(self, submission: Submission) -> JobKey:
        """Queues it durably, held, before it returns. Raises InvalidRequest or TemporaryError."""


@runtime_checkable
class Queue(Cluster, Submitting, Protocol):
    """A cluster whose jobs nobody starts but us: what its users submit waits here."""


@runtime_checkable
class Cancelling(Protocol):
    """A cluster whose jobs can be cancelled by us for their owner."""

    def cancel(self, key: JobKey) -> bool:
        """Ends the job, running or not; False when it had ended."""


@runtime_checkable
class OwnerPausing(Protocol):
    """A cluster whose jobs an owner can pause through us; a job so paused is unmanaged until he resumes it."""

    def owner_pause(self, key: JobKey) -> bool:
        """Stops the job now, at its owner's word; False when there was nothing to stop."""

    def owner_resume(self, key: JobKey) -> bool:
        """Gives the job back to us; False when its owner had not paused it."""


@runtime_checkable
class Advising(Protocol):
    """A cluster whose owners cancel, pause and resume with a tool of its own, and that knows how."""

    def advice(self, key: JobKey, verb: str) -> str:
        """The command that does `verb` (cancel, pause or resume) to the job, for a shell; empty where nothing does."""


@runtime_checkable
class KeepingOutput(Protocol):
    """A cluster that keeps what its jobs print."""

    def output(self, key: JobKey) -> Path:
        """The folder with a job's `stdout` and `stderr`; they exist once it has started."""


@runtime_checkable
class Serving(Protocol):
    """A cluster with services that run on every replica of the controller."""

    def services(self) -> Sequence[Service]:
        """Not started yet."""


@runtime_checkable
class Waking(Protocol):
    """A cluster that notices at once what makes a decision due: a new job, one that came to rest, one that ended."""

    def on_change(self, call: Callable[[], None]) -> None:
        """Calls back from then on, from any thread and as often as it likes; `call` returns at once."""


@runtime_checkable
class Leading(Protocol):
    """A cluster that elects one controller."""

    def leadership(self) -> Leadership:
        """At most one of these in a controller."""


class Leadership(Protocol):
    """Who may act."""

    def may_act(self) -> bool:
        """Asked before every single write; once it says no, nothing more is written."""


class Service(Protocol):
    """Something that runs beside the cycle: a webhook server, a watch."""

    def start(self) -> None:
        """Returns when it serves."""

    def stop(self) -> None:
        """Returns when it has stopped; idempotent."""


class Meter(Protocol):
    """Knows the energy of runs."""

    name: str

    def energy(self, run: FinishedRun) -> EnergyProfile:
        """What it knows of the run; an empty profile where it knows nothing. Raises TemporaryError when asked too early."""


@runtime_checkable
class Sampling(Protocol):
    """A meter that must watch a run while it lives."""

    def sample(self, running: Sequence[Job]) -> None:
        """Called each tick with what runs."""


class Ledger(Protocol):
    """What happened, for good. Append-only."""

    def record(self, entry: Entry) -> bool:
        """Writes a settlement; False (and nothing written) when the run's row in force says the same already."""

    def current(
        self, since: datetime | None = None, until: datetime | None = None, *, as_of: datetime | None = None
    ) -> Sequence[Entry]:
        """The rows in force of runs that finished in [since, until), oldest first; with `as_of`, those in force then.

        What was in force at an instant in the past never changes: a row settled later is not in it.
        """

    def known(self, keys: Sequence[RunKey]) -> frozenset[RunKey]:
        """Which of these runs have a row."""

    def provisional(self, damaged: Callable[[CleanhoursError], None] | None = None) -> Sequence[Entry]:
        """The rows in force that may still change, or what stands beside them, oldest first.

        `damaged` is told of each row that cannot be read, by name, and the others are given; without it such a row raises
        ConfigurationError.
        """

    def totals(self) -> Totals:
        """Sums for the exposition; exact, and the same after a restart."""

    def label_namespaces(self, most: int) -> Sequence[str]:
        """The settled namespaces with a label of their own in metrics, in the order in which they were given one.

        Of those that are new, the first ones settled are given one, up to `most` in all; what each got then, it keeps
        for ever, whatever `most` is later.
        """

    def record_plans(self, changed: Sequence[tuple[JobKey, str, Plan]], now: datetime) -> None:
        """Keeps changed plans (with their jobs' names), so that what was believed when can be shown."""

    def plans(self, key: JobKey) -> Sequence[tuple[datetime, Plan]]:
        """The plans of a job, oldest first."""

    def remembered(self, cluster: str, namespace: str, names: Collection[str]) -> frozenset[str]:
        """Which of these names are works of which a run succeeded: `durations` and `powers` know nothing of the others."""

    def durations(self, cluster: str, namespace: str, name: str) -> Sequence[timedelta]:
        """Running times of earlier successful runs of the same work, newest first, 50 at most."""

    def powers(self, cluster: str, namespace: str, name: str) -> Sequence[float]:
        """Mean watts, before PUE, of earlier successful runs of the same work, newest first, 50 at most.

        Only of runs whose energy is known for four fifths of their running time, from no declared watts, and without a
        transfer of data in it.
        """

    def record_forecast(self, series: IntensitySeries, now: datetime) -> None:
        """Keeps what a forecast said for 1, 6 and 24 hours ahead of `now`."""

    def record_actual(self, series: IntensitySeries) -> None:
        """Compares kept forecasts with what really was."""

    def forecast_errors(self) -> Sequence[ForecastError]:
        """Per zone, provider and lead, over the last 28 days."""

    def close(self) -> None:
        """Releases its resources; idempotent."""


class Backlog(Protocol):
    """What settling must know again when its process has ended: runs without a row, and how far each cluster has told.

    Every method raises TemporaryError where it cannot now.
    """

    def keep(
        self,
        waiting: Sequence[Waiting],
        *,
        done: Collection[RunKey] = (),
        told: Mapping[str, datetime] | None = None,
    ) -> None:
        """Keeps runs, each as it is given last, forgets those that are `done`, and up to when clusters told what finished."""

    def waiting(self, damaged: Callable[[CleanhoursError], None] | None = None) -> Sequence[Waiting]:
        """The runs that are kept, those that ended first first. `damaged` as in `Ledger.provisional`."""

    def told(self) -> Mapping[str, datetime]:
        """By cluster."""

    def close(self) -> None:
        """Releases its resources; idempotent."""


class Outlook(Protocol):
    """The configured chain of forecast sources as one: what planning and settlement ask."""

    def levels(self, zones: Sequence[str], start: datetime, end: datetime) -> ForecastLevels:
        """What each level of the chain knows of the zones over [start, end), best first. Never raises: who fails is absent."""

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What really was, from the first observing source that knows it; else typical values, marked so.

        Raises UnknownZone or TemporaryError where nobody knows.
        """

    def final_after(self, zone: str) -> timedelta:
        """When the zone's actuals are not revised any more."""

    def observes(self, zone: str) -> bool:
        """Whether any source of the chain may ever know what really was there."""


@runtime_checkable
class Screening(Protocol):
    """An outlook that can tell which zones it will never know anything of."""

    def unserved(self, zone: str) -> Unserved | None:
        """What to say of a zone that no source of its chain serves; None for any other. Never raises, asks no provider."""


@runtime_checkable
class Recalling(Protocol):
    """An outlook that knows, after a restart too, which live forecast it had last."""

    def issued(self, zone: str) -> tuple[str, datetime] | None:
        """Provider and time of issue of the newest forecast kept for the zone, however old; None where none is."""


class Context(Protocol):
    """What a plugin is given: the world, each part built on first use. Only `apps` implements it."""

    @property
    def clock(self) -> Clock: ...

    @property
    def telemetry(self) -> Telemetry: ...

    @property
    def locations(self) -> Mapping[str, Location]: ...

    @property
    def rules(self) -> Rules:
        """The knobs of planning, as configured: its margins hold wherever a latest safe start is computed."""

    @property
    def default_words(self) -> Mapping[str, str]:
        """The words of a request that says nothing of its own: `[defaults]`."""

    @property
    def state_folder(self) -> Path:
        """Private to its user; exists."""

    def plan(
        self, request: JobRequest, *, home: str | None = None, queue_margin: timedelta | None = None
    ) -> Plan:
        """The plan that the settings make for one job, now, as if it were alone.

        `home` is the location where it would run unmodified, by default the first known one of the request's, else the
        first configured; `queue_margin` how long a release may queue there, by default what the rules say. Raises ConfigurationError (NotConfigured for a `home` that nobody configured).
        """

    def cluster(self, name: str) -> Cluster:
        """A configured cluster. Raises NotConfigured, or what its plugin says of its table."""


@runtime_checkable
class Remembering(Protocol):
    """A context for commands that somebody waits for: it is asked again and again, by processes of a moment."""

    def remembered(self, what: str, work: Callable[[], bool | None]) -> bool | None:
        """What `work` found out from the settings, worked out again when these change. `what` names the question.

        None is that it could not be found out, and is asked again.
        """


BuildForecasts = Callable[[Mapping[str, Any], Context], ForecastSource]
BuildCluster = Callable[[Mapping[str, Any], Context], Cluster]
BuildMeter = Callable[[Mapping[str, Any], Context], Meter]
