"""What the tests of forecast plugins stand on: a context with a clock, files, and a stand-in for NESO's service."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from cleanhours.ports import Context
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.forecasts.csv import CsvForecasts, build

SLOT = timedelta(minutes=30)


def context(clock: FakeClock) -> Context:
    """As much of a context as a forecast plugin uses."""
    return cast("Context", SimpleNamespace(clock=clock))


def value_at(start: datetime) -> int:
    """What the stand-in forecasts for a half hour; what really was is 10 more."""
    return 100 + (start.hour * 2 + start.minute // 30) % 48


class Neso:
    """Answers like api.carbonintensity.org.uk, with its quirks; `answers` are given out first, `asked` keeps the paths.

    Quirks: a `from` on a border is answered with the half hour before it; regions come as an object within `data` and
    have no actuals; both ends of a range are included.
    """

    def __init__(self, clock: FakeClock, horizon: timedelta = timedelta(hours=48)) -> None:
        self.clock = clock
        self.horizon = horizon
        self.answers: list[tuple[int, str]] = []
        self.asked: list[str] = []
        self.silent: threading.Event | None = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service.asked.append(self.path)
                if service.silent is not None:
                    service.silent.wait(30)
                    self.close_connection = True
                    return
                status, text = service.answers.pop(0) if service.answers else service.answer(self.path)
                body = text.encode()
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        if self.silent is not None:
            self.silent.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, path: str) -> tuple[int, str]:
        asked = re.fullmatch(
            r"(/regional)?/intensity/([^/]+)/(fw48h|[^/]+Z)(?:/(regionid|postcode)/(\w+))?", path
        )
        if asked is None:
            return 404, "Not Found"
        regional, start, rest, kind, place = asked.groups()
        first = datetime.strptime(start, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        last = (
            first + timedelta(hours=48)
            if rest == "fw48h"
            else datetime.strptime(rest, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        )
        if last - first > timedelta(days=14):
            return 400, json.dumps({"error": {"code": "400 Bad Request", "message": "14 days at most"}})
        if kind == "postcode" and place not in ("RG10", "SW1A"):
            return 200, ""
        rows = self.rows(first, last, actuals=not regional)
        if regional:
            return 200, json.dumps({"data": {"regionid": place, "shortname": "x", "data": rows}})
        return 200, json.dumps({"data": rows})

    def rows(self, first: datetime, last: datetime, *, actuals: bool) -> list[dict[str, Any]]:
        start = first.replace(minute=first.minute // 30 * 30)
        if start == first:  # the quirk: a border belongs to the half hour before it
            start -= SLOT
        found = []
        while start <= last and start < self.clock.now() + self.horizon:
            intensity: dict[str, Any] = {"forecast": value_at(start), "index": "moderate"}
            if actuals:
                over = start + SLOT <= self.clock.now()
                intensity["actual"] = value_at(start) + 10 if over else None
            found.append({"from": _spelled(start), "to": _spelled(start + SLOT), "intensity": intensity})
            start += SLOT
        return found


def _spelled(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%MZ")


NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Desk:
    """Writes files and opens them as sources."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW)
        self.path = folder / "file.csv"

    def source(self, content: str | bytes, **settings: str) -> CsvForecasts:
        data = content.encode() if isinstance(content, str) else content
        self.path.write_bytes(data)
        return build({"path": str(self.path), **settings}, context(self.clock))

    def values(self, content: str | bytes, zone: str = "GB", **settings: str) -> list[float]:
        series = self.source(content, **settings).forecast(zone, NOW, NOW + timedelta(days=1))
        return [float(value) for value in series.g_per_kwh]


def plain(*values: object, header: str = "time,intensity", step: timedelta = HOUR) -> str:
    rows = [f"{(NOW + i * step).strftime('%Y-%m-%dT%H:%M:%SZ')},{value}" for i, value in enumerate(values)]
    return "\n".join([header, *rows, ""])


def local(*stamps: str) -> str:
    return "\n".join(["time,intensity", *(f"{stamp},{i}" for i, stamp in enumerate(stamps))])
