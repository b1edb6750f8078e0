"""Patience with providers: a command that somebody waits for gives them a moment, and spares one that was silent lately."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final
from zlib import crc32

from cleanhours.adapters.keeping import replace_private
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.times import format_instant, parse_instant

if TYPE_CHECKING:
    from cleanhours.domain.intensity import IntensitySeries
    from cleanhours.ports import Clock, ForecastSource

REST: Final = timedelta(minutes=5)
"""A provider that was silent is left alone for so long: where no network is, only the first command waits."""


class Patience:
    """Real seconds that all sources of a process share, from when the first of them is asked."""

    def __init__(self, limit_s: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.limit_s = limit_s
        self._monotonic_s = monotonic_s
        self._until_s: float | None = None

    def left_s(self) -> float:
        now_s = self._monotonic_s()
        if self._until_s is None:
            self._until_s = now_s + self.limit_s
        return max(self._until_s - now_s, 0.0)


class Prompt:
    """A source that answers while patience lasts, or not at all. `folder` is where silence is remembered, None nowhere.

    Belongs inside a cache: what is kept there needs no patience, and what is old is still better than nothing.
    """

    def __init__(
        self,
        source: ForecastSource,
        patience: Patience,
        clock: Clock,
        folder: Path | None = None,
        *,
        identity: str = "",
    ) -> None:
        self.name = source.name
        self._source = source
        self._patience = patience
        self._clock = clock
        sign = crc32(f"{source.name} {identity}".encode())
        self._mark = None if folder is None else folder / f"silent-{sign:08x}"

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """As the source's. Raises TemporaryError when it takes too long, or took too long lately."""
        silent = self._silent_since()
        if silent is not None:
            raise TemporaryError(
                f"{self.name}: {zone}: it was silent at {format_instant(silent)}", delay=REST
            )
        left_s = self._patience.left_s()
        if not left_s:
            raise TemporaryError(f"{self.name}: {zone}: not asked: others took all the time there was")
        try:
            return self._asked(zone, start, end, left_s)
        except TimeoutError:
            if left_s > self._patience.limit_s / 2:  # with less, it is not to blame
                self._remember()
            raise TemporaryError(f"{self.name}: {zone}: no answer within {left_s:.1f} s") from None

    def _asked(self, zone: str, start: datetime, end: datetime, left_s: float) -> IntensitySeries:
        """The answer, waited for so long; its thread is left alone then, and ends with the process."""
        from concurrent.futures import Future

        answer: Future[IntensitySeries] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._source.forecast(zone, start, end))
            except Exception as error:  # noqa: BLE001 - raised again by who waits
                answer.set_exception(error)

        Thread(target=ask, name=f"asking {self.name}", daemon=True).start()
        return answer.result(left_s)

    def _silent_since(self) -> datetime | None:
        if self._mark is None:
            return None
        try:
            since = parse_instant(self._mark.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return since if timedelta(0) <= self._clock.now() - since < REST else None

    def _remember(self) -> None:
        if self._mark is None:
            return
        try:
            self._mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_private(str(self._mark), format_instant(self._clock.now()))
        except OSError:  # then the next command waits as well
            return
