"""Writes the pages of docs/ that are made from the code; `--check` only says whether they are current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cleanhours.adapters.exposition.families import (
    AHEAD_H,
    FAMILIES,
    JOBS_LIMIT,
    PREFIX,
    SERIES_LIMIT,
    Kind,
    Teller,
)
from cleanhours.adapters.exposition.labels import (
    ALONE_PER_PLACE,
    PLACES_LIMIT,
    SERIES_PER_PLACE,
    full_expansion,
    namespaces_with_label,
)

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
        "A namespace is given a label of its own when it is first settled, in that order, while the families of settled runs stay",
        f"within {SERIES_LIMIT} series at full expansion: {SERIES_PER_PLACE} for each namespace with a label, and for `other`, at each place (a cluster and",
        f"a location where jobs may run), and {ALONE_PER_PLACE} more for each place. Later ones are summed as `other`:",
        "",
        "| places | namespaces with a label | series at full expansion |",
        "| --- | --- | --- |",
        *_expansions(),
        "",
        "Who has a label keeps it for ever, and who is in `other` stays there, whatever places are configured later: the ledger",
        f"keeps what was decided. So the limit is {SERIES_LIMIT} where labels are given, and not what may come of it: more than {PLACES_LIMIT} places need",
        "more for one namespace alone, and places that are added once many labels are given need those labels at each of them.",
        f"What full expansion would need at the places and labels there are is exported as `{PREFIX}settled_series_limit`,",
        f"the number of namespaces in `other` as `{PREFIX}namespaces_in_other`. Most installations are far below: a series is there",
        "only where a run of that namespace was at that place, known by that method.",
        "",
        f"At most {JOBS_LIMIT} living jobs have a `{PREFIX}job_state` of their own, those at risk first. Each grid zone has {2 * AHEAD_H} series of the",
        f"next {AHEAD_H} hours.",
        "",
        "A run enters the counters once, when it first becomes final; what later settlements change of it goes to",
        f"`{PREFIX}corrections_grams`. A run that is closed on typical intensity enters the energy counter only. `{PREFIX}runs_settled_total`",
        "counts each run that ran as soon as it has a row, final or not, also where nobody knows its energy.",
        "",
    ]
    return "\n".join(lines)


def _expansions() -> Iterator[str]:
    for places in (1, 2, 3, 6, PLACES_LIMIT, 18, 50):
        most = namespaces_with_label(places)
        yield f"| {places} | {most} | {full_expansion(places, most)} |"


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
