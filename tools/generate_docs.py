"""Writes the pages of docs/ that are made from the code; `--check` only says whether they are current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cleanhours.adapters.exposition.families import FAMILIES, JOBS_LIMIT, PREFIX, SERIES_LIMIT, Kind, Teller

DOCS = Path(__file__).resolve().parent.parent / "docs"


def metrics_page() -> str:
    """docs/metrics.md, whole."""
    lines = [
        "# Metrics",
        "",
        "<!-- Written by tools/generate_docs.py from the table that the exposition uses: change that, then `make docs`. -->",
        "",
        "Served on `127.0.0.1:9464/metrics` (`[metrics] listen`, or `off`), beside `/healthz` and `/readyz`.",
        f"Every name begins with `{PREFIX}`. `cluster` is the configured name; `namespace` is the Kubernetes namespace, the",
        "Slurm account or the local user. `method` says how energy is known: `measured`, `slurm`, `self-reported`,",
        "`modelled` or `declared`. Units are joules, grams of CO2e, seconds, and grams per kilowatt-hour.",
        "",
    ]
    for teller in (Teller.LEDGER, Teller.SNAPSHOT, Teller.TELEMETRY):
        lines += [
            f"## Told by {teller}",
            "",
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
        ]
        for family in FAMILIES.values():
            if family.teller is teller:
                labels = ", ".join(f"`{label}`" for label in family.labels) or "–"
                lines.append(f"| `{PREFIX}{family.name}` | {family.kind} | {labels} | {family.help} |")
        lines.append("")
    lines += ["## Buckets", ""]
    for family in FAMILIES.values():
        if family.kind is Kind.HISTOGRAM:
            bounds = ", ".join(f"{bound:g}" for bound in family.buckets)
            lines.append(f"- `{PREFIX}{family.name}`: {bounds} seconds")
    lines += [
        "",
        "## How many series",
        "",
        "Namespaces keep a label of their own, for ever, in the order in which they were first settled, while the families",
        f"of settled runs stay within {SERIES_LIMIT} series at full expansion; later ones are summed as `other`. The limit is",
        f"exported as `{PREFIX}settled_series_limit`, the number of namespaces in `other` as `{PREFIX}namespaces_in_other`.",
        f"At most {JOBS_LIMIT} living jobs have a `{PREFIX}job_state` of their own, those at risk first.",
        "",
        "A run enters the counters once, when it first becomes final; what later settlements change of it goes to",
        f"`{PREFIX}corrections_grams`. A run that is closed on typical intensity enters the energy counter only.",
        "",
    ]
    return "\n".join(lines)


PAGES = {"metrics.md": metrics_page}


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 when a page was not current and only a check was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a page is not current"
    )
    check = parser.parse_args(arguments).check
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, "utf-8")
            print(f"wrote docs/{name}")
    if check and stale:
        print(f"not current: {', '.join(stale)}; run `make docs`")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
