"""Draws each shipped dashboard: fills a Prometheus, serves the page, and lets Chromium photograph it."""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final

from tests.integration.prometheus.server import started
from tools.dashboards_preview.history import LOOKING_BACK, fill

HERE: Final = Path(__file__).resolve().parent
REPOSITORY: Final = HERE.parent.parent
DASHBOARDS: Final = REPOSITORY / "helm" / "cleanhours" / "dashboards"
PICTURES: Final = REPOSITORY / "docs" / "pictures"
BUNDLING: Final = (
    "--bundle", "--minify", "--format=esm", "--jsx=automatic", "--loader:.svg=dataurl", "--loader:.ttf=dataurl",
    "--define:global=window", '--define:process.env.NODE_ENV="production"',
)  # fmt: skip
AT: Final = time(14, 20, tzinfo=UTC)
"""The time of day at which the pictures end: then there is much to see."""
WIDTH_PX: Final = 1400
ROW_PX: Final = 38
AROUND_PX: Final = 44


def main(argv: Sequence[str]) -> int:
    """Everything in one folder, which may be kept and used again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", type=Path, help="the folder where `npm install` put node_modules")
    parser.add_argument("--chromium", default="chromium", help="the browser")
    parser.add_argument(
        "--data", type=Path, help="a folder for the data; what it holds from before is used again"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "page"
        _bundle(arguments.modules, page)
        data = arguments.data or Path(scratch) / "data"
        now = _filled(data)
        with started(data, {}, LOOKING_BACK) as prometheus, _serving(page) as address:
            for dashboard in sorted(DASHBOARDS.glob("*.json")):
                shutil.copy(dashboard, page)
                picture = PICTURES / f"{dashboard.stem}.png"
                question = f"dashboard={dashboard.stem}&prometheus={prometheus.url}&now={now}"
                _photograph(
                    arguments.chromium, f"{address}/page.html?{question}", picture, _height_px(dashboard)
                )
                print(f"{picture.relative_to(REPOSITORY)}: {picture.stat().st_size // 1000} kB")
    return 0


def _bundle(modules: Path, page: Path) -> None:
    page.mkdir()
    shutil.copy(HERE / "page.html", page)
    source = modules / "panels.jsx"  # beside node_modules: esbuild looks for packages from there upwards
    shutil.copy(HERE / "panels.jsx", source)
    esbuild = modules / "node_modules" / ".bin" / "esbuild"
    subprocess.run([esbuild, source, *BUNDLING, f"--outfile={page / 'panels.js'}"], check=True)


def _filled(data: Path) -> int:
    """The instant up to which the folder is filled, in seconds since the epoch."""
    known = data / "now"
    if not known.is_file():
        data.mkdir(parents=True, exist_ok=True)
        now = datetime.combine(datetime.now(UTC), AT)
        if now > datetime.now(UTC):
            now -= timedelta(days=1)
        fill(data, now)
        known.write_text(f"{now.timestamp():.0f}", "utf-8")
    return int(known.read_text("utf-8"))


@contextmanager
def _serving(page: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    handler = functools.partial(Quiet, directory=str(page))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _height_px(dashboard: Path) -> int:
    places = [panel["gridPos"] for panel in json.loads(dashboard.read_text("utf-8"))["panels"]]
    rows: int = max(place["y"] + place["h"] for place in places)
    return AROUND_PX + ROW_PX * rows


def _photograph(chromium: str, address: str, picture: Path, height_px: int) -> None:
    picture.parent.mkdir(exist_ok=True)
    options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=20000")
    size = f"--window-size={WIDTH_PX},{height_px}"
    command = [chromium, *options, size, f"--screenshot={picture}", address]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
