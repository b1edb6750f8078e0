"""A real Prometheus of our own on loopback, with the shipped configuration, asked as Grafana asks it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen  # noqa: TID251 - asks Prometheus, as a dashboard would

import yaml

from tests.conftest import REPOSITORY, require_component

HINT = "apt-get install --no-install-recommends prometheus"
SHIPPED = REPOSITORY / "deploy" / "prometheus"
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str

    def get(self, path: str, **parameters: Any) -> Any:
        """The data of an answer; raises HTTPError for every status that is not 200."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def ask(self, expression: str, at_s: float | None = None) -> list[dict[str, Any]]:
        """An instant query, now or at seconds since the epoch."""
        when = {} if at_s is None else {"time": at_s}
        result: list[dict[str, Any]] = self.get("query", query=expression, **when)["result"]
        return result

    def ask_range(self, expression: str, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        """A range query."""
        result: list[dict[str, Any]] = self.get(
            "query_range", query=expression, start=start_s, end=end_s, step=step_s
        )["result"]
        return result

    def label_values(self, selector: str, label: str) -> list[str]:
        """What Grafana makes of label_values(selector, label)."""
        values: list[str] = self.get(f"label/{label}/values", **{"match[]": selector})
        return values

    def number(self, expression: str) -> float:
        (sample,) = self.ask(expression)
        return float(sample["value"][1])

    def wait_for(self, expression: str) -> None:
        patiently(lambda: bool(self.ask(expression)), f"something for {expression}")

    def wait_until_ready(self) -> None:
        """Earlier it answers queries too, with nothing: its blocks are not read yet."""
        patiently(lambda: urlopen(f"{self.url}/-/ready", timeout=5).close() is None, "a Prometheus")


def patiently(seen: Callable[[], bool], what: str) -> None:
    """Looks again and again, generously long; a server that is not up yet is no fault."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with suppress(URLError, ConnectionError):
            if seen():
                return
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


def shipped_configuration(target: str) -> dict[str, Any]:
    """deploy/prometheus/prometheus.yaml with another target, in a hurry."""
    content: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yaml").read_text("utf-8"))
    content["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    content["rule_files"] = [str(SHIPPED / name) for name in content["rule_files"]]
    content["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    return content


@contextmanager
def started(folder: Path, configuration: Mapping[str, Any], *options: str) -> Iterator[Prometheus]:
    """A server on the data that lie in the folder, as long as the block runs."""
    program = require_component("prometheus", HINT)
    (folder / "prometheus.json").write_text(json.dumps(configuration), "utf-8")  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        str(program),
        f"--config.file={folder / 'prometheus.json'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *options,
    ]
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            running = Prometheus(f"http://127.0.0.1:{port}")
            running.wait_until_ready()
            yield running
        finally:
            process.terminate()  # and waited for: the block around it ends with the process


def promtool(*arguments: str) -> str:
    """What promtool says; fails where it finds fault."""
    program = require_component("promtool", HINT)
    done = subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    said = done.stdout + done.stderr
    assert 0 == done.returncode, said
    return said
