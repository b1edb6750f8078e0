"""Speaking: to whoever submitted, on what standard output and error he left us. It cannot fail."""

from __future__ import annotations

import os
from contextlib import suppress


def tell(text: str) -> None:
    """In a line of our own. What a script says is shown, not obeyed by the terminal."""
    shown = "".join(
        letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text
    )
    _write(2, f"cleanhours: {shown}\n")


def pass_on(text: str) -> None:
    """On standard output, as sbatch would have written it."""
    _write(1, text)


def _write(descriptor: int, text: str) -> None:
    """Whoever does not listen, or has no room, changes nothing of what was submitted."""
    rest = text.encode(errors="surrogateescape")
    with suppress(OSError):
        while rest:
            rest = rest[os.write(descriptor, rest) :]
