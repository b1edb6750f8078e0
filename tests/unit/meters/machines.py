"""A machine made of files: /proc and powercap folders as the kernel lays them out, in the size of a test."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Machine:
    """Counters that a test turns by hand."""

    folder: Path
    counters: dict[str, tuple[str, int]] = field(default_factory=dict)
    range_uj: int = 1_000_000_000

    @property
    def proc(self) -> Path:
        return self.folder / "proc"

    @property
    def powercap(self) -> Path:
        return self.folder / "powercap"

    def counter(self, zone: str, name: str, microjoules: int) -> None:
        place = self.powercap / zone
        place.mkdir(parents=True, exist_ok=True)
        (place / "name").write_text(name + "\n")
        (place / "max_energy_range_uj").write_text(f"{self.range_uj}\n")
        (place / "energy_uj").write_text(f"{microjoules}\n")

    def busy(self, seconds: float) -> None:
        self.proc.mkdir(parents=True, exist_ok=True)
        ticks = round(seconds * TICKS)
        (self.proc / "stat").write_text(f"cpu  {ticks} 0 0 999999 5 0 0 0 0 0\ncpu0 1 2 3\n")

    def process(
        self, pid: int, cpu_s: float, *, parent: int = 1, session: int = 0, name: str = "a (b) c"
    ) -> None:
        place = self.proc / str(pid)
        place.mkdir(parents=True, exist_ok=True)
        ticks = round(cpu_s * TICKS)
        zeros = "0 " * 7
        (place / "stat").write_text(
            f"{pid} ({name}) R {parent} {session} {session} {zeros}{ticks} 0 0 0 20 0 1 0\n"
        )
