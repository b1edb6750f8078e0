"""A real control plane for these tests, a namespace each, and real Helm."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kubernetes.control_plane import (
    EXISTING,
    INSTALL,
    ControlPlane,
    give_up,
    installed,
    program,
    started_control_plane,
)

__all__ = ["ControlPlane", "started_control_plane"]


@pytest.fixture(scope="package")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One cluster for all tests here: with an audit log, without client limits, with the training operator if built.

    It is gone before the tests of the next folder, which may be sensitive to load. CLEANHOURS_TEST_KUBECONFIG
    names a cluster that is there already, on purpose, for those who have one.
    """
    folder = tmp_path_factory.mktemp("kubernetes")
    existing = os.environ.get(EXISTING)
    if existing:
        yield _existing(Path(existing), folder)
        return
    operator = ("-o",) if installed("-o") else ()
    with started_control_plane(folder, "-a", "-q", "500", *operator) as plane:
        yield plane


def _existing(kubeconfig: Path, folder: Path) -> ControlPlane:
    if not kubeconfig.is_file():
        pytest.fail(f"{EXISTING} is {kubeconfig}, which is not a file: it names a kubeconfig", pytrace=False)
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.fail(f"{EXISTING} is given, and kubectl is not in PATH", pytrace=False)
    plane = ControlPlane(folder, kubeconfig.resolve(), kubectl, owned=False)
    if not plane.get("nodes", "-l", "cleanhours.test/pretended=true")["items"]:
        join = f"{INSTALL.split()[0]} join DIR {kubeconfig}"
        pytest.fail(f"the cluster of {EXISTING} has no pretended nodes: {join}", pytrace=False)
    return plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that nobody used before, in which Pods are admitted; it goes away in its own time."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    try:
        control_plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
        yield name
    finally:
        control_plane.kubectl("delete", "namespace", name, "--wait=false", check=False)


@pytest.fixture
def training_operator(control_plane: ControlPlane) -> ControlPlane:
    """The shared cluster, where it runs Kubeflow's training operator."""
    if control_plane.owned and "-o" not in control_plane.options:
        give_up(f"the training operator is not installed: {INSTALL}")
    if not control_plane.kubectl("api-resources", "--api-group=kubeflow.org", "-o", "name"):
        give_up(f"the cluster of {EXISTING} serves no training operator", required=False)
    return control_plane


@pytest.fixture(scope="session")
def helm3() -> Path:
    return program("helm3")


@pytest.fixture(scope="session")
def helm4() -> Path:
    return program("helm4")
