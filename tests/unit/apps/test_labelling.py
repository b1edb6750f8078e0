"""Labels from the command line: Kubernetes's rules, every fault at once."""

from __future__ import annotations

import pytest

from cleanhours.apps.commands.labelling import MOST_LABELS, parse_labels
from cleanhours.domain.errors import InvalidRequest


def test_words_are_pairs() -> None:
    words = [
        "team=vision",
        "example.com/Cost_centre.no=4-2",
        "empty=",
        "samples=1e6",
        "team=vision",
        "k" * 63 + "=" + "v" * 63,
    ]
    assert {
        "team": "vision", "example.com/Cost_centre.no": "4-2", "empty": "", "samples": "1e6", "k" * 63: "v" * 63,
    } == parse_labels(words)  # fmt: skip
    assert {} == parse_labels([])


@pytest.mark.parametrize(
    "word",
    [
        "", "team", "=vision", "team =vision", "team= vision", "team=two words", "team=a=b", "-team=x", "team=x-",
        "k" * 64 + "=v", "k=" + "v" * 64, "Example.com/k=v", "/k=v", "a/b/c=v", "k/=v", "te\u00e4m=x", "team=\u0663",
        "team=x\n", "team=\x1b[31m", "p" * 65 + "/k=v",
    ],
)  # fmt: skip
def test_what_is_no_label_is_refused_with_what_would_be_one(word: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"label: found .*, accepted: KEY=VALUE as labels of Kubernetes are"
    ):
        parse_labels([word])


def test_every_fault_is_told_at_once() -> None:
    many = [f"l{n}=x" for n in range(MOST_LABELS + 1)]
    with pytest.raises(InvalidRequest) as refused:
        parse_labels(["team", "team=a", "team=b", *many, "x y=z"])

    assert [
        ("team", "KEY"), ("team=b", "each key once: it is 'a' already"), ("x y=z", "KEY"), ("10 labels", "at most 8"),
    ] == [(one.found, one.accepted if "KEY" not in one.accepted else "KEY") for one in refused.value.complaints]  # fmt: skip
