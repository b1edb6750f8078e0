"""The labels of a command: `KEY=VALUE` words by Kubernetes's rules, so that one report groups jobs of every cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cleanhours.domain.errors import Complaint, InvalidRequest

MOST_LABELS: Final = 8
"""As many as a Kubernetes Job brings: each is a column of a report."""
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_KEY: Final = re.compile(rf"(?:(?=.{{1,64}}/)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?{_NAME}", re.ASCII)
_VALUE: Final = re.compile(rf"(?:{_NAME})?", re.ASCII)
_ACCEPTED: Final = (
    "KEY=VALUE as labels of Kubernetes are: each at most 63 letters, digits, '-', '_' and '.', with a letter or digit at "
    "both ends; a prefix such as example.com/ may stand before KEY"
)


def parse_labels(words: Iterable[str]) -> dict[str, str]:
    """The labels of `KEY=VALUE` words. Raises InvalidRequest with every word that is none, or that says a key again."""
    labels: dict[str, str] = {}
    wrong: list[Complaint] = []
    for word in words:
        key, sign, value = word.partition("=")
        if not (sign and _KEY.fullmatch(key) and _VALUE.fullmatch(value)):
            wrong.append(Complaint("label", word[:160], _ACCEPTED))
        elif labels.setdefault(key, value) != value:
            wrong.append(Complaint("label", word, f"each key once: it is {labels[key]!r} already"))
    if len(labels) > MOST_LABELS:
        wrong.append(Complaint("label", f"{len(labels)} labels", f"at most {MOST_LABELS}"))
    if wrong:
        raise InvalidRequest(wrong)
    return labels
