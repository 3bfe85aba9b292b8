"""The audit: who called the operator API to change what, when and from where, what was there before and after, and how it ended.

The record of a write is part of its transaction (`stores/callers.py`). A refused attempt, which wrote nothing, is recorded by itself.
Documents are kept as answers show them, without secrets, up to a size; the revisions of definitions have all of them whole.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from services.common import logging as logs
from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import Caller, OfCallers, Told

log = logs.get(__name__)

DONE: Final = "done"
# Characters of JSON of one document; most definitions have less.
LARGEST: Final = 16_384
_LONGEST_TEXT: Final = 200
_SLICE: Final = 1000  # rows of one transaction that purges: nobody else waits for long
_LOOK_S: Final = 600.0
_PAUSE_S: Final = 0.2
# Members of documents that are never kept, in lower case; beside these, what the log masks (`gh_…`).
_SECRET: Final = frozenset(
    {"password", "secret", "hmac_string", "hmac_secret", "access_key", "client_secret", "private_key", "shared_secret"}
)

AUDIT: Final = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at", UTCDateTime, nullable=False, index=True),
    sa.Column("operator_id", sa.String(64), nullable=False),  # "" = the first key
    sa.Column("operator", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("org_id", sa.Text, nullable=False, index=True),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("before", sa.JSON(none_as_null=True)),
    sa.Column("after", sa.JSON(none_as_null=True)),
    sa.Column("result", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
)
_A: Final = AUDIT.c


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the operator API. operator_id: "" = the first key. author, note: as the caller states them, "" = not said.

    route: its path, with names in place of what may be a secret. kind: what it is about, such as `api`. item: the id in the path, if it is
    no secret. org_id: the organisation of the operator.
    """

    operator_id: str
    operator: str
    author: str
    note: str
    address: str
    method: str
    route: str
    kind: str
    item: str
    org_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which records are wanted. who: an operator's id or name, or the stated author. item: an id. Empty, None: any."""

    who: str = ""
    kind: str = ""
    item: str = ""
    since: dt.datetime | None = None
    until: dt.datetime | None = None


class AuditStore(OfCallers):
    """Thread-safe."""

    def __init__(self, database: CoreDatabase, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def recorder(self, call: Call) -> Caller:
        """Return the caller whose writes are recorded as those of this call."""

        def record(connection: sa.Connection, told: Sequence[Told]) -> None:
            rows = [self._row(call, one) for one in told or [Told(call.kind, call.item, call.org_id, None, None)]]
            connection.execute(sa.insert(AUDIT), rows)

        return Caller(call.org_id, record)

    def note(self, call: Call, result: str, status: int) -> None:
        """Record a call that wrote nothing. result: the code of its refusal, or `done`."""
        row = self._row(call, Told(call.kind, call.item, call.org_id, None, None)) | {"result": result, "status": status}
        self._database.run(lambda connection: connection.execute(sa.insert(AUDIT).values(row)))

    def _row(self, call: Call, told: Told) -> dict[str, Any]:
        return {
            "at": self._clock.now(),
            "operator_id": call.operator_id,
            "operator": call.operator[:_LONGEST_TEXT],
            "author": call.author,
            "note": call.note,
            "address": call.address[:_LONGEST_TEXT],
            "org_id": told.org_id or call.org_id,
            "method": call.method[:16],
            "route": call.route,
            "kind": told.kind,
            "item": told.id[:_LONGEST_TEXT],
            "before": _kept(told.before),
            "after": _kept(told.after),
            "result": DONE,
            "status": 200,
            "request_id": call.request_id,
        }

    def page(self, chosen: Chosen, number: int = 0, size: int = 10) -> tuple[list[dict[str, Any]], int]:
        """Return one page of records, the newest first, and the number of all. number: from zero, negative = everything."""
        which = [self._caller.owns(_A.org_id)]
        if chosen.who:
            which.append(sa.or_(_A.operator_id == chosen.who, _A.operator == chosen.who, _A.author == chosen.who))
        which += [column == value for column, value in ((_A.kind, chosen.kind), (_A.item, chosen.item)) if value]
        if chosen.since is not None:
            which.append(_A.at >= chosen.since)
        if chosen.until is not None:
            which.append(_A.at < chosen.until)
        ordered = sa.select(AUDIT).where(*which).order_by(_A.id.desc())
        if number >= 0:
            ordered = ordered.limit(size).offset(number * size)
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(AUDIT).where(*which)) or 0
            return [dict(row._mapping) for row in connection.execute(ordered)], total

    def purge(self, before: dt.datetime) -> int:
        """Delete records of before a moment, a thousand at most; return how many."""
        some = sa.select(_A.id).where(_A.at < before).order_by(_A.at).limit(_SLICE)
        return self._database.run(lambda connection: connection.execute(sa.delete(AUDIT).where(_A.id.in_(some))).rowcount)


class AuditKeeper:
    """One thread that deletes records when their time is over: a thousand at a time, with pauses."""

    def __init__(self, audit: AuditStore, days: int, clock: Clock | None = None) -> None:
        """days: how long they are kept, 0 = for ever."""
        self._audit = audit
        self._days = days
        self._clock = clock or SystemClock()
        self._stopping = threading.Event()

    def start(self) -> None:
        if self._days:
            threading.Thread(target=self._run, name="audit", daemon=True).start()

    def stop(self) -> None:
        """Delete nothing more. Waits for nothing."""
        self._stopping.set()

    def _run(self) -> None:
        told, pause = False, 0.0
        while not self._stopping.wait(pause):
            began = time.monotonic()
            try:
                more = self._audit.purge(self._clock.now() - dt.timedelta(days=self._days)) >= _SLICE
                told = False
            except Exception as error:  # the database is away: tried again
                more = False
                if not told:
                    log.warning("old audit records not deleted", error=type(error).__name__)
                told = True
            # a slow store is left as much time as it took
            pause = max(_PAUSE_S, time.monotonic() - began) if more else _LOOK_S


def _kept(document: Mapping[str, Any] | None) -> Any:
    """Return a document as it is kept: without secrets, and without its content when that is large."""
    if document is None:
        return None
    shown = _without_secrets(document)
    text = json.dumps(shown, ensure_ascii=False)
    if len(text) > LARGEST:
        return {"left_out": f"{len(text)} characters"}
    masked = logs.mask_secrets(text)
    return shown if masked == text else json.loads(masked)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        shown = {name: _without_secret(str(name).lower(), inner) for name, inner in value.items()}
        return shown | dict.fromkeys(_signing(value), "***")
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value


def _signing(document: Mapping[str, Any]) -> list[str]:
    """Return the members of a definition with which anybody can sign tokens: what they are checked with, where that is one secret."""
    found = {name: inner for name, inner in document.items() if str(name).lower() in ("jwt_signing_method", "jwt_source") and inner}
    is_hmac = any(str(name).lower() == "jwt_signing_method" and inner == "hmac" for name, inner in found.items())
    return [name for name in found if is_hmac and str(name).lower() == "jwt_source"]


def _without_secret(name: str, value: Any) -> Any:
    if value and name in _SECRET and not isinstance(value, bool):
        return "***"
    if name == "header_map" and isinstance(value, Mapping):
        return logs.redact(dict(value))  # by the name of each header: a receiver may want a credential
    return _without_secrets(value)
