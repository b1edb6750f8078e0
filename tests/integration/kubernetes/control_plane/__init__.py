"""Real Kubernetes control planes for tests, in Python words: started, spoken to, broken and cleared away."""

from __future__ import annotations

import json
import os
import signal as signals
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

CLUSTER = Path(__file__).with_name("cluster")
INSTALL = f"{CLUSTER.relative_to(REPOSITORY)} install -o -t"
EXISTING = "CLEANHOURS_TEST_KUBECONFIG"


@dataclass(frozen=True)
class ControlPlane:
    """A Kubernetes API, and what started it.

    Where `owned` is false somebody else's cluster was named on purpose: its servers are not stopped.
    """

    folder: Path
    kubeconfig: Path
    kubectl_program: str
    options: tuple[str, ...] = ()
    owned: bool = True

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002
        check: bool = True,
        timeout: float = 60,
    ) -> str:
        """Run kubectl as administrator, with `input` as its standard input; return its standard output.

        With `check` a failure fails the test, saying what kubectl said; without it, standard error comes after
        standard output, whatever the outcome.
        """
        # the cache is this cluster's: the one at home is named by address, and ports are used again
        own = (f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.folder / 'cache'}")
        done = subprocess.run(
            [self.kubectl_program, *own, *arguments],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if not check:
            return done.stdout + done.stderr
        if done.returncode != 0:
            pytest.fail(f"kubectl {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}{done.stdout}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """One object, or a list of them, as `kubectl get ARGUMENTS -o json` tells it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: dict[str, Any], check: bool = True) -> str:
        """Create or change objects; return what kubectl says."""
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        return self.kubectl("apply", "-f", "-", input=content, check=check)

    def token(self, service_account: str, namespace: str) -> str:
        """A token of an hour, which acts as that ServiceAccount: its RBAC holds."""
        return self.kubectl("create", "token", service_account, "-n", namespace, "--duration=1h").strip()

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig file (JSON, which is YAML) with such a token; the ServiceAccount's namespace is its default."""
        told = json.loads(self.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json"))
        user = {"name": service_account, "user": {"token": self.token(service_account, namespace)}}
        context = {
            "cluster": told["clusters"][0]["name"],
            "user": service_account,
            "namespace": namespace,
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": told["clusters"],
            "users": [user],
            "contexts": [{"name": service_account, "context": context}],
            "current-context": service_account,
        }
        path = self.folder / "accounts" / namespace / service_account
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(json.dumps(config), "utf-8")
        return path

    @property
    def server(self) -> str:
        """The API's URL."""
        told = json.loads(self.kubectl("config", "view", "--minify", "-o", "json"))
        return str(told["clusters"][0]["cluster"]["server"])

    @property
    def audit_log(self) -> Path:
        """Each request as a JSON line: user, verb, resource, user agent."""
        if "-a" not in self.options:
            pytest.skip(f"a cluster that others run writes no audit log for us ({EXISTING})")
        return self.folder / "log" / "audit.log"

    def stop(self, server: str, signal: str = "TERM") -> None:
        """Stop one server as a fault would; `signal` is TERM, KILL …"""
        self._change("stop", server, signal)

    def start(self, server: str) -> None:
        """Start a stopped server again, and wait until it answers."""
        self._change("start", server)

    def freeze(self, server: str) -> None:
        """Let a server hang: connections stay open, nothing is answered, until `thaw`."""
        os.kill(self.pid(server), signals.SIGSTOP)

    def thaw(self, server: str) -> None:
        os.kill(self.pid(server), signals.SIGCONT)

    def pid(self, server: str) -> int:
        self._must_be_owned()
        return int((self.folder / "run" / f"{server}.pid").read_text("utf-8"))

    def _change(self, action: str, *words: str) -> None:
        self._must_be_owned()
        run_cluster(action, self.folder, *words)

    def _must_be_owned(self) -> None:
        if not self.owned:
            pytest.skip(f"stops servers, which is not done to a cluster that others run ({EXISTING})")


@contextmanager
def started_control_plane(folder: Path, *options: str) -> Iterator[ControlPlane]:
    """A control plane of one's own, under `folder`: for tests that break it or need `options` of `cluster up`.

    It is cleared away whatever happens: here, or, when this process dies, by the keeper that watches it.
    Where the servers are missing, the test is skipped, or fails under CLEANHOURS_REQUIRE_INTEGRATION=1 (a
    version other than the default one is never required).
    """
    required = "-v" not in options
    place = Path(tempfile.mkdtemp(prefix="cluster-", dir=folder))
    try:
        kubeconfig = run_cluster("up", place, *options, "-w", str(os.getpid()), required=required)
        servers = Path((place / "bin").read_text("utf-8").strip())
        yield ControlPlane(place, Path(kubeconfig), str(servers / "kubectl"), options)
    finally:
        run_cluster("down", place)


def run_cluster(action: str, folder: Path, *words: str, required: bool = True) -> str:
    """Run the script `cluster`; return what it prints."""
    done = subprocess.run(
        [CLUSTER, action, folder, *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=180,
        check=False,
    )
    if done.returncode != 0 and "is not installed: " in done.stderr:
        give_up(done.stderr.strip(), required=required)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def installed(*options: str) -> bool:
    """Whether `cluster install OPTIONS` would have nothing to build."""
    return subprocess.run([CLUSTER, "installed", *options], capture_output=True, check=False).returncode == 0


def program(name: str) -> Path:
    """One of the programs that were installed: helm3, helm4, kubectl …; no cluster has to run for it."""
    done = subprocess.run([CLUSTER, "path", name], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip())
    if not os.access(path, os.X_OK):
        give_up(f"{name} is not installed: {INSTALL}")
    return path


def give_up(reason: str, *, required: bool = True) -> None:
    """Skip the test for want of a component, or fail it where everything must be there."""
    if required and os.environ.get("CLEANHOURS_REQUIRE_INTEGRATION") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
