"""Admission: what holds an opted-in object before any Pod of it exists, and refuses wrong words.

In mode `policy` the API server does it itself, by the chart's CEL; in mode `webhook` it asks us.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from cleanhours.ports import Clock, Leadership, Service
from cleanhours_plugins.clusters.kubernetes.admission.noticing import ModeNotice
from cleanhours_plugins.clusters.kubernetes.admission.repeating import Api, Repeating
from cleanhours_plugins.clusters.kubernetes.admission.reviewing import Terms, review
from cleanhours_plugins.clusters.kubernetes.admission.serving import WebhookServer
from cleanhours_plugins.clusters.kubernetes.admission.settings import AdmissionSettings, read_settings

ANNOTATED: Final = "/admission/annotated"
"""Asked for objects that opt in themselves."""
ENABLED: Final = "/admission/enabled"
"""Asked for all objects of a namespace that opted in by its label: a review does not tell labels of namespaces."""


def services(
    settings: AdmissionSettings,
    *,
    api: Api,
    leadership: Leadership,
    clock: Clock,
    terms: Terms,
    failed: Callable[[], None] = lambda: None,
) -> Sequence[Service]:
    """What runs on every replica, not started yet. `failed` is called for each review that ended in an error of ours."""
    notice = ModeNotice(settings.mode, api)
    watching: list[Service] = (
        [] if settings.mode == "none" else [Repeating(notice.beat, "admission mode", failed=failed)]
    )
    if settings.mode != "webhook":
        return watching
    server = webhook_server(settings, clock=clock, terms=terms, failed=failed)
    return [
        server,
        _keeping(settings, api, leadership, clock, server, failed),
        *watching,
    ]


def webhook_server(
    settings: AdmissionSettings,
    *,
    clock: Clock,
    terms: Terms,
    failed: Callable[[], None] = lambda: None,
) -> WebhookServer:
    """The server alone, without a certificate yet."""

    def answer(body: Any, *, enabled: bool) -> dict[str, Any]:
        return review(body, enabled=enabled, terms=terms, now=clock.now())

    reviews = {ANNOTATED: partial(answer, enabled=False), ENABLED: partial(answer, enabled=True)}
    return WebhookServer(settings.listen, reviews, failed=failed)


def _keeping(
    settings: AdmissionSettings,
    api: Api,
    leadership: Leadership,
    clock: Clock,
    server: WebhookServer,
    failed: Callable[[], None],
) -> Repeating:
    # here, as cryptography costs memory that the other modes do not need
    from cleanhours_plugins.clusters.kubernetes.admission.keeping import CertificateKeeper, Keeping

    keeping = Keeping(
        namespace=settings.namespace,
        secret=settings.secret,
        configuration=settings.configuration,
        names=settings.server_names,
        managed=settings.certificates == "self",
    )
    keeper = CertificateKeeper(keeping, api=api, leadership=leadership, clock=clock, use=server.use)
    return Repeating(keeper.beat, "certificate", failed=failed)


__all__ = ["AdmissionSettings", "Terms", "read_settings", "services", "webhook_server"]
