"""Sessions and clients that are silent; clocks that jump; a store that is away."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from services.common.store_guard import StoreUnavailable
from services.sessions.models import Client, Session
from services.sessions.sessions import store
from services.sessions.sessions.service.keeper import GRACE_S
from tests.unit.sessions.conftest import API, Joined, MakeAPI, refused, value
from tests.unit.sessions.sessions.test_ending import count, hold, joinable

MINUTE, HOUR, DAY = 60, 3600, 86_400


def post(api: API, joined: Joined) -> None:
    """Send what counts as activity."""
    headers = {"token": joined.token, "clientToken": joined.client}
    assert value(api.send("POST", "/api/session/resettimeout/?f=JSON", headers=headers)) is True


def poll(api: API, joined: Joined) -> None:
    """Ask for updates, so that silence means loss from now on."""
    seat = api.parts.seats.seat(joined.token, joined.client)
    assert seat.client is not None
    api.parts.activity.note(seat.client.id, seat.session.id, polled=True)


def states(api: API, joined: Joined) -> list[str]:
    return [one["state"] for one in value(api.get("/api/session/clients/", token=joined.token))]


@pytest.fixture
def session(api: API) -> int:
    return api.running()


@pytest.fixture
def joined(api: API, session: int) -> Joined:
    return api.join(session)


def ended(api: API) -> bool:
    with api.parts.database.read() as transaction:
        return transaction.scalars(sa.select(Session.ended_at)).one() is not None


def test_a_session_ends_when_no_client_is_heard(api: API, session: int, joined: Joined) -> None:
    for _ in range(5):
        api.clock.move(3 * MINUTE)
        if _ < 4:
            assert value(api.get("/api/session/info/", token=joined.token))["id"] == session
            api.parts.keeper.keep()
    api.clock.move(1)
    # before anybody has ended it
    assert joinable(api) == []
    assert value(api.io("GET_SESSIONS", "host")) == []
    answer = api.get("/api/session/info/", token=joined.token)
    refused(answer, 400, "INVALID_TOKEN")
    assert answer.headers["X-Status-Detail"] == "497"
    refused(api.io("JOIN_SESSION", "join", session, "VIEWER"), 404, "There is no session")
    refused(api.io("CLOSE_SESSION", "join", session, joined.client, False), 404, "There is no session")
    assert value(api.io("KILL_SESSION", "host", session)) is False
    api.parts.keeper.keep()
    assert not ended(api)  # another process may have heard a client a moment ago
    api.clock.move(GRACE_S)
    api.parts.keeper.keep()
    assert ended(api)
    assert count(api, Client, Client.released_at.is_(None)) == 0


def test_what_has_timed_out_is_in_nobodys_way(make_api: MakeAPI) -> None:
    api = make_api(limit=1)
    api.project()
    value(api.io("START_NEW_SESSION", "edit", "EDITOR", "demo"))
    refused(api.io("START_NEW_SESSION", "host", "MULTI", "demo"), 409, "Project demo is being edited")
    api.clock.move(15 * MINUTE)
    assert value(api.io("START_NEW_SESSION", "host", "MULTI", "demo")) == 2
    assert joinable(api) == [2]


def test_a_post_of_a_client_counts_before_it_is_written(api: API, session: int, joined: Joined) -> None:
    for _ in range(6):
        api.clock.move(10 * MINUTE)
        post(api, joined)
    assert joinable(api) == [session]
    api.clock.move(10 * MINUTE)
    assert joinable(api) == [session]
    api.parts.keeper.keep()
    assert joinable(api) == [session]
    api.clock.move(5 * MINUTE)
    assert joinable(api) == []


def test_activity_in_one_process_counts_in_another(make_api: MakeAPI) -> None:
    here, there = make_api(), make_api()
    joined = here.join(here.running())
    here.clock.move(10 * MINUTE)
    post(here, joined)
    here.parts.keeper.keep()
    here.clock.move(10 * MINUTE)
    there.parts.keeper.keep()
    assert joinable(there) == [joined.id]


def test_what_another_process_has_heard_lately_counts(make_api: MakeAPI) -> None:
    here, there = make_api(), make_api()
    joined = here.join(here.running())
    poll(here, joined)
    here.parts.keeper.keep()
    here.clock.move(29.5)
    poll(here, joined)
    here.clock.move(0.9)
    there.parts.keeper.keep()  # before it is written
    here.parts.keeper.keep()
    there.parts.keeper.keep()
    assert states(here, joined) == ["CONNECTED"]


def test_only_a_known_client_keeps_a_session_going(api: API, joined: Joined) -> None:
    answer = api.send("POST", "/api/session/resettimeout/?f=JSON", headers={"token": joined.token})
    refused(answer, 400, "INVALID_REQUEST: only a known client")


@pytest.mark.parametrize(("keep_alive", "lives_s", "ends_s"), [("SHORT", 13 * DAY, 2 * DAY), ("LONG", 364 * DAY, 2 * DAY)])
def test_a_session_is_kept_alive(api: API, session: int, keep_alive: str, lives_s: int, ends_s: int) -> None:
    value(api.io("SET_SESSION_KEEP_ALIVE", "host", session, keep_alive))
    api.clock.move(lives_s)
    api.parts.keeper.keep()
    assert joinable(api) == [session]
    api.clock.move(ends_s)
    assert joinable(api) == []


def test_a_client_that_polled_and_is_silent_is_released(api: API, session: int, joined: Joined) -> None:
    polls = api.join(session)
    hold(api, polls, 1)
    poll(api, polls)
    api.parts.keeper.keep()
    for seconds, state in ((19, "CONNECTED"), (2, "FAILING"), (8, "FAILING")):
        api.clock.move(seconds)
        api.parts.keeper.keep()
        assert states(api, joined) == [state, "CONNECTED"]
    api.clock.move(1)
    api.parts.keeper.keep()
    assert states(api, joined) == ["LOST", "CONNECTED"]
    api.clock.move(GRACE_S)
    api.parts.keeper.keep()
    assert states(api, joined) == ["CONNECTED", "RELEASED"]  # those who never asked for updates may work by reading alone
    refused(api.get("/api/session/info/", token=polls.token, clientToken=polls.client), 400, "CLIENT_RELEASED")
    assert all(one["version"] > 1 for one in api.items(joined, "STAKEHOLDERS") if one["id"] == 1)
    assert joinable(api) == [session]


def test_a_client_that_polls_stays(api: API, joined: Joined) -> None:
    for _ in range(6):
        poll(api, joined)
        api.parts.keeper.keep()
        api.clock.move(25)
        api.parts.keeper.keep()
    assert states(api, joined) == ["FAILING"]


def test_lost_clients_do_not_keep_a_session_open(api: API, session: int, joined: Joined) -> None:
    lost = api.join(session)
    poll(api, lost)
    api.parts.keeper.keep()
    api.clock.move(31)
    assert value(api.io("CLOSE_SESSION", "join", session, joined.client, False)) is True


def test_a_process_that_has_just_begun_releases_nobody(make_api: MakeAPI) -> None:
    api = make_api()
    joined = api.join(api.running())
    poll(api, joined)
    api.parts.keeper.keep()
    api.clock.move(40)
    begun = make_api()
    begun.parts.keeper.keep()
    assert states(begun, joined) == ["LOST"]
    poll(begun, joined)
    begun.parts.keeper.keep()
    assert states(begun, joined) == ["CONNECTED"]


def test_a_process_that_begins_ends_what_a_crash_has_left(make_api: MakeAPI) -> None:
    api = make_api()
    api.join(api.running())
    api.clock.move(HOUR)
    begun = make_api()
    begun.parts.keeper.keep()
    assert ended(begun)


@pytest.mark.parametrize("seconds", [HOUR, 400 * DAY, -HOUR])
def test_a_clock_that_jumps_ends_nothing(api: API, session: int, joined: Joined, seconds: int) -> None:
    poll(api, joined)
    api.parts.keeper.keep()
    api.clock.jump(seconds)
    assert joinable(api) == [session]
    assert value(api.get("/api/session/info/", token=joined.token))["id"] == session
    api.parts.keeper.keep()
    api.clock.move(15)
    api.parts.keeper.keep()
    assert joinable(api) == [session]
    assert states(api, joined) == ["CONNECTED"]
    api.clock.move(14 * MINUTE)
    assert joinable(api) == [session]
    api.clock.move(1 * MINUTE)
    api.parts.keeper.keep()
    assert joinable(api) == []


def test_a_store_that_was_away_ends_nothing(api: API, session: int, joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    keeper = api.parts.keeper
    poll(api, joined)
    keeper.keep()
    with monkeypatch.context() as patched:
        patched.setattr(api.parts.database, "run", away)
        patched.setattr(api.parts.lookups, "one", away)
        for _ in range(20):
            api.clock.move(MINUTE)
            keeper._try(keeper.keep)
    assert joinable(api) == [session]
    keeper.keep()
    api.clock.move(14 * MINUTE)
    assert joinable(api) == [session]


def test_notes_that_cannot_be_written_are_kept(api: API, joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise StoreUnavailable("away")

    api.clock.move(10 * MINUTE)
    post(api, joined)
    with monkeypatch.context() as patched:
        patched.setattr(store, "mark_heard", fails)
        with pytest.raises(StoreUnavailable):
            api.parts.keeper.flush()
    api.clock.move(10 * MINUTE)
    assert joinable(api) == [joined.id]
    api.parts.keeper.keep()
    assert joinable(api) == [joined.id]
    assert not ended(api)


def test_two_processes_end_the_same(make_api: MakeAPI) -> None:
    first, second = make_api(), make_api()
    first.join(first.running())
    first.clock.move(HOUR)
    moments = second.parts.silence.moments()
    first.parts.keeper.keep()
    second.parts.keeper._sweep(moments)
    assert not second.parts.database.run(lambda transaction: second.parts.keeper._end_or_release(transaction, 1, moments))
    assert ended(first)


def test_a_silent_round_asks_the_store_once(api: API, joined: Joined) -> None:
    api.parts.keeper.keep()  # tidies up
    asked: list[str] = []
    engines = (api.parts.database.engine, api.parts.lookups._engine)
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    api.clock.move(1)
    api.parts.keeper.keep()
    assert len(asked) == 1, asked


def test_what_ended_long_ago_is_forgotten(api: API, session: int, joined: Joined) -> None:
    left = api.join(session)
    value(api.io("CLOSE_SESSION", "join", session, left.client, False))
    value(api.io("SET_SESSION_KEEP_ALIVE", "host", session, "SHORT"))
    api.clock.move(2 * DAY)
    api.parts.keeper.keep()
    assert states(api, joined) == ["CONNECTED"]  # who left the day before yesterday is forgotten
    value(api.io("KILL_SESSION", "host", session))
    api.clock.move(29 * DAY)
    api.parts.keeper.keep()
    assert api.get("/api/session/info/", token=joined.token).headers["X-Status-Detail"] == "497"
    api.clock.move(2 * DAY)
    api.parts.keeper.keep()
    assert api.get("/api/session/info/", token=joined.token).headers["X-Status-Detail"] == "498"
    assert count(api, Client) == 0


def test_the_thread_of_the_keeper_ends_and_writes(make_api: MakeAPI) -> None:
    api = make_api()
    joined = api.join(api.running())
    api.parts.keeper.start()
    api.clock.move(MINUTE)
    post(api, joined)
    api.parts.keeper.close()
    with api.parts.database.read() as transaction:
        assert transaction.scalars(sa.select(Client.last_seen)).one() == api.clock.now()
