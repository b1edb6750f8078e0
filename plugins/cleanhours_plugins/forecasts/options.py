"""Reading a provider's own table of settings: every fault in one error, each with what would have been right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from cleanhours.domain.errors import Complaint, ConfigurationError

Word = TypeVar("Word", bound=StrEnum)
Value = TypeVar("Value")


class Options:
    """The settings of one source, taken one by one; `close()` raises what was wrong with all of them together."""

    def __init__(self, source: str, settings: Mapping[str, Any], keys: Sequence[str]) -> None:
        self._source = source
        self._settings = settings
        self._complaints = [_unknown(key, settings[key], keys) for key in settings if key not in keys]

    def text(self, key: str, *, required: bool = False) -> str | None:
        """A text that is not empty; None where it is not set."""
        if key not in self._settings:
            if required:
                self.complain(key, "nothing", "a text")
            return None
        value = self._settings[key]
        if isinstance(value, str) and value.strip():
            return value.strip()
        self.complain(key, value, "a text that is not empty")
        return None

    def word(self, key: str, words: type[Word]) -> Word | None:
        """One word of a closed list; None where it is not set."""
        return self.parsed(key, words, "one of " + ", ".join(words))

    def parsed(self, key: str, parse: Callable[[str], Value], accepted: str) -> Value | None:
        """What `parse` makes of the text; a ValueError or LookupError of it is a complaint. None where it is not set."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return parse(text)
        except (ValueError, LookupError):
            self.complain(key, text, accepted)
            return None

    def complain(self, key: str, found: object, accepted: str) -> None:
        """One more fault."""
        self._complaints.append(Complaint(key, str(found), accepted))

    def close(self) -> None:
        """Raises ConfigurationError with every complaint, if there is one."""
        if self._complaints:
            raise ConfigurationError(
                f"{self._source}: " + "; ".join(str(fault) for fault in self._complaints)
            )


def _unknown(key: str, value: object, keys: Sequence[str]) -> Complaint:
    import difflib

    close = difflib.get_close_matches(key, keys, 1)
    accepted = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(keys)
    return Complaint(key, str(value), f"no such setting; {accepted}")
