"""Soundness: a row that says what we never write is damaged; it is named, and is no reason to lose the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cleanhours.adapters.ledger.records import Kept, decode, read_entry
from cleanhours.domain.accounts import Entry
from cleanhours.domain.errors import CleanhoursError, ConfigurationError


def readable(
    rows: Iterable[tuple[str, str]],
    read: Callable[[str], Kept],
    damaged: Callable[[CleanhoursError], None] | None,
) -> list[Kept]:
    """What `read` makes of the texts of rows, each with the name of its row.

    `damaged` is told of each one that cannot be read; without it the first such row raises ConfigurationError.
    """
    found: list[Kept] = []
    for name, text in rows:
        try:
            found.append(decode(read, text, name))
        except ConfigurationError as fault:
            if damaged is None:
                raise
            damaged(fault)
    return found


def read_sound_entry(text: str) -> Entry:
    """The entry of a row. Raises ValueError where a flipped bit left JSON that reads well and cannot be an account."""
    entry = read_entry(text)
    run = entry.run
    words = (entry.location, run.name, run.namespace, run.owner, run.home, *run.labels, *run.labels.values())
    if not all(isinstance(word, str) for word in words):
        raise ValueError("a name that is no text")
    amounts = [*entry.energy_avoided_mj.values(), *_shared(entry)]
    for account in (entry, entry.beside):
        if account is not None:
            amounts += account.avoided_ug.values()
            amounts += [one for one in (account.emissions_ug, account.baseline_ug) if one is not None]
    if not all(type(amount) is int for amount in amounts):
        raise ValueError("an amount that is no whole number")
    if not _adds_up(entry):
        raise ValueError("amounts that do not add up")
    return entry


def _shared(entry: Entry) -> Iterator[int]:
    return (number for one in entry.shares for number in (one.millijoules, one.emissions_ug, one.baseline_ug))


def _adds_up(entry: Entry) -> bool:
    """Causes to what was avoided, methods to the whole."""
    avoided, shares = entry.total_avoided_ug, entry.shares
    if avoided is None:
        return True
    return (
        sum(entry.avoided_ug.values()) == avoided
        and sum(one.emissions_ug for one in shares) == entry.emissions_ug
        and sum(one.baseline_ug for one in shares) == entry.baseline_ug
        and sum(one.millijoules for one in shares) == entry.profile.millijoules
    )
