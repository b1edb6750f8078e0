"""Tables of settings: every key read by its reader, every fault named; usual words, and those said over them. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from cleanhours.domain.times import DURATION_WORDS, parse_duration

TIMES: Final = frozenset({"deadline", "max-delay"})
"""Words about time: who says one of them asks us to choose the start."""

Reader = Callable[[Any], Any]
"""A value as the file has it -> the setting. Raises ValueError saying what would be right."""


def read_table(table: Mapping[str, Any], readers: Mapping[str, Reader]) -> tuple[dict[str, Any], list[str]]:
    """What could be read, by key, and the faults: unknown keys, and values with what was found and what is accepted."""
    found: dict[str, Any] = {}
    faults = []
    for key, value in table.items():
        if key not in readers:
            close = difflib.get_close_matches(key, readers, 1)
            hint = f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(readers)
            faults.append(f"unknown key {key!r}; {hint}")
            continue
        try:
            found[key] = readers[key](value)
        except ValueError as fault:
            faults.append(f"{key}: found {value!r}, accepted: {fault}")
    return found, faults


def length(value: Any) -> timedelta:
    """A length of time, as a duration's text or by whoever builds the table himself."""
    if isinstance(value, timedelta) and value >= timedelta(0):
        return value
    if not isinstance(value, str):
        raise ValueError(DURATION_WORDS)
    return parse_duration(value)


def only(word: str) -> Reader:
    """Takes nothing but that word."""

    def reader(value: Any) -> str:
        if value != word:
            raise ValueError(repr(word))
        return word

    return reader


def words_over(usual: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """What is said, over what is usual. A word about time takes the place of all the usual ones about it."""
    timed = not TIMES.isdisjoint(own)
    return {**{word: text for word, text in usual.items() if not (timed and word in TIMES)}, **own}
