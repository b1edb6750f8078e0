"""The options that make a job request, the same on every command that takes one."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Demand
from cleanhours.domain.words import parse_bytes, parse_words

Command = TypeVar("Command", bound=Callable[..., Any])

_WORDS: Final = (
    "deadline",
    "max_delay",
    "duration",
    "earliest",
    "checkpoint",
    "locations",
    "power",
    "data",
    "policy",
    "power_curve",
)


class Number(click.FloatRange):
    """A number in a range. Not a number is in none, though Python's comparisons let it pass; infinity is no amount."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


_OPTIONS: Final = (
    click.option(
        "--deadline", metavar="T", help="Finished by: RFC 3339 with a zone, or +12h from submission."
    ),
    click.option("--max-delay", metavar="D", help="Longest waiting, pauses and checkpoints together: 6h."),
    click.option("--duration", metavar="D", help="Running time: 90m, 6h, 2d, 1h30m, PT6H."),
    click.option("--earliest", metavar="T", help="Not before: RFC 3339, or +1h."),
    click.option("--interruptible", is_flag=True, help="May be paused and go on."),
    click.option("--checkpoint", metavar="D", help="Running time that each pause costs: 5m."),
    click.option("--power", metavar="W", help="The whole job's draw: 2400W, 2.4kW."),
    click.option(
        "--power-curve", metavar="NAME", help="What was measured of it under power caps; it may be capped."
    ),
    click.option("--data", metavar="SIZE", help="What moves with a relocation: 200GB."),
    click.option("--locations", metavar="A,B", help="Where it may run."),
    click.option(
        "--policy", metavar="NAME", help="run-now, lowest-window, lowest-slots, carbon-time, deadline-only."
    ),
    click.option("--cpus", type=Number(0, 1_000_000), help="CPUs it occupies."),
    click.option("--memory", metavar="SIZE", help="Memory it occupies: 16GiB."),
    click.option("--gpus", type=click.IntRange(0, 1_000_000), help="GPUs it occupies."),
)


def request_options(command: Command) -> Command:
    """Adds the options; the command receives them as one keyword `wishes`."""
    names = {*_WORDS, "interruptible", "cpus", "memory", "gpus"}

    def gathered(*args: Any, **options: Any) -> Any:
        wishes = {name: options.pop(name) for name in names if name in options}
        return command(*args, wishes=wishes, **options)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__dict__.update(command.__dict__)
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def read_request(
    wishes: Mapping[str, Any],
    *,
    created: datetime,
    locations: Collection[str] | None,
    defaults: Mapping[str, str] | None = None,
) -> JobRequest:
    """The request that the options make over the site's default words. Raises InvalidRequest naming every fault."""
    words = dict(defaults or {})
    words |= {name.replace("_", "-"): wishes[name] for name in _WORDS if wishes.get(name) is not None}
    if wishes.get("interruptible"):
        words["interruptible"] = "true"
    demand, complaints = _demand(wishes)
    try:
        request = parse_words(words, created=created, locations=locations, demand=demand)
    except InvalidRequest as invalid:
        raise InvalidRequest([*complaints, *invalid.complaints]) from None
    if complaints:
        raise InvalidRequest(complaints)
    return request


def _demand(wishes: Mapping[str, Any]) -> tuple[Demand, list[Complaint]]:
    memory = 0
    complaints: list[Complaint] = []
    if wishes.get("memory"):
        try:
            memory = parse_bytes(wishes["memory"])
        except ValueError as fault:
            complaints.append(Complaint("memory", wishes["memory"], str(fault)))
    cpu_millicores = round((wishes.get("cpus") or 0) * 1000)
    return Demand(cpu_millicores, memory, wishes.get("gpus") or 0), complaints
