"""Where actors play: a namespace of a real API server with the kinds of one controller, and that controller, played or real.

A real one is used where `JOBSET_ASSETS`, `TRAINER_ASSETS`, `KUBERAY_ASSETS` or `KUEUE_ASSETS` names a folder with `run` (a
program that runs the controller in the foreground), `crds/*.yaml`, and, if it serves webhooks, `webhooks.yaml`. `run` is
given KUBECONFIG and, for its webhooks, PORT and CERTIFICATES (a folder with tls.crt and tls.key for 127.0.0.1).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from tests.integration.kubernetes.actors.actor import Actor, is_true, playing
from tests.integration.kubernetes.actors.jobset import JobSetActor
from tests.integration.kubernetes.actors.kuberay import KubeRayActor
from tests.integration.kubernetes.actors.kueue import KueueActor
from tests.integration.kubernetes.actors.server import Refused, Server
from tests.integration.kubernetes.actors.trainer import TrainerActor
from tests.integration.kubernetes.control_plane import EXISTING, ControlPlane, started_control_plane

CRDS: Final = Path(__file__).parent.parent / "crds"
PLAYED: Final = "played"
REAL: Final = "real"
Found = TypeVar("Found")


@dataclass(frozen=True)
class Play:
    """What one controller needs: the files with its kinds, and who plays it."""

    name: str
    kinds: tuple[str, ...]
    actors: tuple[Callable[[Server, str], Actor], ...]

    @property
    def variable(self) -> str:
        return f"{self.name.upper()}_ASSETS"


JOBSET: Final = Play("jobset", ("jobset",), (JobSetActor,))
TRAINER: Final = Play("trainer", ("jobset", "trainjob"), (TrainerActor, JobSetActor))
KUBERAY: Final = Play("kuberay", ("rayjob",), (KubeRayActor,))
KUEUE: Final = Play("kueue", ("kueue",), (KueueActor,))


@dataclass(frozen=True)
class Stage:
    """A namespace in which a controller works."""

    plane: ControlPlane
    server: Server
    namespace: str
    real: bool

    def path(self, api: str, plural: str, name: str = "") -> str:
        """Of an object or collection here, such as `("batch/v1", "jobs", "x")`; the core's api is `v1`."""
        root = f"/api/{api}" if "/" not in api else f"/apis/{api}"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def refused(self, path: str, patch: dict[str, Any]) -> Refused | None:
        """What the server answers to a patch that it is only asked about (dry run); None where it would take it."""
        try:
            self.server.patch(f"{path}?dryRun=All", patch)
        except Refused as refused:
            return refused
        return None


@contextmanager
def theatre(
    play: Play, mode: str, shared: Callable[[], ControlPlane], folder: Path
) -> Iterator[ControlPlane]:
    """A control plane that serves the kinds: the shared one with ours, or one for the real controller alone."""
    if mode == PLAYED:
        plane = shared()
        if not plane.owned:
            pytest.skip(
                f"brings kinds of its own, which is not done to a cluster that others run ({EXISTING})"
            )
        for name in play.kinds:
            plane.kubectl("apply", "--server-side", "-f", str(CRDS / f"{name}.yaml"))
        _await_kinds(plane)
        yield plane
        return
    named = os.environ.get(play.variable)
    if not named:
        pytest.skip(f"{play.variable} names no folder with the real {play.name} (run, crds/, webhooks.yaml)")
    assets = Path(named).resolve()
    with started_control_plane(folder, "-q", "500") as plane, _real(plane, assets, folder):
        yield plane


@contextmanager
def stage(play: Play, mode: str, plane: ControlPlane) -> Iterator[Stage]:
    """A namespace of its own, with the controller at work."""
    name = f"{play.name}-{secrets.token_hex(4)}"
    plane.kubectl("create", "namespace", name)
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    server = Server(plane.kubeconfig)
    actors = [actor(Server(plane.kubeconfig), name) for actor in play.actors] if mode == PLAYED else []
    try:
        with playing(*actors):
            yield Stage(plane, server, name, mode == REAL)
    finally:
        plane.kubectl("delete", "namespace", name, "--wait=false", check=False)


def wait_for(look: Callable[[], Found | None], seconds: float = 45) -> Found:
    """The first answer that is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return found


def _await_kinds(plane: ControlPlane) -> None:
    wait_for(
        lambda: all(is_true(one.get("status") or {}, "Established") for one in plane.get("crds")["items"])
    )


@contextmanager
def _real(plane: ControlPlane, assets: Path, folder: Path) -> Iterator[None]:
    plane.kubectl("apply", "--server-side", "-f", str(assets / "crds"))
    _await_kinds(plane)
    certificates = folder / "certificates"
    certificates.mkdir()
    _certify(certificates)
    port = _free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(plane.kubeconfig),
        "PORT": str(port),
        "CERTIFICATES": str(certificates),
    }
    with (folder / "controller.log").open("wb") as log:
        process = subprocess.Popen(
            [assets / "run"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
        try:
            if (assets / "webhooks.yaml").is_file():
                _serve_webhooks(plane, assets / "webhooks.yaml", port, certificates / "tls.crt", process)
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _serve_webhooks(
    plane: ControlPlane, manifests: Path, port: int, certificate: Path, process: subprocess.Popen[bytes]
) -> None:
    """As its manifests say, but by a URL on this machine: there is no network of Services here."""
    wait_for(lambda: process.poll() is not None or _listens(port), 60)
    assert process.poll() is None, f"the controller ended with {process.returncode}; see controller.log"
    rendered = plane.kubectl("create", "--dry-run=client", "-f", str(manifests), "-o", "json")
    decoder, rest = json.JSONDecoder(), rendered.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        rest = rest[end:].strip()
        for one in found["items"] if found["kind"] == "List" else [found]:
            for webhook in one["webhooks"]:
                service = webhook["clientConfig"].pop("service")
                webhook["clientConfig"] = {
                    "url": f"https://127.0.0.1:{port}{service.get('path', '')}",
                    "caBundle": b64encode(certificate.read_bytes()).decode(),
                }
            plane.apply(one)


def _certify(folder: Path) -> None:
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=webhooks -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
