"""Keeping: the webhook's certificate, read from a Secret on every replica, renewed by the one that leads.

`caBundle` is the only thing of an admission object that is written here; the objects are the chart's.
"""

from __future__ import annotations

import base64
import binascii
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours.ports import Clock, Leadership
from cleanhours_plugins.clusters.kubernetes.admission import certificates
from cleanhours_plugins.clusters.kubernetes.admission.certificates import Papers
from cleanhours_plugins.clusters.kubernetes.admission.repeating import Api
from cleanhours_plugins.clusters.kubernetes.errors import Conflict, Missing

_log = logging.getLogger(__name__)

BEAT_S: Final = 60.0
"""Between looks at the Secret, and between trusting a new authority and showing its certificate."""
FIRST_BEAT_S: Final = 2.0
"""While there is no certificate yet."""
CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_KEYS: Final = ("ca.crt", "ca.key", "tls.crt", "tls.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where the certificate lies, and for whom. With `managed` False others write the Secret and the caBundle."""

    namespace: str
    secret: str
    configuration: str
    names: tuple[str, ...]
    managed: bool = True
    beat_s: float = BEAT_S
    first_beat_s: float = FIRST_BEAT_S

    @property
    def collection(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.secret}"


class CertificateKeeper:
    """Each `beat` brings Secret, caBundle and server one step nearer to each other. Never raises."""

    def __init__(
        self,
        keeping: Keeping,
        *,
        api: Api,
        leadership: Leadership,
        clock: Clock,
        use: Callable[[ssl.SSLContext], None],
    ) -> None:
        self._keeping = keeping
        self._api = api
        self._leadership = leadership
        self._clock = clock
        self._use = use
        self._shown: tuple[bytes, bytes] | None = None
        self._trouble = ""

    def beat(self) -> float:
        """Returns the seconds until the next one."""
        try:
            self._show(self._step())
        except (CleanhoursError, OSError, ValueError, KeyError) as fault:
            self._say(str(fault))
        else:
            self._say("")
        return self._keeping.first_beat_s if self._shown is None else self._keeping.beat_s

    def _step(self) -> Papers | None:
        secret = self._secret()
        papers = None if secret is None else papers_of(secret)
        if not self._keeping.managed or not self._leadership.may_act():
            return papers
        configuration = self._api.get(f"{CONFIGURATIONS}/{self._keeping.configuration}")
        trusted = _trusted(configuration)
        new = certificates.renewed(papers, self._keeping.names, self._clock.now(), trusted=trusted)
        if new is not None:
            if not self._write(secret, new):
                return papers
            papers = new
            _log.info("the webhook's certificates were renewed in Secret %s", self._keeping.secret)
        if papers is not None and papers.bundle != trusted and self._leadership.may_act():
            self._api.patch(
                f"{CONFIGURATIONS}/{self._keeping.configuration}", trusting(configuration, papers.bundle)
            )
        return papers

    def _secret(self) -> dict[str, Any] | None:
        try:
            return self._api.get(self._keeping.path)
        except Missing:
            return None

    def _write(self, secret: dict[str, Any] | None, papers: Papers) -> bool:
        """False when another replica wrote first, or leads now."""
        if not self._leadership.may_act():
            return False
        content = secret_of(self._keeping, secret, papers)
        try:
            if secret is None:
                self._api.create(self._keeping.collection, content)
            else:
                self._api.replace(self._keeping.path, content)
        except Conflict:
            return False
        return True

    def _show(self, papers: Papers | None) -> None:
        if papers is None:
            raise ValueError(f"Secret {self._keeping.secret} is not there yet: the webhook answers nobody")
        if self._shown != (papers.server, papers.server_key):
            try:
                self._use(certificates.context_of(papers.server, papers.server_key))
            except ssl.SSLError as fault:
                raise ValueError(
                    f"Secret {self._keeping.secret}: tls.crt and tls.key are no certificate and its key ({fault})"
                ) from fault
            self._shown = (papers.server, papers.server_key)

    def _say(self, trouble: str) -> None:
        """Once when it begins or changes, once when it is over."""
        if trouble != self._trouble:
            if trouble:
                _log.warning("the webhook's certificate: %s", trouble)
            else:
                _log.info("the webhook's certificate is in order")
            self._trouble = trouble


def papers_of(secret: dict[str, Any]) -> Papers:
    """What a Secret keeps; what it lacks is empty. Raises ValueError when it is no base64."""
    data = secret.get("data") or {}
    try:
        return Papers(*(base64.b64decode(data.get(key) or "", validate=True) for key in _KEYS))
    except binascii.Error as fault:
        raise ValueError(f"a Secret's data must be base64: {fault}") from fault


def secret_of(keeping: Keeping, before: dict[str, Any] | None, papers: Papers) -> dict[str, Any]:
    """The Secret to write; the one that was read keeps its labels, and its resourceVersion is the condition."""
    values = (papers.bundle, papers.authority_key, papers.server, papers.server_key)
    data = {key: base64.b64encode(value).decode() for key, value in zip(_KEYS, values, strict=True)}
    metadata = {"name": keeping.secret, "namespace": keeping.namespace}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        **(before or {"metadata": metadata}),
        "data": data,
    }


def trusting(configuration: dict[str, Any], bundle: bytes) -> dict[str, Any]:
    """The merge patch that makes every webhook of a configuration trust `bundle`, if nobody wrote since."""
    encoded = base64.b64encode(bundle).decode()
    return {
        "metadata": {"resourceVersion": configuration["metadata"]["resourceVersion"]},
        "webhooks": [
            {**webhook, "clientConfig": {**webhook["clientConfig"], "caBundle": encoded}}
            for webhook in configuration.get("webhooks") or ()
        ],
    }


def _trusted(configuration: dict[str, Any]) -> bytes:
    """The bundle of all its webhooks; empty when they differ: nothing may be built on what only some of them trust."""
    found: Sequence[str] = [
        webhook["clientConfig"].get("caBundle") or "" for webhook in configuration.get("webhooks") or ()
    ]
    return base64.b64decode(found[0]) if found and len(set(found)) == 1 else b""
