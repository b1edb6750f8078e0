"""A real control plane full of held Jobs, and a real controller process on it whose time, memory and writes are known."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.times import format_instant, parse_instant
from cleanhours.http import Session
from tests.conftest import REPOSITORY
from tests.integration.kubernetes.control_plane import ControlPlane, installed, started_control_plane
from tests.integration.kubernetes.crowds import Object, Server, held_job, jobs_of

MIB = 2**20
NAMESPACE, ACCOUNT = "bench", "controller"
ZONES = {"de": "DE", "fr": "FR", "pl": "PL"}
SETTINGS = """
[clusters.k8s]
type = "kubernetes"
kubeconfig = "{kubeconfig}"
lease_namespace = "bench"
{pace}
[locations.de]
zone = "DE"
[locations.fr]
zone = "FR"
[locations.pl]
zone = "PL"
[planning]
safety = 1.0
tick = "2s"
[forecasts]
chain = ["csv:{grid}"]
[metrics]
listen = "127.0.0.1:{port}"
"""
UNPACED = "qps = 1000\nburst = 10000"
MALLOC = dict(
    re.findall(
        r"^ +(MALLOC_\w+)=(\d+)", (REPOSITORY / "deploy" / "Dockerfile").read_text("utf-8"), re.MULTILINE
    )
)
"""What the image tells the C library about memory."""


@dataclass(frozen=True)
class Write:
    """Something that the controller had written, as the API server noted it."""

    at: datetime
    verb: str
    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Process:
    """A controller."""

    pid: int
    folder: Path
    metrics_url: str
    spawned_s: float

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series of that name with these labels; 0 where nobody answers yet."""
        try:
            text = Session().get(self.metrics_url).text
        except Exception:  # noqa: BLE001 - it starts
            return 0.0
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        lines = [line for line in text.splitlines() if re.match(rf"{name}[{{ ]", line)]
        return sum(float(line.split()[-1]) for line in lines if all(one in line for one in wanted))

    def synced_s(self) -> float:
        """Seconds from its birth until it has seen all Jobs."""
        wait(lambda: self.metric("cleanhours_watch_relists_total", kind="jobs") >= 1, every_s=0.2)
        return time.monotonic() - self.spawned_s

    def memory(self) -> tuple[int, int]:
        return memory_of(str(self.pid))

    def processor_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ticks(self) -> list[tuple[float, int]]:
        """Of each so far: seconds, decisions."""
        path = self.folder / "ticks"
        rows = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
        return [(float(took), int(number)) for took, number in rows]


@dataclass(frozen=True)
class Site:
    plane: ControlPlane
    server: Server
    folder: Path
    kubeconfig: Path
    """The controller's own: its account is told apart in the audit log."""

    @contextmanager
    def controller(self, pace: str = "") -> Iterator[Process]:
        """A controller with a fresh state folder, from its birth; left as Kubernetes does it."""
        folder = Path(tempfile.mkdtemp(prefix="controller-", dir=self.folder))
        port = free_port()
        grid = self.folder / "grid.csv"
        settings = SETTINGS.format(kubeconfig=self.kubeconfig, pace=pace, grid=grid, port=port)
        (folder / "cleanhours.toml").write_text(settings, "utf-8")
        command = [sys.executable, "-m", "tests.benchmarks.kubernetes_controller", str(folder / "state")]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("CLEANHOURS_")}
        environment |= {"PYTHONPATH": str(Path.cwd()), "HOME": str(folder), "NO_COLOR": "1"}
        environment |= MALLOC
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield Process(process.pid, folder, f"http://127.0.0.1:{port}/metrics", time.monotonic())
            if process.poll() is not None:
                raise ChildProcessError((folder / "log").read_text()[-2000:])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)

    def writes(self, namespace: str = "") -> list[Write]:
        """What the controller's account had written, in a namespace or everywhere, without its Lease."""
        user = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
        found = []
        with self.plane.audit_log.open(encoding="utf-8") as lines:
            for line in lines:
                if user not in line or namespace not in line:
                    continue
                entry = json.loads(line)
                ref = entry.get("objectRef") or {}
                if entry["verb"] in ("get", "list", "watch") or ref.get("resource") in (None, "leases"):
                    continue
                if entry["responseStatus"]["code"] < 300 and namespace in ("", ref.get("namespace")):
                    at = parse_instant(entry["requestReceivedTimestamp"])
                    found.append(
                        Write(at, entry["verb"], ref["resource"], ref["namespace"], ref.get("name", ""))
                    )
        return found

    def writes_by_job(self, namespace: str) -> Mapping[str, list[Write]]:
        """Of each Job of a namespace: patches, and Events, which are named after it."""
        found: dict[str, list[Write]] = defaultdict(list)
        for write in self.writes(namespace):
            found[write.name.partition(".")[0]].append(write)
        return found

    def namespace(self, name: str) -> None:
        self.plane.kubectl("create", "namespace", name)
        self.plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")

    def fill(self, jobs: int) -> float:
        """Creates so many Jobs that wait for hours, until the server has done its part; returns how many a second."""
        per_second = jobs / self.server.create_all(NAMESPACE, fleet(jobs), threads=16)
        wait(
            lambda: all(job["status"].get("conditions") for job in self.server.items(jobs_of(NAMESPACE))),
            900,
            10,
        )
        wait_until(now() + timedelta(seconds=20))
        return per_second


