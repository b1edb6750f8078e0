"""What an API server's refusals mean: one family of errors, named for what happens next. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from cleanhours.domain.errors import CleanhoursError, ConfigurationError, TemporaryError

RETRY_AFTER_LIMIT_S: Final = 600.0
_DEFAULT_DELAY: Final = timedelta(seconds=5)
_SHOWN_LENGTH: Final = 400
_RBAC = re.compile(r"\bcannot \S+ (resource|path) ")
"""How the server words what RBAC denies; admission plugins answer 403 too (a quota, say), in other words."""


class ApiError(CleanhoursError):
    """The API server refused, or could not be asked. `status` 0: no answer; `reason` is the Status object's word.

    The message names verb, path and what the server said, never a token or a query.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        self.status = status
        self.reason = reason
        super().__init__(message)


class Unreachable(ApiError, TemporaryError):
    """No answer, 429 or 5xx: the same question may be answered after `delay`.

    A write that ends so may have been done all the same, unless `status` is 429: read before writing again.
    `retry_after` is what the server asked for, where it did.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after
        self.delay = _DEFAULT_DELAY if retry_after is None else retry_after


class _Outdated(ApiError, TemporaryError):
    """What we knew is no longer so: read, decide again, and write then; at once, if you like."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message, status=status, reason=reason)
        self.delay = timedelta()


class Conflict(_Outdated):
    """409: the object changed since it was read, or exists already."""


class Gone(_Outdated):
    """410, or an ERROR in a watch: that resourceVersion or continue token is no good any more: list again."""


class Fenced(_Outdated):
    """Nothing was sent: we may not lead any more."""


class Missing(ApiError):
    """404: no such object, or no such kind on this server."""


class Denied(ApiError, ConfigurationError):
    """401, 403 by RBAC, or a certificate that is not trusted: an operator must act. Names the verb and resource."""


class Refused(ApiError):
    """400, 422, 403 by an admission plugin, and other 4xx: this object cannot be written so; another one may."""


def error_of(verb: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Read an answer that is no success.

    Args:
        verb: the HTTP method.
        path: as asked, without a query.
        status: the HTTP status, not 2xx.
        headers: of the answer, with names in lower case.
        body: of the answer: a Status object (API conventions, "Response Status Kind"), or whatever a proxy says.
    """
    said, reason = _said(body)
    message = f"{verb} {path} answered {status}: {said}" if said else f"{verb} {path} answered {status}"
    if status == 429 or status >= 500 or status < 400:
        return Unreachable(message, status=status, reason=reason, retry_after=retry_after(headers))
    if status == 401 or (status == 403 and _RBAC.search(said)):
        return Denied(message, status=status, reason=reason)
    kinds: dict[int, type[ApiError]] = {404: Missing, 409: Conflict, 410: Gone}
    return kinds.get(status, Refused)(message, status=status, reason=reason)


def error_of_event(path: str, status: Mapping[str, Any]) -> Gone:
    """Read the Status object of a watch's ERROR event, which comes in an answer that was 200; mostly 410."""
    code = status.get("code")
    reason = str(status.get("reason") or "")
    said = shown(str(status.get("message") or "no message"))
    return Gone(
        f"WATCH {path} ended with {code}: {said}",
        status=code if isinstance(code, int) else 410,
        reason=reason,
    )


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """What the server asked for (RFC 9110, 10.2.3, in seconds: API servers send no dates), 10 minutes at most."""
    asked = headers.get("retry-after", "").strip()
    if not (asked.isascii() and asked.isdigit()):
        return None
    return timedelta(seconds=min(float(asked[:12]), RETRY_AFTER_LIMIT_S))


def shown(text: str) -> str:
    """One line of printable characters: what a server says is shown in terminals, logs and Events."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _SHOWN_LENGTH]).split())
    return line if len(line) <= _SHOWN_LENGTH else line[:_SHOWN_LENGTH] + "…"


def _said(body: bytes) -> tuple[str, str]:
    """The Status object's message and reason; a body that is no such object is the message."""
    try:
        status = json.loads(body)
    except ValueError:
        return shown(body[:4096].decode(errors="replace")), ""
    if not isinstance(status, dict):
        return shown(str(status)), ""
    return shown(str(status.get("message") or "")), str(status.get("reason") or "")
