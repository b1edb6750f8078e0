"""A real PostgreSQL that lives as long as the tests: its own folder, a Unix socket, no port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import require_component

HINT = "apt-get install postgresql"


@dataclass
class Postgres:
    """A running server."""

    folder: Path
    binaries: Path
    user: str | None
    numbers: Iterator[int] = field(default_factory=count)

    def new_database(self) -> str:
        """The URL of a database that nobody used before."""
        name = f"ledger_{next(self.numbers)}"
        self.run("createdb", "-h", str(self.folder), "-U", "cleanhours", name)
        return f"postgresql://cleanhours@/{name}?host={quote(str(self.folder))}"

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, user=self.user)

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", log, "-w", "start")


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Postgres]:
    """A server of our own; as root it runs as the user `postgres`, for it refuses to run as root."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    binaries = require_component("initdb", HINT, debian).resolve().parent
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path is at most 107 bytes long
    try:
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = Postgres(folder, binaries, user)
        server.run(
            "initdb", "-D", str(folder / "data"), "-U", "cleanhours", "-A", "trust", "-N", "-E", "UTF8"
        )
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