@contextmanager
def a_site() -> Iterator[Site | None]:
    """A control plane without client limits, with an audit log; None where it is not installed."""
    if not installed():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="cleanhours-bench-") as name:
        folder = Path(name)
        write_grid(folder / "grid.csv")
        with started_control_plane(folder, "-a", "-q", "500") as plane:
            plane.kubectl("create", "namespace", NAMESPACE)
            account = {"name": ACCOUNT, "namespace": NAMESPACE}
            binding = {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "bench"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", **account}],
            }  # fmt: skip
            plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}, binding)
            way = plane.kubeconfig_for(ACCOUNT, NAMESPACE)
            yield Site(plane, Server(plane.kubeconfig, threads=16), folder, way)


def fleet(jobs: int) -> list[Object]:
    """70 % that cannot pause, 25 % that can at no cost, 5 % that lose five minutes; some go anywhere. None is due soon."""
    dice = random.Random(6)
    made = []
    start = now()
    for number in range(jobs):
        kind = dice.random()
        minutes = dice.randint(15, 480)
        slack = timedelta(minutes=minutes + dice.randint(240, 1440))
        wishes = {"deadline": format_instant(start + slack), "duration": f"{minutes}m", "power": "1000W"}
        if kind >= 0.7:
            wishes["interruptible"] = "true"
        if kind >= 0.95:
            wishes["checkpoint"] = "5m"
        if dice.random() < 0.5:
            wishes["locations"] = "de,fr,pl"
        made.append(held_job(f"job-{number}", wishes, cpu="20m"))
    return made


def write_grid(path: Path) -> None:
    """Two days by quarter hours; the first two hours are the dirtiest, so that none starts while we measure."""
    dice = random.Random(5)
    start = now().replace(minute=0, second=0)
    rows = [",".join(["time", *ZONES.values()])]
    levels = [250.0, 200.0, 400.0]
    for quarter in range(4 * 48):
        levels = [min(max(level + dice.gauss(0, 9), 20), 600) for level in levels]
        shown = [900.0] * len(levels) if quarter < 12 else levels
        stamp = format_instant(start + quarter * timedelta(minutes=15))
        rows.append(",".join([stamp, *(f"{level:.1f}" for level in shown)]))
    path.write_text("\n".join([*rows, ""]), "utf-8")


def memory_of(pid: str) -> tuple[int, int]:
    """Bytes that a process has in memory now, and had at most."""
    text = Path(f"/proc/{pid}/status").read_text()
    now_kib, most_kib = (
        int(re.findall(rf"^{key}:\s+(\d+)", text, re.MULTILINE)[0]) for key in ("VmRSS", "VmHWM")
    )
    return now_kib * 1024, most_kib * 1024


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def now() -> datetime:
    return SystemClock().now().replace(microsecond=0)


def wait(condition: Callable[[], bool], seconds: float = 300.0, every_s: float = 0.5) -> None:
    """Looks again and again, seldom enough not to be what is measured."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(every_s)


def wait_until(instant: datetime) -> None:
    wait(lambda: now() >= instant, 3600)
