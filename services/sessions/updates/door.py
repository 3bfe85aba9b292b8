"""A short way in for the plainest polls, which come by the hundred: they wait without a thread (`parking.py`). All else goes to the
application, and so does all that it would refuse. The answer is the very same on both ways, and so are the log line and the metrics; a
test compares them.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask

from services.common import request_id
from services.sessions import bodies, refusals, web
from services.sessions.updates import rules
from services.sessions.updates.api import RESYNC, STREAM
from services.sessions.updates.parking import TICKS, Outcome, Parked, Released
from services.sessions.updates.rules import Known
from services.sessions.updates.service import Update
from services.sessions.wiring import Parts

LARGEST: Final = 4096  # bytes of a body
_MOST_READ: Final = 256  # bodies that are remembered
_TARGET: Final = re.compile(r"(/api/session/update|/api/slots/([0-9]{1,9})/update)(/?)(?:\?([A-Za-z0-9=&.-]*))?").fullmatch
_ROUTES: Final = ("/api/session/update/", "/api/slots/<int:slot>/update/")
_QUERY: Final = frozenset({"f", "token", "clientToken", "timeout", "force"})
_UNUSUAL: Final = ("HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE", "HTTP_TRAILER")
_ANYTHING: Final = ("", "*/*")  # of Accept: whoever sends JSON gets JSON


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request for its answer. began: time.perf_counter()."""

    path: str
    route: str
    request_id: str
    began: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer without the request's id. headers: those that the application gives."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Door:
    """Reads and answers polls. Thread-safe."""

    def __init__(self, app: Flask) -> None:
        self._extensions = app.extensions
        self._last: tuple[Outcome, Answer] | None = None
        self._read: dict[tuple[bytes, bool], Known] = {}

    @property
    def parts(self) -> Parts:
        found: Parts = self._extensions["sessions"]
        return found

    def length(self, environ: Mapping[str, str]) -> int | None:
        """Return the length of the body, None when the headers are unusual. environ: as WSGI has them."""
        said = environ.get("CONTENT_LENGTH") or "0"
        if not said.isdecimal() or len(said) > 4 or any(name in environ for name in _UNUSUAL):
            return None
        if said != "0" and environ.get("CONTENT_TYPE") != "application/json":
            return None
        return int(said) if int(said) <= LARGEST else None

    def read(self, target: str, environ: Mapping[str, str], content: bytes, owner: Any) -> tuple[Parked, Visit] | None:
        """Read a poll; None when the application must answer. Never waits. owner: see `Parked`."""
        began = time.perf_counter()
        found = _TARGET(target)
        if found is None:
            return None
        query = _query(found[4] or "")
        if query is None or not _wants_json(environ, query.get("f")):
            return None
        token = environ.get("HTTP_TOKEN") or environ.get("HTTP_SERVERTOKEN") or query.get("token")
        client = environ.get("HTTP_CLIENTTOKEN") or query.get("clientToken")
        slot = None if found[2] is None else int(found[2])
        try:
            seat = self.parts.seats.remembered(token, client, slot)
            if seat is None:
                return None
            afresh = query.get("force", "").lower() in ("true", "1")
            known = self._known(content, afresh)
            seconds = rules.read_timeout(query.get("timeout"))
        except Exception:  # whatever it is: the application finds it, too
            return None
        if seconds <= 0:
            return None
        tick = math.ceil((time.monotonic() + seconds) * TICKS)
        path = found[1] + found[3]
        visit = Visit(path, _ROUTES[slot is not None], request_id.accept(environ.get("HTTP_X_REQUEST_ID")), began)
        return Parked(seat, known, tick, owner), visit

    def _known(self, content: bytes, afresh: bool) -> Known:
        """Read a body; hundreds send the same one. Raises Refusal 400."""
        found = self._read.get((content, afresh))
        if found is None:
            found = rules.read_versions(bodies.read_json(content), afresh=afresh)
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            self._read[content, afresh] = found
        return found

    def park(self, poll: Parked) -> bool:
        """Have a poll wait. False when the application must answer it."""
        try:
            if not self.parts.parking.park(poll):
                return False
        except Exception:  # no place is left: the application says so
            return False
        if poll.seat.client is not None:
            self.parts.activity.note(poll.seat.client.id, poll.seat.session.id, polled=True)
        return True

    def answer(self, outcome: Outcome) -> Answer:
        """Return the answer of an outcome, other than that the application is asked."""
        last = self._last
        if last is not None and last[0] is outcome:
            return last[1]
        made = self._answer(outcome)
        self._last = (outcome, made)
        return made

    def told(self, visit: Visit, status: int) -> None:
        """Note that a request was answered: as the application does."""
        request_id.enter(visit.request_id)
        self._extensions["observed"]("POST", visit.route, visit.path, status, time.perf_counter() - visit.began)
        request_id.enter(None)

    def _answer(self, outcome: Outcome) -> Answer:
        if outcome is None:
            return Answer(204, web.HEADERS, b"")
        if isinstance(outcome, Update):
            own = [("Content-Type", "application/json"), ("Content-Length", str(len(outcome.body)))]
            if outcome.resync:
                own.append((RESYNC, "1"))
            return Answer(200, (*own, *web.HEADERS), outcome.body)
        assert outcome is Released
        refusal = refusals.client_released()
        body = refusal.message.encode()
        own = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *refusal.headers.items()]
        return Answer(web.status_of(self.parts.settings, refusal.status, refusal.code), (*own, *web.HEADERS), body)


def _query(text: str) -> dict[str, str] | None:
    """Read a query; None when anything in it is unusual."""
    if not text:
        return {}
    pairs = [one.partition("=") for one in text.split("&")]
    found = {name: value for name, _, value in pairs}
    return found if len(found) == len(pairs) and found.keys() <= _QUERY else None


def _wants_json(environ: Mapping[str, str], format_: str | None) -> bool:
    accept = environ.get("HTTP_ACCEPT", "")
    if format_ is None:
        return accept == "application/json" or (accept in _ANYTHING and environ.get("CONTENT_TYPE") == "application/json")
    return format_.upper() == "JSON" and STREAM not in accept.lower()
