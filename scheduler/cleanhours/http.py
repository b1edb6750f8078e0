"""The one HTTP session, between a provider's question and its reading: polite, done in time, telling no secret."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from cleanhours import __version__
from cleanhours.domain.errors import CleanhoursError, ConfigurationError, TemporaryError

if TYPE_CHECKING:
    from concurrent.futures import Future

    import requests

RETRIES: Final = 3
TIMEOUT_S: Final = 10.0
"""For the connection, and again for each wait for more of the answer."""
TRANSFER_LIMIT_S: Final = 60.0
"""For a whole answer: a server that drips is given up."""
ANSWER_LIMIT_BYTES: Final = 64 * 1024 * 1024
LONGEST_PAUSE_S: Final = 30.0
"""A server that asks for more is not waited for: the next tick will see."""
LONGEST_DELAY: Final = timedelta(hours=1)
"""However much a server asks for, it is tried again after this."""

_SECRET_NAME = re.compile(r"token|key|secret|password|passwd|auth|signature|credential", re.IGNORECASE)
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_MASK: Final = "***"


class Refused(CleanhoursError):
    """The server understood and will not answer this question (400, 404 and other 4xx): another one might do.

    `text` is what it said, whole and with secrets masked: some providers say there "no data for this period".
    """

    def __init__(self, status: int, text: str, *, url: str = "") -> None:
        self.status = status
        self.text = text
        super().__init__(f"{url} answered {status}: {_shown(text)}" if url else f"{status}: {_shown(text)}")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with status 2xx. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class Session:
    """Keeps connections open between questions; safe to share between threads.

    `pause` is how it waits between tries, `jitter` a number in [0, 1): tests hand in their own.
    """

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transfer_limit_s: float = TRANSFER_LIMIT_S,
        answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._timeout_s = timeout_s
        self._retries = retries
        self._transfer_limit_s = transfer_limit_s
        self._answer_limit_bytes = answer_limit_bytes
        self._pause = pause
        self._jitter = jitter
        self._session: requests.Session | None = None
        self._given_up: dict[str, Future[Response | _Trouble]] = {}

    def get(
        self,
        url: str,
        params: Mapping[str, str | int | float] | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
    ) -> Response:
        """Ask once, and up to three times more where that may help; wait 30 s at most in between, all told.

        Who stayed silent, or dripped, has had its time: it is not asked again, for a tick waits meanwhile.
        `secrets` are values that no error may show. Parameters and headers named like a key or token are
        masked without being asked.

        Raises:
            TemporaryError: time-out, no connection, 429, 5xx or an answer too long; `delay` is what the server
                asked for.
            ConfigurationError: 401, 403, or no web address at all: an operator must act.
            Refused: every other status that is not 2xx.
        """
        asked = dict(params or {})
        sent = dict(headers or {})
        mask = _Mask(url, asked, sent, secrets)
        patience_s = LONGEST_PAUSE_S
        attempt = 0
        while True:
            outcome = self._ask(url, asked, sent, mask)
            if isinstance(outcome, Response):
                return outcome
            pause_s = outcome.asked_s if outcome.asked_s is not None else self._backoff_s(attempt)
            if outcome.patience_spent or attempt >= self._retries or pause_s > patience_s:
                raise TemporaryError(outcome.message, **_delay(outcome.asked_s))
            self._pause(pause_s)
            patience_s -= pause_s
            attempt += 1

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _backoff_s(self, attempt: int) -> float:
        """0.5 to 1 s, then 1 to 2 s, then 2 to 4 s: apart enough that a fleet does not come back as one."""
        return float(2**attempt) * (0.5 + 0.5 * self._jitter())

    def _ask(
        self, url: str, params: dict[str, Any], headers: dict[str, str], mask: _Mask
    ) -> Response | _Trouble:
        """Ask once, in a thread, left alone when a whole answer takes too long: a socket's time-out begins anew with every byte."""
        from concurrent.futures import Future

        host = _split(url).netloc
        if host in self._given_up and not self._given_up[host].done():
            return _Trouble(f"{mask.shown_url}: still answers an earlier question", patience_spent=True)
        answer: Future[Response | _Trouble] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._ask_once(url, params, headers, mask))
            except Exception as error:  # noqa: BLE001 - raised again by who waits
                answer.set_exception(error)

        Thread(target=ask, name=f"asking {host}", daemon=True).start()
        try:
            return answer.result(self._transfer_limit_s)
        except TimeoutError:
            self._given_up[host] = answer
            took = f"{mask.shown_url}: the answer took longer than {self._transfer_limit_s:g} s"
            return _Trouble(took, patience_spent=True)

    def _ask_once(
        self, url: str, params: dict[str, Any], headers: dict[str, str], mask: _Mask
    ) -> Response | _Trouble:
        """Errors are raised outside the except blocks, so that no chained traceback shows a URL."""
        import requests

        if self._session is None:
            self._session = _new_session()
        refusal: str | None = None
        trouble: str
        spent = False
        try:
            with self._session.get(
                url, params=params, headers=headers, timeout=self._timeout_s, stream=True
            ) as answer:
                return self._read(answer, url, mask)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            refusal = str(error)
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidHeader) as error:
            refusal = str(error)
        except requests.exceptions.Timeout:
            trouble, spent = f"no answer within {self._timeout_s:g} s", True
        except requests.exceptions.RequestException as error:
            trouble = _reason(error)
            spent = "Failed to resolve" in trouble or "timed out" in trouble
        if refusal is not None:
            raise ConfigurationError(f"{mask.shown_url}: {mask(_shown(refusal))}")
        return _Trouble(f"{mask.shown_url}: {mask(_shown(trouble))}", patience_spent=spent)

    def _read(self, answer: requests.Response, url: str, mask: _Mask) -> Response | _Trouble:
        status = answer.status_code
        headers = {name.lower(): value for name, value in answer.headers.items()}
        body = self._body(answer)
        if isinstance(body, str):
            return _Trouble(f"{mask.shown_url}: {body}", patience_spent=True)
        text = _decoded(body, headers.get("content-type", ""))
        if 200 <= status < 300:
            return Response(status, headers, text)
        said = mask(text)
        if status in _WORTH_ANOTHER_TRY or status >= 500:
            return _Trouble(f"{mask.shown_url} answered {status}: {_shown(said)}", _asked_s(headers))
        if status in (401, 403):
            raise ConfigurationError(
                f"{mask.shown_url} answered {status}, check its key or token: {_shown(said)}"
            )
        raise Refused(status, said, url=mask.shown_url)

    def _body(self, answer: requests.Response) -> bytes | str:
        """Return the whole body, or why it was given up."""
        body = bytearray()
        for piece in answer.iter_content(65536):
            body += piece
            if len(body) > self._answer_limit_bytes:
                return f"the answer is longer than {self._answer_limit_bytes} bytes"
        return bytes(body)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What another try may cure, and how long the server asked us to wait, where it did."""

    message: str
    asked_s: float | None = None
    patience_spent: bool = False
    """Three more tries would only cost time: nobody answered for long enough, or the name has no address (no network)."""


class _Mask:
    """Replaces secrets in a text, as they are and as a URL carries them."""

    def __init__(
        self, url: str, params: Mapping[str, Any], headers: Mapping[str, str], secrets: Iterable[str]
    ) -> None:
        parts = _split(url)
        named = [*params.items(), *headers.items(), *parse_qsl(parts.query)]
        values = {str(value) for name, value in named if _SECRET_NAME.search(name)}
        values |= {value.split(maxsplit=1)[-1] for value in values if " " in value}  # "Bearer <token>"
        values |= {*secrets, *(unquote(word) for word in (parts.username, parts.password) if word)}
        forms = {form for value in values if value for form in _forms(value)}
        self._pattern = re.compile("|".join(re.escape(form) for form in _longest_first(forms)) or r"(?!)")
        host = parts.netloc.rpartition("@")[2]
        self.shown_url = _shown(self(f"{parts.scheme}://{host}{parts.path}" if host else url))

    def __call__(self, text: str) -> str:
        return self._pattern.sub(_MASK, text)


def _forms(value: str) -> set[str]:
    return {value, quote(value), quote(value, safe=""), quote_plus(value), repr(value)[1:-1]}


def _longest_first(forms: Collection[str]) -> list[str]:
    return sorted(forms, key=lambda form: (-len(form), form))


def _split(url: str) -> Any:
    try:
        return urlsplit(url)
    except ValueError:  # "[::1" and the like: requests will say so
        return urlsplit("")


def _shown(text: str, limit: int = 300) -> str:
    """One line of printable characters: what a server says is shown in terminals, logs and pages."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[:limit] + "…"


