"""A real Prometheus over a past that was written for it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen  # noqa: TID251 - asks Prometheus whether it is ready

from tests.conftest import require_component

HINT = "apt-get install --no-install-recommends prometheus"
PATIENCE_S = 60.0

Line = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
"""Labels of a series, and its samples: seconds since 1970, value."""


def openmetrics(families: Mapping[str, Sequence[Line]]) -> str:
    """The text from which promtool makes blocks; metrics that end in `_total` are counters."""
    rows: list[str] = []
    for metric, series in families.items():
        kind = "counter" if metric.endswith("_total") else "gauge"
        rows.append(f"# TYPE {metric.removesuffix('_total') if kind == 'counter' else metric} {kind}")
        for labels, samples in series:
            told = ",".join(f'{name}="{value}"' for name, value in labels.items())
            rows += [f"{metric}{{{told}}} {value!r} {at:.3f}" for at, value in samples]
    return "\n".join([*rows, "# EOF", ""])


@contextmanager
def prometheus(folder: Path, families: Mapping[str, Sequence[Line]]) -> Iterator[str]:
    """Its address, when it is ready."""
    program = require_component("prometheus", HINT)
    promtool = require_component("promtool", HINT)
    (folder / "past.om").write_text(openmetrics(families), "utf-8")
    blocks = [
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--quiet",
        str(folder / "past.om"),
        str(folder / "data"),
    ]
    subprocess.run([str(promtool), *blocks], check=True, capture_output=True)
    (folder / "p.yml").write_text("{}", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        str(program),
        f"--config.file={folder / 'p.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            with urlopen(f"{url}/-/ready", timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"no Prometheus within {PATIENCE_S} s")
