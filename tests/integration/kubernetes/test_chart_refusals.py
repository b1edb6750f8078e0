"""Values that are wrong are refused before anything is installed, in words that help."""

from __future__ import annotations

import re

import pytest

from tests.integration.kubernetes.chart import (
    Helm,
    either_helm,
)

__all__ = ["either_helm"]
pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("replicaCount=2", "replicaCount: found 2 with a SQLite ledger, accepted: 1, or more with"),
        (
            "serviceMonitor.enabled=true,podMonitor.enabled=true",
            "serviceMonitor.enabled, podMonitor.enabled: found both",
        ),
        ("home=mars", 'home: found "mars", accepted: one of locations (none is configured)'),
        ("forecasts.sources.em.token=x", "forecasts.sources.em.token: found a secret among the values"),
        ("settings.meters.em.api_key=x", "meters.em.api_key: found a secret among the values"),
        ("settings.ledger.url=postgresql://u:p@h/d", "settings.ledger.url: found a value"),
        ("settings.metrics.listen=off", 'settings.metrics.listen: found "off", accepted: an address'),
        (
            "admission.mode=webhook,admission.webhook.certificates.mode=existingSecret",
            "admission.webhook.certificates.existingSecret: found none",
        ),
        ("serviceAccount.create=false", "serviceAccount.name: found none"),
    ],
)
def test_values_that_do_not_go_together_are_refused(helm: Helm, setting: str, message: str) -> None:
    assert message in helm.refusal("--set", setting)


def test_all_such_faults_come_in_one_message(helm: Helm) -> None:
    said = helm.refusal("--set", "replicaCount=2,home=mars,forecasts.sources.em.token=x")

    assert all(word in said for word in ("replicaCount:", "home:", "forecasts.sources.em.token:"))


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("replicas=2", "replicas"),
        ("admission.mode=maybe", "admission.mode|/admission/mode"),
        ("kinds.jobsets=true", "jobsets"),
        ("locations.x.zone=", "zone"),
        ("locations.x.pue=2", "zone"),
        ("locations.x.zone=DE,locations.x.pue=0.5", "pue"),
        ("namespaces.a.max_delay=6h", "max_delay"),
        ("defaults.deadlien=+6h", "deadlien"),
        ("namespaces.Team=", "Team|namespaces"),
        ("deadMan.everyMinutes=7", "everyMinutes"),
        ("securityContext.runAsUser=0", "runAsUser"),
        ("image.digest=abc", "digest"),
        ("watchNamespaces={A}", "watchNamespaces"),
        ("admission.webhook.timeoutSeconds=31", "timeoutSeconds"),
    ],
)
def test_the_schema_names_the_value_that_is_wrong(helm: Helm, setting: str, place: str) -> None:
    said = helm.refusal("--set", setting)

    assert "values don't meet the specifications of the schema" in said
    assert re.search(place, said.partition("schema")[2]), said
