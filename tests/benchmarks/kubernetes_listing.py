"""One full list of Jobs in a process of its own, as records or as typed models: python -m … records|typed KUBECONFIG; tells JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cleanhours.apps.garbage import collect_seldom
from tests.benchmarks.kubernetes_site import MIB, memory_of


@dataclass(frozen=True)
class Listing:
    """What a list cost. Memory is above what the process had with all its libraries loaded."""

    jobs: int
    cpu_s: float
    kept_mib: float
    peak_mib: float


def measured(how: str, kubeconfig: Path) -> Listing:
    """The list, made in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.kubernetes_listing", how, str(kubeconfig)]
    done = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return Listing(**json.loads(done.stdout))


def main(how: str, kubeconfig: Path) -> Listing:
    collect_seldom()  # as the controller does
    ready = {"records": _records, "typed": _typed}[how](kubeconfig)
    before, _ = memory_of("self")
    begun_s = time.process_time()
    kept = ready()
    cpu_s = time.process_time() - begun_s
    after, peak = memory_of("self")
    return Listing(len(kept), cpu_s, (after - before) / MIB, (peak - before) / MIB)


def _records(kubeconfig: Path) -> Callable[[], list[Any]]:
    """As the controller does it: pages of raw JSON, of which slim records are kept."""
    from cleanhours_plugins.clusters.kubernetes.api import connect
    from cleanhours_plugins.clusters.kubernetes.kinds import KINDS
    from cleanhours_plugins.clusters.kubernetes.reading import read
    from cleanhours_plugins.clusters.kubernetes.watching import Reflector

    (kind,) = (one for one in KINDS if one.plural == "jobs" and one.api_version == "batch/v1")
    api = connect(kubeconfig)
    api.get("/version")
    reflector = Reflector(api, "/apis/batch/v1/jobs", partial(read, kind), kind="jobs")

    def act() -> list[Any]:
        reflector.once()
        return reflector.records()

    return act


def _typed(kubeconfig: Path) -> Callable[[], list[Any]]:
    """As the library's documentation shows it."""
    from kubernetes import client, config

    library: Any = config
    library.load_kube_config(config_file=str(kubeconfig))
    client.VersionApi().get_code()
    batch = client.BatchV1Api()
    return lambda: list(batch.list_job_for_all_namespaces().items)


if __name__ == "__main__":
    listing = main(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(json.dumps(vars(listing)))
