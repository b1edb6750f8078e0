"""The table `[admission]`: the chart's names by default, and every fault at once."""

from __future__ import annotations

import pytest

from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.clusters.kubernetes.admission.serving import Address
from cleanhours_plugins.clusters.kubernetes.admission.settings import AdmissionSettings, read_settings


def test_settings_have_the_charts_names_as_defaults() -> None:
    settings = read_settings({"mode": "webhook", "listen": "[::]:8443"}, "batch")
    assert AdmissionSettings(mode="webhook", namespace="batch", listen=Address("::", 8443)) == settings
    assert (
        "cleanhours-webhook.batch.svc",
        "cleanhours-webhook.batch.svc.cluster.local",
    ) == settings.server_names


def test_every_fault_of_the_settings_is_named() -> None:
    table = {
        "mode": "auto",
        "listn": "x",
        "listen": "9443",
        "names": "x",
        "certificates": "none",
        "secret": "",
    }
    with pytest.raises(ConfigurationError) as fault:
        read_settings(table)
    for part in ("mode: found 'auto', accepted: policy, webhook, none", "unknown key 'listn'; did you mean 'listen'?",
                 "listen: found '9443'", "names: found 'x'", "certificates: found 'none'", "secret: found ''"):  # fmt: skip
        assert part in str(fault.value)
