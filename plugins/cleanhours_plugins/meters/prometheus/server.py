"""The Prometheus server of a meter's table: asked in bounded time, left alone for a while when it does not answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cleanhours.domain.energy import ENOUGH
from cleanhours.domain.errors import CleanhoursError, TemporaryError
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Clock
from cleanhours_plugins.meters.prometheus.asking import (
    Question,
    Series,
    Unreadable,
    read_series,
    read_words,
)

if TYPE_CHECKING:
    from cleanhours.http import Session

log = logging.getLogger(__name__)

AFTER: Final = timedelta(seconds=60)
"""What a run drew is told for so long after its end: exporters count in intervals, and clocks differ."""
LEFT_ALONE: Final = timedelta(seconds=30)
"""A server that did not answer is not asked again before: a tick waits meanwhile, and there may be a thousand runs."""
ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""About 300,000 samples, 60 MB of memory while they are read."""


class Unanswered(CleanhoursError):
    """The server will not answer this question later either; `too_much` where it is the size of the answer."""

    def __init__(self, message: str, *, too_much: bool = False) -> None:
        self.too_much = too_much
        super().__init__(message)


@dataclass(slots=True)
class Server:
    """`meter` is whose it is; `scrape_interval` how often it scrapes what the meter reads; `enough` the least coverage with
    which the meter speaks.
    """

    meter: str
    url: str
    clock: Clock
    headers: Mapping[str, str] = field(default_factory=dict)
    token_file: Path | None = None
    timeout_s: float = 10.0
    scrape_interval: timedelta = timedelta(seconds=30)
    enough: float = ENOUGH
    session: Session | None = None
    _quiet_until: datetime | None = None
    _trouble: str = ""
    _said: set[str] = field(default_factory=set)

    def series(self, question: Question) -> list[Series]:
        """Raises TemporaryError, ConfigurationError (401, 403) or Unanswered."""
        text = self._ask(question)
        try:
            return read_series(text)
        except Unreadable as fault:
            raise Unanswered(f"{self.meter}: not the answer of a Prometheus: {fault}") from None

    def words(self, question: Question) -> list[str]:
        """Raises as `series`."""
        text = self._ask(question)
        try:
            return read_words(text)
        except Unreadable as fault:
            raise Unanswered(f"{self.meter}: not the answer of a Prometheus: {fault}") from None

    def wait_for(self, run: FinishedRun) -> None:
        """Raises TemporaryError while the last samples of a run may not be there."""
        ready = run.finished_at + AFTER + self.scrape_interval
        left = ready - self.clock.now()
        if left > timedelta(0):
            raise TemporaryError(f"{self.meter}: the last samples are not scraped yet", delay=left)

    def say(self, message: str) -> None:
        """Once a trouble, not once a run."""
        if message not in self._said and len(self._said) < 20:
            self._said.add(message)
            log.warning("meter knows nothing meter=%s error=%s", self.meter, message)

    def _ask(self, question: Question) -> str:
        from cleanhours.http import Refused

        now = self.clock.now()
        if self._quiet_until is not None and now < self._quiet_until:
            raise TemporaryError(self._trouble, delay=self._quiet_until - now)
        try:
            answer = self._opened().get(self.url + question.path, self._bounded(question), *self._sent())
        except TemporaryError as fault:
            self._quiet_until = self.clock.now() + max(LEFT_ALONE, fault.delay / 2)
            self._trouble = str(fault)
            raise
        except Refused as fault:
            # 422: the query runs against a limit of the server (samples, time); 400: it does not understand it
            raise Unanswered(f"{self.meter}: {fault}", too_much=fault.status == 422) from None
        self._quiet_until = None
        return answer.text

    def _bounded(self, question: Question) -> dict[str, str | int | float]:
        """With the time that the server itself may take: it stops, too."""
        asked = dict(question.params)
        if "query" in asked:
            asked["timeout"] = f"{self.timeout_s:g}s"
        return asked

    def _sent(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Headers, and what no error may show. The token is read each time: those of Kubernetes are renewed."""
        if self.token_file is None:
            return dict(self.headers), ()
        try:
            token = self.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise TemporaryError(f"{self.meter}: token_file not read: {fault}") from None
        return {**self.headers, "Authorization": f"Bearer {token}"}, (token,)

    def _opened(self) -> Session:
        if self.session is None:
            from cleanhours.http import Session

            self.session = Session(
                timeout_s=self.timeout_s,
                retries=1,
                transfer_limit_s=2 * self.timeout_s,
                answer_limit_bytes=ANSWER_LIMIT_BYTES,
            )
        return self.session
