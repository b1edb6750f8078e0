"""The whole product at work in one namespace: a real `cleanhours controller`, a grid that changes by the second, and its owners."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import format_instant
from cleanhours.http import Session
from cleanhours_plugins.clusters.kubernetes import build, words
from tests.flow.command_line import Shell
from tests.integration.kubernetes.control_plane import ControlPlane
from tests.integration.kubernetes.worlds import Surroundings, World, wait

DIRTY, CLEAN, CLEANER = 500.0, 50.0, 20.0
BEFORE_S = 300
"""Since when the first value holds: runs are compared with a start at their submission."""
SETTINGS = """
[clusters.k8s]
type = "kubernetes"
kubeconfig = "{kubeconfig}"
watch_namespaces = [{namespaces}]
lease_namespace = "{namespace}"
kinds = ["jobs", "pods"]
queue_margin = "{margin}"
{more}
[locations.de]
zone = "DE"
[locations.fr]
zone = "FR"
[planning]
safety = 1.0
queue_margin = "0s"
minimum_saving_percent = 0
tick = "1s"
[forecasts]
chain = ["csv:{grid}"]
[metrics]
listen = "127.0.0.1:0"
"""


@dataclass(frozen=True)
class Running:
    """A controller process, and where it says what it does."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8")

    def metrics(self) -> str:
        """What Prometheus would be told now."""
        (url,) = re.findall(r"controlling; metrics (\S+)", self.said)
        return Session().get(url).text

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series of that name with these labels."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        lines = [line for line in self.metrics().splitlines() if re.match(rf"{name}[{{ ]", line)]
        return sum(float(line.split()[-1]) for line in lines if all(one in line for one in wanted))

    def leave(self) -> int:
        """Asks it to go (SIGTERM); its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)


@dataclass
class Product:
    """`owner` is the namespace as its owners and a bystander see it; nothing of it writes on its own."""

    owner: World
    folder: Path
    settings: str
    _running: list[Running] = field(default_factory=list)

    def shell(self, name: str = "first") -> Shell:
        """A machine with a state folder of its own, and the settings of all."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        return Shell(place, self.settings)

    def start(self, *flags: str, name: str = "first") -> Running:
        """A controller of that machine, once it controls."""
        shell = self.shell(name)
        log = shell.folder / "controller.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                shell.command("controller", *flags), cwd=shell.folder, env=shell.environment(),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        self._running.append(Running(process, log))
        wait(lambda: "controlling; metrics" in log.read_text("utf-8") or process.poll() is not None)
        assert process.poll() is None, log.read_text("utf-8")
        return self._running[-1]

    def settle(self, name: str = "first") -> dict[str, Any]:
        """The rows of the books by job, after a controller has looked in once more, which must find the lead free."""
        shell = self.shell(name)
        shell.run("controller", "--once")
        return {row["job"]: row for row in shell.json("report")["runs"]}

    def end(self) -> None:
        for one in self._running:
            if one.process.poll() is None:
                one.leave()

    # -- what is seen from outside ------------------------------------------------------------------------------

    def object(self, name: str, kind: str = "job") -> dict[str, Any]:
        return self.owner.plane.get(kind, name, "-n", self.owner.namespace)

    def planned(self, name: str, kind: str = "job") -> Plan:
        """The plan that the object wears, once it does."""

        def text() -> str:
            return str((self.object(name, kind)["metadata"].get("annotations") or {}).get(words.PLAN, ""))

        wait(lambda: bool(text()))
        return Plan.from_json(json.loads(text()))

    def finished(self, name: str, condition: str = "Complete") -> dict[str, Any]:
        """The Job, once it has ended so."""

        def conditions() -> set[str]:
            found = self.object(name)["status"].get("conditions") or ()
            return {one["type"] for one in found if one["status"] == "True"}

        wait(lambda: condition in conditions())
        return self.object(name)

    def told(self, job: str, reason: str) -> tuple[str, str]:
        """Type and note of the first Event of that reason on an object, once it is there."""

        def found() -> list[tuple[str, str]]:
            return [(kind, note) for kind, what, note in self.owner.events(job) if what == reason]

        wait(lambda: bool(found()))
        return found()[0]


def write_grid(path: Path, **zones: Sequence[float]) -> datetime:
    """What zones emit, second by second from now; says when that is.

    The first value was so for some minutes, and the last one stays for an hour.
    """
    start, length = now(), max(map(len, zones.values()))
    columns = [
        [*[values[0]] * BEFORE_S, *values, *[values[-1]] * (length - len(values) + 3600)]
        for values in zones.values()
    ]
    first = start - timedelta(seconds=BEFORE_S)
    rows = [
        ",".join([format_instant(first + timedelta(seconds=second)), *map(str, row)])
        for second, row in enumerate(zip(*columns, strict=True))
    ]
    path.write_text("\n".join([",".join(["time", *zones]), *rows, ""]), "utf-8")
    return start


def now() -> datetime:
    return SystemClock().now().replace(microsecond=0)


@contextmanager
def a_product(
    plane: ControlPlane,
    namespace: str,
    folder: Path,
    *,
    margin: str = "0s",
    also: Sequence[str] = (),
    more: str = "",
) -> Iterator[Product]:
    """In a namespace (and `also` watched ones), with the grid of `folder/grid.csv`; no controller yet."""
    context = Surroundings(folder)
    table: Mapping[str, Any] = {
        "type": "kubernetes", "name": "k8s", "kubeconfig": str(plane.kubeconfig),
        "watch_namespaces": [namespace, *also], "lease_namespace": namespace, "kinds": ["jobs", "pods"],
    }  # fmt: skip
    settings = SETTINGS.format(
        kubeconfig=plane.kubeconfig,
        namespace=namespace,
        namespaces=", ".join(f'"{one}"' for one in (namespace, *also)),
        margin=margin,
        more=more,
        grid=folder / "grid.csv",
    )
    product = Product(World(plane, namespace, context, build(table, context)), folder, settings)
    try:
        yield product
    finally:
        product.end()
