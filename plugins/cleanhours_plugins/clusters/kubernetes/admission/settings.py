"""The table `[admission]`: how new objects are held, and what the webhook needs to know of its chart."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.clusters.kubernetes.admission.serving import Address

MODES: Final = ("policy", "webhook", "none")
CERTIFICATES: Final = ("self", "certManager", "existingSecret")

ANYWHERE: Final = Address("0.0.0.0", 9443)  # noqa: S104 - the API server calls from a node


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionSettings:
    """`namespace` is where the release lives. The rest matters in mode `webhook` only: `secret` holds the certificate, made
    and renewed by us where `certificates` is `self`; `service` is the Service that the API server calls;
    `configuration` the MutatingWebhookConfiguration; `names` what the server is called, the Service's names where empty.
    """

    mode: str = "none"
    namespace: str = "cleanhours"
    listen: Address = ANYWHERE
    certificates: str = "self"
    secret: str = "cleanhours-webhook-tls"  # noqa: S105 - its name
    service: str = "cleanhours-webhook"
    configuration: str = "cleanhours"
    names: tuple[str, ...] = ()

    @property
    def server_names(self) -> tuple[str, ...]:
        """Of the certificate."""
        local = f"{self.service}.{self.namespace}.svc"
        return self.names or (local, f"{local}.cluster.local")


def read_settings(table: Mapping[str, Any], namespace: str = "cleanhours") -> AdmissionSettings:
    """The settings of a table. Raises ConfigurationError naming every fault: key, value found, what would be right."""
    found: dict[str, Any] = {"namespace": namespace}
    faults = []
    for key, value in table.items():
        if key not in _ACCEPTED:
            close = difflib.get_close_matches(key, _ACCEPTED, 1)
            hint = f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(_ACCEPTED)
            faults.append(f"unknown key {key!r}; {hint}")
            continue
        try:
            found[key] = _read(key, value)
        except ValueError:
            faults.append(f"{key}: found {value!r}, accepted: {_ACCEPTED[key]}")
    if faults:
        raise ConfigurationError("admission: " + "; ".join(faults))
    return AdmissionSettings(**found)


_ACCEPTED: Final = {
    "mode": ", ".join(MODES),
    "certificates": ", ".join(CERTIFICATES),
    "listen": "an address and a port, such as 0.0.0.0:9443",
    "names": "a list of DNS names and IP addresses",
    "namespace": "the name of a namespace",
    "secret": "the name of a Secret",
    "service": "the name of a Service",
    "configuration": "the name of a MutatingWebhookConfiguration",
}


def _read(key: str, value: Any) -> Any:
    """Raises ValueError."""
    if key == "names":
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise ValueError
        return tuple(value)
    if not isinstance(value, str) or not value:
        raise ValueError
    if (key == "mode" and value not in MODES) or (key == "certificates" and value not in CERTIFICATES):
        raise ValueError
    return _address(value) if key == "listen" else value


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ValueError
    return Address(host.strip("[]"), int(port))
