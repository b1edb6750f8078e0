"""Real Slurm clusters for tests, in Python words: started, spoken to as an ordinary user, broken and cleared away."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal as signals
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, require_component

CLUSTER = Path(__file__).with_name("cluster")
INSTALL = "apt-get install --no-install-recommends slurmctld slurmd slurm-client"
INSTALL_ACCOUNTING = "apt-get install --no-install-recommends slurmdbd slurm-wlm-mysql-plugin mariadb-server-core mariadb-client-core"
USER = "games"
"""Who submits where the tests run as root: Slurm lets root do what no user may."""
_AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--")
_OTHERS = ("SLURM", "SBATCH", "SQUEUE", "SACCT", "SCONTROL", "CLEANHOURS", "XDG_", "PYTHONDONTWRITEBYTECODE")
"""What a caller's environment may say that is not the user's."""
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Site:
    """A Slurm cluster, and the folder of an ordinary user of it."""

    folder: Path
    config: Path
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        *command: str | Path,
        input: str | None = None,  # noqa: A002
        check: bool = True,
        timeout: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as an ordinary user, in his home. With `check` a failure fails the test, saying what was said."""
        done = subprocess.run(
            [*as_user(), *command],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.home,
            env={**self.variables, **(environment or {})},
        )
        if check and done.returncode != 0:
            pytest.fail(f"{command}: exit {done.returncode}\n{done.stderr}{done.stdout}")
        return done

    def start(
        self, *command: str | Path, environment: Mapping[str, str] | None = None, stdin: int | None = None
    ) -> subprocess.Popen[str]:
        """A command of the ordinary user that goes on by itself."""
        return subprocess.Popen(
            [*as_user(), *command],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env={**self.variables, **(environment or {})},
        )

    @property
    def variables(self) -> dict[str, str]:
        """An environment without anything of the caller's Slurm or of our settings."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
        return {
            **plain,
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "SLURM_CONF": str(self.config),
            "CLEANHOURS_PATIENCE": "30",  # as long as this machine needs: two seconds are not always enough
            **self.environment,
        }

    def cleanhours(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs our command line as the ordinary user; `options` are those of `run`."""
        return self.run(*self.words("cleanhours.__main__", "main"), *arguments, **options)

    def wrapper(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs `cleanhours-sbatch` as the ordinary user."""
        return self.run(*self.words("cleanhours.apps.sbatch", "main"), *arguments, **options)

    @staticmethod
    def words(module: str, function: str) -> tuple[str, ...]:
        """What runs a console script of ours."""
        program = (python() if as_user() else None) or sys.executable
        return (program, "-c", f"from {module} import {function}; {function}()")

    def settings(self, text: str) -> Path:
        """The user's settings file, where his commands find it."""
        path = self.home / "cleanhours.toml"
        path.write_text(text, "utf-8")
        path.chmod(0o644)
        return path

    def root(self, *command: str | Path, check: bool = True) -> str:
        """Runs a command as who runs Slurm here: its administrator."""
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=self.variables,
            cwd=self.folder,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{command}: exit {done.returncode}\n{done.stderr}{done.stdout}")
        return done.stdout

    def sbatch(self, *arguments: str | Path, script: str | None = None) -> str:
        """Submits without us; returns the job's id."""
        done = self.run("/usr/bin/sbatch", "--parsable", *arguments, input=script)
        return done.stdout.strip().partition(";")[0]

    def show(self, job: str) -> dict[str, str]:
        """One pending, running or just finished job: state, reason, start, partition, features, limit, comment."""
        letters = {
            "state": "%T", "reason": "%r", "start": "%S", "partition": "%P", "features": "%f", "limit": "%l",
            "submitted": "%V", "node": "%N", "comment": "%k",
        }  # fmt: skip
        found = self.root(
            "env", "SLURM_TIME_FORMAT=%s", "squeue", "-h", "-a", "-t", "all", "-j", job,
            "-o", _SEPARATOR.join(letters.values()), check=False,
        )  # fmt: skip
        values = found.rstrip("\n").split(_SEPARATOR, len(letters) - 1)
        return dict(zip(letters, values, strict=False)) if len(values) == len(letters) else {}

    def state(self, job: str) -> str:
        """`PENDING`, `RUNNING`, `COMPLETED`, …; empty when Slurm has forgotten it."""
        return self.show(job).get("state", "")

    def jobs(self) -> list[str]:
        """Every id that waits or runs."""
        return self.root("squeue", "-h", "-a", "-o", "%i").split()

    def pid(self, daemon: str) -> int:
        return int((self.folder / "run" / f"{daemon}.pid").read_text("utf-8"))

    def stop(self, daemon: str = "slurmctld", signal: signals.Signals = signals.SIGTERM) -> None:
        """Ends a daemon as a fault would."""
        pid = self.pid(daemon)
        os.kill(pid, signal)
        wait_until(lambda: not _alive(pid), f"{daemon} ends")

    def start_again(self, daemon: str = "slurmctld") -> None:
        subprocess.run([f"/usr/sbin/{daemon}", "-f", self.config], check=True, timeout=90, env=self.variables)
        wait_until(lambda: self.run("scontrol", "ping", check=False).returncode == 0, f"{daemon} answers")


@contextmanager
def started_site(*options: str, name: str = "alpha", beside: Site | None = None) -> Iterator[Site]:
    """A Slurm of one's own (`cluster` lists the options), cleared away whatever happens.

    Where it is not installed, the test is skipped, or fails under CLEANHOURS_REQUIRE_INTEGRATION=1.
    """
    require_component("slurmctld", INSTALL, (Path("/usr/sbin"),))
    require_component("sbatch", INSTALL)
    if "-a" in options:
        require_component("slurmdbd", INSTALL_ACCOUNTING, (Path("/usr/sbin"),))
        require_component("mariadbd", INSTALL_ACCOUNTING, (Path("/usr/sbin"),))
    # pytest's own folders are private to whoever runs it, and the user must get in
    folder = Path(tempfile.mkdtemp(prefix="cleanhours-slurm-", dir="/tmp"))
    folder.chmod(0o755)
    place = folder / "site"
    joined = ("-j", str(beside.folder)) if beside is not None else ()
    try:
        config = Path(_cluster("up", place, name, *options, *joined))
        home = folder / "home"
        home.mkdir(mode=0o700)
        if as_user():
            shutil.chown(home, USER, pwd.getpwnam(USER).pw_gid)
        yield Site(place, config, home)
    finally:
        _cluster("down", place)
        shutil.rmtree(folder, ignore_errors=True)


@cache
def as_user() -> Sequence[str]:
    """What turns a command into an ordinary user's.

    Nothing where the tests are no root's, or where only root may read them: then root is the user.
    """
    if os.getuid() != 0:
        return ()
    return _AS_USER if python() is not None else ()


@cache
def python() -> str | None:
    """A Python that the ordinary user may run and that finds us; None for none.

    A version manager of root's keeps its own to itself: then the system's, where it is the same version.
    """
    return next((program for program in (sys.executable, _borrowed()) if _runs(program)), None)


def _runs(program: str) -> bool:
    # by way of another program: what setpriv itself runs may still lie where only root may look
    command = [*_AS_USER, "/usr/bin/env", program, "-c", "import cleanhours_plugins, click, numpy"]
    return subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0


def _borrowed() -> str:
    """A virtual environment of the system's Python that has what ours has, until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="cleanhours-python-", dir="/tmp"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    system = f"/usr/bin/python3.{sys.version_info.minor}"
    with suppress(OSError, subprocess.CalledProcessError):
        subprocess.run([system, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
        packages = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        found = (sysconfig.get_path("purelib"), REPOSITORY / "scheduler", REPOSITORY / "plugins")
        (packages / "ours.pth").write_text("".join(f"{path}\n" for path in found))
    return str(folder / "bin" / "python")


def wait_until(true: Callable[[], object], what: str, patience_s: float = 30) -> None:
    """Looks every 50 ms; fails the test when it never comes true."""
    end = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.05)


def _cluster(action: str, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [CLUSTER, action, folder, *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=180,
        check=False,
    )
    assert 0 == done.returncode, f"{CLUSTER.relative_to(REPOSITORY)} {action}: {done.stderr}"
    return done.stdout.strip()


def _alive(pid: int) -> bool:
    """Running, and not a zombie that nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
