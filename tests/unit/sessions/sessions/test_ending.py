"""Leaving, closing and killing sessions."""

from __future__ import annotations

import sqlalchemy as sa

from services.sessions.models import Client, Item, ItemList
from tests.unit.sessions.conftest import API, Joined, refused, value

CLOSE, KILL = "CLOSE_SESSION", "KILL_SESSION"


def joinable(api: API) -> list[int]:
    return [one["id"] for one in value(api.io("GET_JOINABLE_SESSIONS", "join"))]


def count(api: API, table: type[Client] | type[Item] | type[ItemList], *which: sa.ColumnElement[bool]) -> int:
    with api.parts.database.read() as transaction:
        return transaction.scalar(sa.select(sa.func.count()).select_from(table).where(*which)) or 0


def hold(api: API, joined: Joined, stakeholder: int) -> None:
    """Let a client hold a stakeholder."""

    def work(transaction: sa.orm.Session) -> None:
        client = transaction.scalars(sa.select(Client).where(Client.session_id == joined.id).order_by(Client.id.desc()).limit(1)).one()
        transaction.get_one(Item, (joined.id, "STAKEHOLDERS", stakeholder)).holder = client.id

    api.parts.database.run(work)


def test_the_last_client_closes_the_session(api: API) -> None:
    session = api.running()
    first, second = api.join(session), api.join(session)
    assert value(api.io(CLOSE, "join", session, first.client, False)) is False
    assert value(api.io(CLOSE, "join", session, first.client, False)) is False  # it is no client any more
    assert joinable(api) == [session]
    assert value(api.io(CLOSE, "join", session, second.client)) is True
    assert joinable(api) == []
    refused(api.io(CLOSE, "join", session, second.client, False), 404, "There is no session")


def test_a_session_may_be_left_open(api: API) -> None:
    session = api.running()
    joined = api.join(session)
    assert value(api.io(CLOSE, "join", session, joined.client, True)) is False
    assert joinable(api) == [session]
    api.join(session)


def test_a_session_that_is_kept_alive_is_not_closed(api: API) -> None:
    session = api.running()
    joined = api.join(session)
    assert value(api.io("GET_SESSION_KEEP_ALIVE", "host", session)) == "NEVER"
    assert value(api.io("SET_SESSION_KEEP_ALIVE", "host", session, "short")) is True
    assert value(api.io("GET_SESSION_KEEP_ALIVE", "host", session)) == "SHORT"
    assert value(api.io(CLOSE, "join", session, joined.client, False)) is False
    assert joinable(api) == [session]
    refused(api.io("SET_SESSION_KEEP_ALIVE", "host", session, "FOREVER"), 400, "INVALID_REQUEST: keepAlive")
    refused(api.io("SET_SESSION_KEEP_ALIVE", "join", session, "LONG"), 400, "INSUFFICIENT_RIGHTS")
    for event in ("SET_SESSION_KEEP_ALIVE", "GET_SESSION_KEEP_ALIVE"):
        refused(api.io(event, "out", session, *(["LONG"] if event.startswith("SET") else [])), 404, "There is no session")


def test_nobody_is_released_by_a_token_that_is_none(api: API) -> None:
    session = api.running()
    joined = api.join(session)
    other = api.join(api.start())
    for token in ("bogus", other.client, ""):
        assert value(api.io(CLOSE, "join", session, token, False)) is False
    refused(api.io(CLOSE, "out", session, joined.client, False), 404, "There is no session")
    assert [one["state"] for one in value(api.get("/api/session/clients/", token=joined.token))] == ["CONNECTED"]


def test_a_killed_session_is_over_for_all(api: API) -> None:
    session = api.running()
    joined = api.join(session)
    refused(api.io(KILL, "join", session), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.io(KILL, "out", session)) is False
    assert value(api.io(KILL, "host", 4711)) is False
    assert joinable(api) == [session]
    assert value(api.io(KILL, "host", session)) is True
    assert value(api.io(KILL, "host", session)) is False
    answer = api.get("/api/session/info/", token=joined.token)
    refused(answer, 400, "INVALID_TOKEN")
    assert answer.headers["X-Status-Detail"] == "497"
    assert count(api, Client, Client.released_at.is_(None)) == 0
    assert count(api, ItemList) == count(api, Item) == 0  # the row of the session stays, what it held does not


def test_what_a_client_held_is_free_when_it_leaves(api: API) -> None:
    session = api.running()
    stays, leaves = api.join(session), api.join(session)
    hold(api, leaves, 2)
    before = {one["id"]: one["version"] for one in api.items(stays, "STAKEHOLDERS")}
    value(api.io(CLOSE, "join", session, leaves.client, False))
    assert count(api, Item, Item.holder.is_not(None)) == 0
    after = {one["id"]: one["version"] for one in api.items(stays, "STAKEHOLDERS")}
    assert [id for id in after if after[id] > before[id]] == [2]
    (logged,) = api.items(stays, "LOGS")
    assert (logged["event"], logged["stakeholderID"], logged["userName"]) == ("CLOSE_SESSION", 2, "join@example.org")
    assert logged["text"] == "Stakeholder 3 is free."


def test_a_client_that_has_left_is_refused(api: API) -> None:
    session = api.running()
    api.join(session)
    leaves = api.join(session)
    value(api.io(CLOSE, "join", session, leaves.client, False))
    answer = api.get("/api/session/info/", token=leaves.token, clientToken=leaves.client)
    refused(answer, 400, "CLIENT_RELEASED")
    assert answer.headers["X-Status-Detail"] == "495"
