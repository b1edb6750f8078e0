"""Writes deploy/prometheus/cleanhours.rules.yaml from the chart's rules, which stay the one source; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE = REPOSITORY / "helm" / "cleanhours" / "rules" / "cleanhours.yaml"
TARGET = REPOSITORY / "deploy" / "prometheus" / "cleanhours.rules.yaml"
HEADER = "# Written by tools/copy_rules.py from helm/cleanhours/rules: change that, then `make manifests`.\n"


def copied() -> str:
    """What the file for a Prometheus without the operator says."""
    return HEADER + SOURCE.read_text("utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Write, or compare; the exit code is 1 where the file is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the file is not current"
    )
    check = parser.parse_args(argv).check
    if TARGET.is_file() and TARGET.read_text("utf-8") == copied():
        return 0
    if check:
        print(f"not current: {TARGET.relative_to(REPOSITORY)}")
        return 1
    TARGET.write_text(copied(), "utf-8")
    print(f"written: {TARGET.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
