"""What `/ready` asks, and what `/metrics` tells of it without asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.common import logging as logs
from services.common.migrations import NotMigrated
from services.common.readiness import NotReady

log = logs.get(__name__)

Check = Callable[[], None]

RENEWED_AFTER_S: Final = 10.0
TOLD_FOR_S: Final = 90.0  # more than the minute between two looks of a Prometheus that is not told otherwise; what is older is not known


@dataclass(frozen=True, slots=True)
class _Outcome:
    """well: whether the check passed. seconds: how long it took. at: time.monotonic()."""

    well: bool
    seconds: float
    at: float


class Checks(Collector):
    """The checks of a service. A check raises when what it checks cannot be used; the message must hold no secret.

    The log has each change, not each poll.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._failing: dict[str, type[Exception]] = {}
        self._outcomes: dict[str, _Outcome] = {}
        self._asked = -RENEWED_AFTER_S  # time.monotonic()
        self._renewing = threading.Lock()

    def add(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def run(self) -> dict[str, str]:
        """Return each check's name with `ok` or what is wrong."""
        self._asked = time.monotonic()
        found = {}
        for name, check in self._checks.items():
            began = time.monotonic()
            try:
                check()
                found[name] = "ok"
                if self._failing.pop(name, None) is not None:
                    log.info("ready again", check=name)
            except Exception as error:  # a check may fail in any way; the answer says which failed, the log says how
                if self._failing.get(name) is not type(error):
                    log.warning("not ready", check=name, error=f"{type(error).__name__}: {error}")
                self._failing[name] = type(error)
                found[name] = str(error) if isinstance(error, (NotReady, NotMigrated)) else f"failed ({type(error).__name__})"
            ended = time.monotonic()
            self._outcomes[name] = _Outcome(found[name] == "ok", ended - began, ended)
        return found

    def refresh(self) -> None:
        """Begin to run the checks in a thread, unless they were run a moment ago. `/metrics` waits for none, and tells next time."""
        if not self._checks or time.monotonic() < self._asked + RENEWED_AFTER_S or not self._renewing.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._renew, name="checks", daemon=True).start()
        except RuntimeError as error:  # there are as many threads as there may be
            self._renewing.release()
            log.warning("checks not run", error=str(error))

    def _renew(self) -> None:
        try:
            self.run()
        finally:
            self._renewing.release()

    def collect(self) -> Iterator[Metric]:
        """Yield what the last run found, if it was not long ago."""
        ready = GaugeMetricFamily("service_ready", "Whether what the service needs can be used: 1, or 0.", labels=["check"])
        seconds = GaugeMetricFamily("service_check_seconds", "How long it took to find that out, the last time.", labels=["check"])
        now = time.monotonic()
        for name, outcome in self._outcomes.copy().items():
            if now - outcome.at < TOLD_FOR_S:
                ready.add_metric([name], float(outcome.well))
                seconds.add_metric([name], outcome.seconds)
        yield ready
        yield seconds
