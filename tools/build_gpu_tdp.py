"""Computes the shipped table of GPUs' thermal design power from ML CO2 Impact's list of hardware.

    python tools/build_gpu_tdp.py gpus.csv --out plugins/cleanhours_plugins/meters/gpu_tdp.py

`gpus.csv` is `data/gpus.csv` of https://github.com/mlco2/impact (MIT). Its GPUs are taken, name and watts only; processors and
TPUs (whose figure is a mean draw) are not, nor are rows that are known to be wrong. The same input makes the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

LEFT_OUT: Final[Mapping[str, str]] = {
    "A100 PCIe 40/80GB": "two boards of 250 and 300 W in one row",
    "GTX 750": "the row's figures are of no GTX 750 (55 W)",
    "Tesla V100-PCIE-16GB": "the watts of this one and the SXM2's are exchanged (250 and 300 W)",
    "Tesla V100-SXM2-16GB": "the watts of this one and the PCIe's are exchanged (300 and 250 W)",
}
"""Rows that would mislead, and why."""

HEAD: Final = '''"""Thermal design power of GPUs in watts, by device: a ceiling, not what they draw.

Written by tools/build_gpu_tdp.py: change that, then run it again. Names and watts are those of `data/gpus.csv` of ML CO2
Impact (https://github.com/mlco2/impact at d0d3ee5, MIT licence; Lacoste et al. 2019, arXiv:1910.09700), which takes them
from the makers' data sheets and techpowerup.com; rows that are known to be wrong are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GPU_TDP_W: Final[Mapping[str, float]] = {
'''


def device(name: str) -> str:
    """A device's name as settings write it: `A100 SXM4 80 GB` is `a100-sxm4-80gb`."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"(\d) gb\b", r"\1gb", name.strip().lower())).strip("-")


def table(rows: Iterable[Mapping[str, str]]) -> dict[str, float]:
    """Watts by device, by name. Raises ValueError for two rows of one name."""
    found: dict[str, float] = {}
    for row in rows:
        if row["type"] == "gpu" and row["name"] not in LEFT_OUT:
            name = device(row["name"])
            if name in found:
                raise ValueError(f"{row['name']!r}: there is a {name} already")
            found[name] = float(row["tdp_watts"])
    return dict(sorted(found.items()))


def module(watts: Mapping[str, float]) -> str:
    """The table as Python."""
    return HEAD + "".join(f'    "{name}": {each:g},\n' for name, each in watts.items()) + "}\n"


def main() -> None:
    """Writes the module."""
    words = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    words.add_argument("hardware", type=Path, help="data/gpus.csv of mlco2/impact")
    words.add_argument("--out", type=Path, required=True)
    asked = words.parse_args()
    with asked.hardware.open(encoding="utf-8", newline="") as file:
        watts = table(csv.DictReader(file))
    asked.out.write_text(module(watts), "utf-8")
    print(f"{len(watts)} GPUs; left out: {', '.join(LEFT_OUT)}")


if __name__ == "__main__":
    main()
