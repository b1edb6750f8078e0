"""What the chart grants is what the product uses: a whole life under the chart's own accounts, and the API server's audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cleanhours_plugins.clusters.kubernetes import build, words
from tests.flow.command_line import Shell
from tests.integration.kubernetes.chart import Helm, Object, granted_rows, is_hook
from tests.integration.kubernetes.control_plane import ControlPlane
from tests.integration.kubernetes.product import CLEAN, DIRTY, Product, write_grid
from tests.integration.kubernetes.releases import LASTING, Release, admission_of, installed
from tests.integration.kubernetes.worlds import Surroundings, World, wait

pytestmark = pytest.mark.integration

Right = tuple[str, str, str]
"""API group, resource (`jobs/status`), verb."""

OPTIONS: Final = (
    *LASTING, "--set", "admission.mode=policy,home=de,locations.de.zone=DE,locations.fr.zone=FR",
)  # fmt: skip
SETTINGS: Final = """
[clusters.k8s]
type = "kubernetes"
kubeconfig = "{kubeconfig}"
watch_namespaces = ["{namespace}"]
lease = "{lease}"
lease_namespace = "{home}"
queue_margin = "0s"
[locations.de]
zone = "DE"
[locations.fr]
zone = "FR"
[planning]
safety = 1.0
queue_margin = "0s"
minimum_saving_percent = 0
tick = "1s"
[forecasts]
chain = ["csv:{grid}"]
[metrics]
listen = "127.0.0.1:0"
"""

KINDS: Final = {
    "jobset.x-k8s.io", "kubeflow.org", "trainer.kubeflow.org", "ray.io", "kueue.x-k8s.io",
}  # fmt: skip
"""Served by nobody here: their rows are used in test_kinds_in_the_adapter and test_kueue_in_the_adapter."""
UNUSED: Final[dict[Right, str]] = {
    ("batch", "jobs/status", "patch"): "servers before 1.36 take a new place after startTime is cleared (test_relocation)",
    ("batch", "jobs", "get"): "a write that met a conflict reads again (test_refused_writes)",
    ("", "persistentvolumes", "get"): "a claim that is bound ties a job to a zone (test_volumes)",
}  # fmt: skip
"""Granted and not used in this life, each with the feature that needs it and the test that shows it."""


@pytest.fixture
def release(control_plane: ControlPlane, helm3: Path, tmp_path: Path) -> Iterator[Release]:
    helm = Helm(helm3, tmp_path, control_plane.kubeconfig)
    with installed(control_plane, helm, *OPTIONS) as release:
        yield release


@pytest.fixture
def product(
    control_plane: ControlPlane, release: Release, namespace: str, tmp_path: Path
) -> Iterator[Product]:
    """The controller with the token of the chart's ServiceAccount; its owners are administrators."""
    folder = tmp_path / "product"
    folder.mkdir()
    context = Surroundings(folder)
    table = {"type": "kubernetes", "name": "k8s", "kubeconfig": str(control_plane.kubeconfig)}
    settings = SETTINGS.format(
        kubeconfig=control_plane.kubeconfig_for(release.controller, release.namespace),
        namespace=namespace, home=release.namespace, lease=release.controller, grid=folder / "grid.csv",
    )  # fmt: skip
    product = Product(World(control_plane, namespace, context, build(table, context)), folder, settings)
    try:
        yield product
    finally:
        product.end()


def test_every_right_is_used_or_named_and_nothing_is_asked_for_in_vain(
    control_plane: ControlPlane, release: Release, product: Product, tmp_path: Path
) -> None:
    live(product)
    dead_man(control_plane, release, product, tmp_path)
    last_word(control_plane, release, product, tmp_path)

    objects = release.objects()
    granted = {(row.account, row.group, row.resource, row.verb) for row in granted_rows(objects)}
    used, refused = seen(control_plane, release)
    assert set() == refused
    assert used <= granted
    idle = {row[1:] for row in granted - used if row[0] == release.controller and row[1] not in KINDS}
    assert set(UNUSED) == idle


