"""Changes of lists, as events make them, and polls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from sqlalchemy.orm import Session as Transaction
from werkzeug.test import TestResponse

from services.sessions.items.rules import lists
from services.sessions.items.store import Changes
from services.sessions.models import Client, Session
from services.sessions.sessions import store as sessions
from tests.support.waiting import wait_until
from tests.unit.sessions.conftest import API, Joined

UPDATE = "/api/session/update/"


def change(api: API, session_id: int, work: Callable[[Changes], Any]) -> Any:
    """Change lists of a session in one transaction, and tell so."""

    def run(transaction: Transaction) -> Any:
        session = sessions.lock(transaction, session_id)
        assert session is not None
        return work(Changes(transaction, session))

    found = api.parts.database.run(run)
    api.parts.directory.announce(session_id)
    return found


def add(api: API, session_id: int, name: str = "MESSAGES", **content: Any) -> int:
    """Add an item; return its id."""
    found: int = change(api, session_id, lambda changes: changes.add(name, {"text": "hello", **content}).id)
    return found


def remove(api: API, session_id: int, item_id: int, name: str = "MESSAGES") -> None:
    def work(changes: Changes) -> None:
        item = changes.get(name, item_id)
        assert item is not None
        changes.remove(item)

    change(api, session_id, work)


def release(api: API, joined: Joined) -> None:
    """Release the one client of a session."""

    def run(transaction: Transaction) -> None:
        transaction.query(Client).filter_by(session_id=joined.id).update({"released_at": api.clock.now()})

    api.parts.database.run(run)
    api.parts.directory.announce(joined.id)


def end(api: API, session_id: int) -> None:
    """End a session as a kill does."""

    def run(transaction: Transaction) -> None:
        session = transaction.get_one(Session, session_id)
        session.ended_at = api.clock.now()

    api.parts.database.run(run)
    api.parts.directory.announce(session_id)


def poll(api: API, joined: Joined, known: Mapping[str, Any] | None = None, *, client: bool = True, **query: Any) -> TestResponse:
    """Ask for updates; at once, unless `timeout` is in the query."""
    headers = {"token": joined.token} | ({"clientToken": joined.client} if client else {})
    asked = {"f": "JSON", "timeout": 0, **query}
    return api.send("POST", UPDATE, json=known, headers=headers, query_string=asked)


def held(api: API, joined: Joined, known: Mapping[str, Any], **options: Any) -> Future[TestResponse]:
    """Ask for updates in a thread, and return when the poll is held."""
    before = api.parts.polls.taken
    found: Future[TestResponse] = Future()

    def run() -> None:
        try:
            found.set_result(poll(api, joined, known, timeout=25, **options))
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    wait_until(lambda: found.done() or api.parts.polls.taken > before, what="a held poll")
    return found


def versions(found: Any, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """The versions that a client of either generation then has: the highest of its items and deletes. known: what it had before."""
    have = dict(known) if known else dict.fromkeys(lists.ALL, -1)
    for kind in ("items", "deletes"):
        for name, of_list in found[kind].items():
            have[name] = max(have[name], *(one["version"] for one in of_list), -1)
    return have
