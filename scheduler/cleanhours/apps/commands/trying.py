"""Trying: each word of a command is read, and the faults of all of them are told together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cleanhours.domain.errors import Complaint, InvalidRequest

Read = TypeVar("Read")


def tried(wrong: list[Complaint], read: Callable[[], Read]) -> Read | None:
    """What was read; None, with its complaints in `wrong`, where it cannot be."""
    try:
        return read()
    except InvalidRequest as invalid:
        wrong += invalid.complaints
        return None
