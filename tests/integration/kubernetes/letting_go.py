"""A namespace with held jobs and no controller, and the commands that let them go, run as their CronJob or hook would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cleanhours.adapters.clock import StoppedClock, SystemClock
from cleanhours.adapters.settings import load_settings
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.plans import Plan, Reason
from cleanhours.ports import Clock
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.commands.release_all import release_all
from cleanhours_plugins.clusters.kubernetes.commands.release_overdue import release_overdue
from tests.integration.kubernetes.control_plane import ControlPlane
from tests.integration.kubernetes.worlds import wait


@dataclass
class Place:
    """The namespace; what is applied here wears what admission would have written."""

    plane: ControlPlane
    namespace: str
    folder: Path

    def held(
        self,
        name: str = "train",
        *,
        mark: str | None = words.Mark.HELD,
        suspend: bool = True,
        stop_for: str = "0s",
        replacement: str = "TerminatingOrFailed",
        plan: Plan | None = None,
        **wishes: str,
    ) -> None:
        """A Job. `wishes` are its words (`max_delay`); without any it may wait twelve hours, and runs for one."""
        asked = wishes or {"max_delay": "12h", "duration": "1h"}
        annotations = {words.PREFIX + word.replace("_", "-"): text for word, text in asked.items()}
        if mark is not None:
            annotations[words.STATE] = mark
        if plan is not None:
            annotations[words.PLAN] = json.dumps(plan.to_json())
        template = {
            "metadata": {"annotations": {"test/run-for": "1h", "test/stop-for": stop_for}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]},
        }
        spec = {"suspend": suspend, "podReplacementPolicy": replacement, "template": template}
        self.create("batch/v1", "Job", name, spec, annotations)

    def create(
        self,
        api: str,
        kind: str,
        name: str,
        spec: dict[str, Any],
        annotations: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
    ) -> None:
        meta = {
            "name": name,
            "namespace": self.namespace,
            "annotations": annotations or {},
            "labels": labels or {},
        }
        body = {"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec}
        self.plane.kubectl("create", "-f", "-", input=json.dumps(body))

    def change(self, what: str, patch: dict[str, Any]) -> None:
        self.plane.kubectl("patch", what, "-n", self.namespace, "--type=merge", "-p", json.dumps(patch))

    def object(self, what: str = "job/train") -> dict[str, Any]:
        return self.plane.get(what, "-n", self.namespace)

    def state(self, what: str = "job/train") -> tuple[str | None, Any]:
        """Our mark and the switch."""
        found = self.object(what)
        annotations = found["metadata"].get("annotations") or {}
        return annotations.get(words.STATE), found["spec"].get("suspend")

    def pods(self, name: str = "train") -> list[dict[str, Any]]:
        found = self.plane.get("pods", "-n", self.namespace, "-l", f"job-name={name}")["items"]
        return list(found)

    def events(self) -> list[tuple[str, str]]:
        """Reason and note of what was said of jobs here by us."""
        items = self.plane.get("events.v1.events.k8s.io", "-n", self.namespace)["items"]
        ours = [one for one in items if one["reportingController"].startswith("cleanhours.dev/")]
        return [(one["reason"], one["note"]) for one in ours]

    # -- the commands -----------------------------------------------------------------------------------------------

    def overdue(self, *options: str, later: timedelta | None = None, account: Path | None = None) -> Result:
        """`release-overdue` on this namespace, as if it were run `later`."""
        clock: Clock = SystemClock()
        if later is not None:
            clock = StoppedClock(clock.now() + later)
        return self._run(release_overdue, clock, account, *options)

    def all(self, *options: str, account: Path | None = None) -> Result:
        """`release-all` on this namespace."""
        lease = ("--lease-namespace", self.namespace)
        return self._run(release_all, SystemClock(), account, *lease, *options)

    def _run(self, command: Any, clock: Clock, account: Path | None, *options: str) -> Result:
        """In a world without any settings."""
        world = Wiring(
            lambda: load_settings(config=None, flags={"state.folder": str(self.folder)}), clock=clock
        )
        named = (
            "--kubeconfig",
            str(account or self.plane.kubeconfig),
            "--namespace",
            self.namespace,
            *options,
        )
        return CliRunner().invoke(command, list(named), obj=world, catch_exceptions=False)


def planned(latest_start: datetime, at: str = "de") -> Plan:
    """A plan that must have begun by then."""
    return Plan(
        location=at,
        zone=at.upper(),
        start=latest_start,
        end=latest_start + timedelta(hours=1),
        segments=(),
        latest_start=latest_start,
        reason=Reason.LOWEST_WINDOW,
    )


__all__ = ["Place", "planned", "wait"]
