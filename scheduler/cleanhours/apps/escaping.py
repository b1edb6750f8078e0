"""Text from outside, made harmless for the place it is shown: a terminal, a table, a page."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Cc: C0, DEL and C1 (an 8-bit CSI needs no ESC). Cf: bidirectional overrides and zero-width marks, which make a name
# read as another. Cs: what surrogateescape leaves of bytes that are no UTF-8. Zl, Zp: line ends in disguise.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_STAND_INS: Final = str.maketrans({"−": "-", "—": "-", "…": "~", "·": ",", "µ": "u", "×": "x", "\u00a0": " "})
_FORMULA: Final = re.compile(r"""^(?=[\t\r\n])|(?:^|(?<=;))(?=[\s'"]*[=+\-@＝＋－＠])""")


def escape_terminal(text: str, limit: int | None = None) -> str:
    r"""The text on one line with every control character visible (`\x1b`); longer than `limit`, it ends in an ellipsis.

    Backslashes stay as they are: this is for reading, not for reading back.
    """
    shown = "".join(
        _visible(character) if unicodedata.category(character) in _HIDDEN else character for character in text
    )
    if limit is not None and len(shown) > limit:
        return shown[: max(limit - 1, 0)] + "…"
    return shown


def escape_csv(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula, control characters visible.

    A leading =, +, -, @ (also a wide one, or behind blanks or quotes) gets an apostrophe before it, as OWASP's "CSV Injection"
    advises, and so does one behind a semicolon: where decimals have a comma, that parts cells. Quoting is the csv writer's
    business. For words only: numbers are written as numbers, with their sign.
    """
    return escape_terminal(_FORMULA.sub("'", text))


def escape_html(text: str) -> str:
    """The text for an element's content or a quoted attribute, control characters visible."""
    return html.escape(escape_terminal(text), quote=True)


def fit_encoding(text: str, encoding: str | None) -> str:
    """The text in an encoding that may lack our signs: plain stand-ins for them, `?` for what else it lacks."""
    name = encoding or "ascii"
    try:
        text.encode(name)
    except UnicodeEncodeError:
        return text.translate(_STAND_INS).encode(name, "replace").decode(name)
    return text


def _visible(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
