"""Noticing: whether this server now serves what the chart did not count on when it chose the mode of admission."""

from __future__ import annotations

import logging
from typing import Final

from cleanhours_plugins.clusters.kubernetes.admission.repeating import Api
from cleanhours_plugins.clusters.kubernetes.errors import ApiError, Missing

_log = logging.getLogger(__name__)

GROUP: Final = "/apis/admissionregistration.k8s.io/v1"
_AGAIN_S: Final = 60.0
_LATER_S: Final = 3600.0
"""Servers are upgraded while we run."""


class ModeNotice:
    """Says once that the other mode is served now; an operator decides, by `helm upgrade`."""

    def __init__(self, mode: str, api: Api) -> None:
        self._mode = mode
        self._api = api

    def beat(self) -> float | None:
        """Returns the seconds until it is worth asking again, None once it was said."""
        try:
            resources = self._api.get(GROUP).get("resources") or ()
        except Missing:
            resources = ()
        except ApiError:
            return _AGAIN_S
        policies = any(one.get("name") == "mutatingadmissionpolicies" for one in resources)
        said = notice(self._mode, policies=policies)
        if said is None:
            return _LATER_S
        _log.warning("%s", said)
        return None


def notice(mode: str, *, policies: bool) -> str | None:
    """One sentence when the mode does not fit what is served, else None. `policies`: MutatingAdmissionPolicy v1."""
    if mode == "webhook" and policies:
        return (
            "this server has MutatingAdmissionPolicy v1 now: with admission.mode policy (or auto), after `helm upgrade`, "
            "no webhook is needed"
        )
    if mode == "policy" and not policies:
        return (
            "admission.mode is policy, and this server has no MutatingAdmissionPolicy v1 (Kubernetes 1.36): new jobs are "
            "not held; with admission.mode webhook (or auto), after `helm upgrade`, they are"
        )
    return None
