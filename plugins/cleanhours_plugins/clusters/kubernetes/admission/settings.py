"""The table `[admission]`: how new objects are held, and what the webhook needs to know of its chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.clusters.kubernetes.admission.serving import Address
from cleanhours_plugins.clusters.tables import Reader, read_table

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
    found, faults = read_table(table, _READERS)
    if faults:
        raise ConfigurationError("admission: " + "; ".join(faults))
    return AdmissionSettings(**{"namespace": namespace, **found})


def _one_of(words: Sequence[str]) -> Reader:
    def reader(value: Any) -> str:
        if value not in words:
            raise ValueError(", ".join(words))
        return str(value)

    return reader


def _name_of(what: str) -> Reader:
    def reader(value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError(f"the name of a {what}")
        return value

    return reader


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
        raise ValueError("a list of DNS names and IP addresses")
    return tuple(value)


def _address(value: Any) -> Address:
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not (colon and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ValueError("an address and a port, such as 0.0.0.0:9443")
    return Address(host.strip("[]"), int(port))


_READERS: Final[Mapping[str, Reader]] = {
    "mode": _one_of(MODES),
    "certificates": _one_of(CERTIFICATES),
    "listen": _address,
    "names": _names,
    "namespace": _name_of("namespace"),
    "secret": _name_of("Secret"),
    "service": _name_of("Service"),
    "configuration": _name_of("MutatingWebhookConfiguration"),
}
