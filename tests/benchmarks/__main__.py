"""Runs every benchmark (or those named) and prints target, value and verdict; exits 1 when a target is missed.

python -m tests.benchmarks [planning] [tick] …
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.benchmarks.figures import Figure


def main(names: Sequence[str]) -> int:
    """Prints the figures of the benchmarks named, all by default; the exit code."""
    folder = Path(__file__).parent
    known = sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))
    if unknown := sorted(set(names) - set(known)):
        print(f"no benchmark named {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    missed = 0
    print(f"{'figure':<66} {'target':>16} {'value':>14}  verdict")
    for name in names or known:
        module = import_module(f"tests.benchmarks.bench_{name}")
        if getattr(module, "BY_NAME_ONLY", False) and not names:
            continue
        for figure in module.run():
            print(line(figure), flush=True)
            missed += figure.met is False
    print(f"{missed} of the targets missed" if missed else "every target met")
    return 1 if missed else 0


def line(figure: Figure) -> str:
    """A figure as a row of the table."""
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
    return f"{figure.name:<66} {figure.target:>16} {figure.value:>9.4g} {figure.unit:<4}  {verdict}".rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
