"""The webhook in front of a real API server: this process serves, the API server asks it at a loopback address."""

from __future__ import annotations

import copy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cleanhours.ports import Clock
from cleanhours_plugins.clusters.kubernetes.admission import AdmissionSettings, Terms, webhook_server
from cleanhours_plugins.clusters.kubernetes.admission.keeping import (
    CONFIGURATIONS,
    CertificateKeeper,
    Keeping,
)
from cleanhours_plugins.clusters.kubernetes.admission.serving import Address, WebhookServer
from cleanhours_plugins.clusters.kubernetes.api import Api
from tests.integration.kubernetes.admission_door import Door
from tests.integration.kubernetes.admission_objects import DEFAULTS, LOCATIONS, Object


class Leads:
    """A Leadership that may be taken away."""

    def __init__(self, leads: bool = True) -> None:
        self.leads = leads

    def may_act(self) -> bool:
        return self.leads


@dataclass(frozen=True)
class Hook:
    """One webhook configuration, and the replica that answers for it."""

    server: WebhookServer
    keeper: CertificateKeeper
    settings: AdmissionSettings
    door: Door
    api: Api

    @property
    def configuration(self) -> Object:
        return self.door.ask("GET", f"{CONFIGURATIONS}/{self.settings.configuration}").body

    @property
    def secret(self) -> Object:
        return self.door.ask("GET", self.keeping().path).body

    def keeping(self) -> Keeping:
        return keeping_of(self.settings)


def keeping_of(settings: AdmissionSettings) -> Keeping:
    return Keeping(
        namespace=settings.namespace,
        secret=settings.secret,
        configuration=settings.configuration,
        names=settings.server_names,
    )


def settings_of(door: Door, name: str) -> AdmissionSettings:
    """For a server at a free port of the loopback address; its Secret lies in a namespace of the door's."""
    return AdmissionSettings(
        mode="webhook", namespace=door.names["false", False], listen=Address("127.0.0.1", free_port()), secret=f"{name}-tls",
        configuration=name, names=("127.0.0.1", "localhost"),
    )  # fmt: skip


def terms_of(door: Door) -> Terms:
    return Terms(
        defaults={name: DEFAULTS["team"] for (_, team), name in door.names.items() if team},
        locations=LOCATIONS,
    )


def pointed_at(configuration: Object, settings: AdmissionSettings) -> Object:
    """The chart's configuration under another name, whose webhooks are called at a loopback address."""
    changed: dict[str, Any] = copy.deepcopy(configuration)
    changed["metadata"] = {"name": settings.configuration}
    for webhook in changed["webhooks"]:
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{settings.listen.port}{path}"}
    return changed


@contextmanager
def hooked(
    door: Door, api: Api, configuration: Object, settings: AdmissionSettings, clock: Clock
) -> Iterator[Hook]:
    """A replica that leads; it has looked at its certificate once."""
    server = webhook_server(settings, clock=clock, terms=terms_of(door))
    keeper = CertificateKeeper(keeping_of(settings), api=api, leadership=Leads(), clock=clock, use=server.use)
    server.start()
    door.ask("POST", CONFIGURATIONS, pointed_at(configuration, settings))
    try:
        keeper.beat()
        yield Hook(server, keeper, settings, door, api)
    finally:
        door.ask("DELETE", f"{CONFIGURATIONS}/{settings.configuration}")
        server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
