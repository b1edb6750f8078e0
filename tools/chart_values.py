"""Writes the table of values in the chart's README from the comments in its values.yaml; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "helm" / "cleanhours"
MARK = "<!-- The rest is written by tools/chart_values.py from the comments in values.yaml. -->"

_KEY = re.compile(r"( *)([A-Za-z][A-Za-z0-9]*):(?: |$)")


def described(text: str) -> Iterator[tuple[str, str]]:
    """The dotted name of each value that a comment `# -- …` stands above, and the comment."""
    path: list[str] = []
    words: list[str] | None = None
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# -- "):
            words = [bare.removeprefix("# -- ")]
        elif bare.startswith("#") and words is not None:
            words.append(bare.removeprefix("#").strip())
        elif match := _KEY.match(line):
            depth = len(match[1]) // 2
            path = [*path[:depth], match[2]]
            if words is not None:
                yield ".".join(path), " ".join(words)
            words = None
        elif not bare:
            words = None


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted names of all values; an empty map is one."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    else:
        yield ".".join(path)


def values_table(text: str) -> str:
    """The table, a row a value, for the values.yaml that `text` is."""
    values = yaml.safe_load(text)
    lines = ["| value | default | meaning |", "| --- | --- | --- |"]
    for name, words in described(text):
        default: Any = values
        for key in name.split("."):
            default = default[key]
        shown = json.dumps(default, ensure_ascii=False).replace("|", "\\|")
        meaning = words.replace("|", "\\|")
        lines.append(f"| `{name}` | `{shown}` | {meaning} |")
    return "\n".join(lines) + "\n"


def readme(before: str, values: str) -> str:
    """The README with its table made anew."""
    return before.partition(MARK)[0] + f"{MARK}\n\n## Values\n\n{values_table(values)}"


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 where `--check` finds another table than the values make."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the table is not current"
    )
    check = parser.parse_args(arguments).check
    page = CHART / "README.md"
    before = page.read_text("utf-8")
    current = readme(before, (CHART / "values.yaml").read_text("utf-8"))
    if check:
        return int(before != current)
    page.write_text(current, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
