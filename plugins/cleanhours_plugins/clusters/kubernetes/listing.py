"""Listing: the answer to a list, read object by object: one of them is in memory at a time, and not a page as ten times its text."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from typing import Any, Final

from cleanhours_plugins.clusters.kubernetes.errors import Unreachable, shown

Object = dict[str, Any]

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_value = json.JSONDecoder().raw_decode


class Listing:
    """`{..., "items": [...], ...}` as a server wrote it; what it says is read as it is gone through, which works once.

    `beside` is everything but the items, whole when these have ended: servers write a built-in kind's metadata before its
    items and another's after them. `asked` is what was asked, for messages.
    """

    def __init__(self, answer: bytes, asked: str) -> None:
        self.beside: Object = {}
        self._asked = asked
        self._begins = answer[:200]
        self._objects = self._members(answer)

    def __iter__(self) -> Iterator[Object]:
        """Raises Unreachable where the answer is no list."""
        try:
            yield from self._objects
        except (ValueError, IndexError):
            found = shown(self._begins.decode(errors="replace"))
            raise Unreachable(
                f"{self._asked}: the answer is no JSON object, or a broken one: {found}"
            ) from None

    @property
    def metadata(self) -> Object:
        """The list's own; what was not gone through is skipped."""
        for _ in self:
            pass
        return self.beside.get("metadata") or {}

    def _members(self, answer: bytes) -> Iterator[Object]:
        """Raises ValueError, IndexError."""
        text = answer.decode()
        del answer
        at = _expect(text, _past_space(text, 0), "{")
        while True:
            name, at = _value(text, at)
            at = _expect(text, _past_space(text, at), ":")
            if name == "items" and text[at] == "[":
                at = yield from _elements(text, at)
            else:
                self.beside[name], at = _value(text, at)
            at = _past_space(text, at)
            if text[at] == "}":
                break
            at = _expect(text, at, ",")
        if _past_space(text, at + 1) != len(text):
            raise ValueError("something follows")


def _elements(text: str, at: int) -> Generator[Object, None, int]:
    """Those of the array that begins there; returns where it has ended."""
    at = _past_space(text, at + 1)
    if text[at] == "]":
        return at + 1
    while True:
        found, at = _value(text, at)
        yield found
        at = _past_space(text, at)
        if text[at] == "]":
            return at + 1
        at = _expect(text, at, ",")


def _expect(text: str, at: int, sign: str) -> int:
    """Where what follows the sign begins. Raises ValueError, IndexError."""
    if text[at] != sign:
        raise ValueError(f"found {text[at]!r}, expected {sign!r}")
    return _past_space(text, at + 1)


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