def _reason(error: Exception) -> str:
    """The innermost cause: urllib3 wraps what happened three times, repeating the URL each time."""
    cause: BaseException = error
    while (inner := _inner(cause)) is not None:
        cause = inner
    return str(cause) or type(cause).__name__


def _inner(error: BaseException) -> BaseException | None:
    if isinstance(reason := getattr(error, "reason", None), BaseException):
        return reason
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)


def _asked_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of Retry-After (RFC 9110, 10.2.3); a date is counted from the answer's own, not from our clock."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked[:12]), LONGEST_DELAY.total_seconds())
    from email.utils import parsedate_to_datetime

    try:
        wait = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):  # no date, or one with a zone and one without
        return None
    return max(0.0, min(wait, LONGEST_DELAY).total_seconds())


def _delay(asked_s: float | None) -> dict[str, timedelta]:
    return {} if not asked_s else {"delay": timedelta(seconds=asked_s)}


def _decoded(body: bytes, content_type: str) -> str:
    """UTF-8 unless the server names something else; requests would take Latin-1 for text without a name."""
    named = re.search(r"charset=[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    charset = named[1].lower() if named else "utf-8"
    try:
        return body.decode("utf-8-sig" if charset in ("utf-8", "utf8") else charset, errors="replace")
    except LookupError:
        return body.decode("utf-8-sig", errors="replace")


def _new_session() -> requests.Session:
    import requests

    class Session(requests.Session):
        """Leaves keys at home when a server sends us to another host; requests does so for `Authorization` only."""

        def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
            super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
            asked, sent_to = response.request.url, prepared_request.url
            if self.should_strip_auth(asked, sent_to):  # type: ignore[no-untyped-call]
                for name in [name for name in prepared_request.headers if _SECRET_NAME.search(name)]:
                    del prepared_request.headers[name]

    session = Session()
    session.headers["User-Agent"] = f"cleanhours/{__version__}"
    session.max_redirects = 5
    # at debug level urllib3 logs every URL with its query, keys and all
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    return session
