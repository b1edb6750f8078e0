from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.apps.escaping import escape_csv, escape_html, escape_terminal, fit_encoding


def test_a_colour_code_is_shown_and_not_obeyed() -> None:
    assert escape_terminal("\x1b[31mred\x1b[0m") == r"\x1b[31mred\x1b[0m"


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [("\x9b", r"\x9b"), ("\n", r"\n"), ("\u202e", r"\u202e"), ("\u200b", r"\u200b"), ("\udcff", r"\udcff"), ("\u2028", r"\u2028")],
)  # fmt: skip
def test_what_cannot_be_seen_is_made_visible(hidden: str, shown: str) -> None:
    assert escape_terminal(f"a{hidden}b") == f"a{shown}b"


def test_letters_of_any_language_stay() -> None:
    assert escape_terminal("学習-naïve 🌱") == "学習-naïve 🌱"


@given(st.text(), st.integers(1, 30))
def test_nothing_hidden_and_nothing_too_long_ever_reaches_a_terminal(text: str, limit: int) -> None:
    shown = escape_terminal(text, limit)

    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
    assert len(shown) <= limit


@pytest.mark.parametrize(
    "formula",
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "  =1",
        '"=1',
        "\u00a0=1",
        "\u3000@A1",
        "＝cmd",
        "＋1",
        "－1",
        "＠SUM(A1)",
    ],
)
def test_a_formula_becomes_words(formula: str) -> None:
    assert escape_csv(formula).startswith("'")


def test_an_ordinary_name_stays_as_it_is_in_a_cell() -> None:
    assert escape_csv("train-1=best") == "train-1=best"


@pytest.mark.parametrize("name", ["a;=cmd|' /C calc'!A0", "a; ＝1", "a;;+1", "a;b;@SUM(A1)"])
def test_no_cell_begins_like_a_formula_where_semicolons_part_cells(name: str) -> None:
    """As spreadsheets read a table of commas in countries that write decimals with a comma."""
    starts = [part.strip()[:1] for part in escape_csv(name).split(";")]

    assert not {*starts} & {"=", "+", "-", "@", "＝", "＋", "－", "＠"}
    assert "a;b c; d" == escape_csv("a;b c; d")


@given(st.text())
def test_no_cell_begins_like_a_formula_after_a_round_through_csv(text: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow([escape_csv(text), "end"])

    cell = next(csv.reader(io.StringIO(file.getvalue())))[0]

    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_markup_becomes_text() -> None:
    assert escape_html("<script>'\"&") == "&lt;script&gt;&#x27;&quot;&amp;"


def test_an_old_encoding_gets_stand_ins_and_utf_8_gets_everything() -> None:
    assert fit_encoding("−1\u00a0µg ✓", "ascii") == "-1 ug ?"
    assert fit_encoding("−1\u00a0µg ✓", "utf-8") == "−1\u00a0µg ✓"