def live(product: Product) -> None:
    """A Job that starts elsewhere, one that is paused and resumed, a CronJob's child, and one with a volume."""
    owner = product.owner
    wait(lambda: {"held", "refused"} == admission_of(owner.plane, owner.namespace))
    write_grid(
        product.folder / "grid.csv",
        DE=[DIRTY] * 14 + [CLEAN] * 5 + [DIRTY] * 10 + [CLEAN] * 10 + [DIRTY], FR=[DIRTY] * 8 + [CLEAN] * 60 + [DIRTY],
    )  # fmt: skip
    unheld = {"mark": None, "suspend": False}
    usual = {"max-delay": "2m", "duration": "4s", "power": "1000W"}
    owner.apply("away", "2s", {**usual, "locations": "de,fr"}, **unheld)  # type: ignore[arg-type]
    owner.apply("rests", "8s", {**usual, "duration": "10s", "interruptible": "true"}, **unheld)  # type: ignore[arg-type]
    volume = [{"name": "data", "persistentVolumeClaim": {"claimName": "nobodys"}}]
    owner.apply("stored", "1s", usual, pod_spec={"volumes": volume}, **unheld)  # type: ignore[arg-type]
    cron = {
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "hourly", "namespace": owner.namespace},
        "spec": {
            "schedule": "0 * * * *",
            "jobTemplate": {
                "metadata": {"annotations": {words.PREFIX + "max-delay": "1m", words.PREFIX + "duration": "2s"}},
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]}}},
            },
        },
    }  # fmt: skip
    owner.plane.apply(cron)
    owner.plane.kubectl("create", "job", "child", "--from=cronjob/hourly", "-n", owner.namespace)
    assert words.Mark.HELD == owner.annotations("away")[words.STATE]
    running = product.start()
    wait(lambda: owner.annotations("rests").get(words.STATE) == words.Mark.PAUSED.value)
    for name in ("away", "child", "rests"):
        product.finished(name)
    assert 0 == running.leave()


def dead_man(plane: ControlPlane, release: Release, product: Product, folder: Path) -> None:
    """A held Job that nobody plans falls due, under the account of the chart's CronJob."""
    held(product, "overdue")
    account = f"{release.controller}-release-overdue"
    config = plane.kubeconfig_for(account, release.namespace)
    told = Shell(folder, "").run(
        "release-overdue", "--kubeconfig", str(config), "--every", "10h", "--grace", "0s"
    )
    assert "overdue" in told.stdout


def last_word(plane: ControlPlane, release: Release, product: Product, folder: Path) -> None:
    """What the uninstaller's hook would run, under the account that comes with it."""
    held(product, "left")
    for one in release.objects():
        if is_hook(one) and one["kind"] in {
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "Role",
            "RoleBinding",
        }:
            plane.apply(in_namespace(one, release.namespace))
    config = plane.kubeconfig_for(f"{release.controller}-release-all", release.namespace)
    lease = ("--lease", release.controller, "--lease-namespace", release.namespace)
    told = Shell(folder, "").run("release-all", "--kubeconfig", str(config), *lease)
    assert "left" in told.stdout


def held(product: Product, name: str) -> None:
    product.owner.apply(name, "1s", {"max-delay": "5h"}, mark=None, suspend=False)
    assert words.Mark.HELD == product.owner.annotations(name)[words.STATE]


def in_namespace(one: Object, namespace: str) -> Object:
    bare = {key: value for key, value in one["metadata"].items() if key != "annotations"}
    if not one["kind"].startswith("Cluster"):
        bare = {"namespace": namespace, **bare}
    return {**one, "metadata": bare}


def seen(plane: ControlPlane, release: Release) -> tuple[set[tuple[str, str, str, str]], set[str]]:
    """What the release's accounts did, as (account, group, resource, verb), and what they were refused for want of a right."""
    prefix = f"system:serviceaccount:{release.namespace}:"
    used: set[tuple[str, str, str, str]] = set()
    refused: set[str] = set()
    for line in plane.audit_log.read_text("utf-8").splitlines():
        event = json.loads(line)
        user, what = event["user"].get("username", ""), event.get("objectRef")
        if not user.startswith(prefix) or what is None or "resource" not in what:
            continue
        resource = "/".join(part for part in (what["resource"], what.get("subresource")) if part)
        used.add((user.removeprefix(prefix), what.get("apiGroup", ""), resource, event["verb"]))
        if event.get("responseStatus", {}).get("code") == 403:
            refused.add(f"{user} {event['verb']} {resource}")
    return used, refused
