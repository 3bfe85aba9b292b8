"""Many at once, on both stores: what is one step for a client is one step in the store."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session as Transaction

from services.sessions.models import Client, Item, ItemList, Project, Session
from services.sessions.sessions.service import steps
from tests.unit.sessions.conftest import API, MakeAPI, value
from tests.unit.sessions.sessions.test_ending import count, hold, joinable


@pytest.fixture
def apis(make_api: MakeAPI) -> list[API]:
    """Two processes' applications on one store."""
    found = [make_api(requests=64), make_api(requests=64)]
    for api in found:  # whoever asks auth first holds up the others of the same name
        for who in ("join", "host", "edit"):
            api.get("/api/sessions/", who)
    return found


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls from threads that begin together; return what they answered, in the order of the calls."""
    begin = threading.Barrier(len(calls))

    def call(one: Callable[[], Any]) -> Any:
        begin.wait(30)
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result(60) for one in [pool.submit(call, one) for one in calls]]


def spread(apis: Sequence[API], number: int, call: Callable[[API, int], Any]) -> list[Any]:
    return at_once(*(lambda n=n: call(apis[n % len(apis)], n) for n in range(number)))


def statuses(answers: Sequence[Any]) -> Counter[int]:
    return Counter(one.status_code for one in answers)


def nothing_left(api: API) -> None:
    """Check that no client, list or stakeholder outlives its session."""
    ended = sa.select(Session.id).where(Session.ended_at.is_not(None))
    assert count(api, Client, Client.released_at.is_(None), Client.session_id.in_(ended)) == 0
    assert count(api, ItemList, ItemList.session_id.in_(ended)) == 0
    held = sa.select(Item.holder).where(Item.holder.is_not(None))
    assert count(api, Client, Client.id.in_(held), Client.released_at.is_not(None)) == 0


def test_of_twenty_editors_one_starts(apis: list[API]) -> None:
    apis[0].project()
    answers = spread(apis, 20, lambda api, _: api.io("START_NEW_SESSION", "edit", "EDITOR", "demo"))
    assert statuses(answers) == {200: 1, 409: 19}
    assert len(value(apis[1].io("GET_JOINABLE_SESSIONS", "edit"))) == 1


def test_editors_and_players_never_have_one_project_together(apis: list[API]) -> None:
    apis[0].project()
    answers = spread(apis, 10, lambda api, n: api.io("START_NEW_SESSION", "edit", ("EDITOR", "MULTI")[n % 2], "demo"))
    types = {one["sessionType"] for one in value(apis[0].io("GET_JOINABLE_SESSIONS", "edit"))}
    assert types in ({"EDITOR"}, {"MULTI"})
    assert statuses(answers).keys() <= {200, 409}


def test_every_session_has_a_number_of_its_own(apis: list[API]) -> None:
    names = [apis[0].project(f"demo{n}") for n in range(12)]
    answers = spread(apis, 12, lambda api, n: api.io("START_NEW_SESSION", "host", "MULTI", names[n], None, 3 if n % 3 else None))
    assert len({value(one) for one in answers}) == 12


def test_places_are_not_given_twice(make_api: MakeAPI) -> None:
    apis = [make_api(limit=3, requests=64), make_api(limit=3, requests=64)]
    names = [apis[0].project(f"demo{n}") for n in range(10)]
    answers = spread(apis, 10, lambda api, n: api.io("START_NEW_SESSION", "host", "MULTI", names[n]))
    assert statuses(answers) == {200: 3, 503: 7}


def test_of_twenty_that_join_or_start_one_starts(apis: list[API]) -> None:
    apis[0].project()
    answers = spread(apis, 20, lambda api, _: value(api.io("JOIN_OR_START", "host", "MULTI", "demo")))
    assert {one["sessionID"] for one in answers} == {1}
    assert len({one["client"]["clientToken"] for one in answers}) == 20
    assert joinable(apis[0]) == [1]


def test_all_who_join_at_once_are_in(apis: list[API]) -> None:
    session = apis[0].running()
    joined = spread(apis, 20, lambda api, _: api.join(session))
    assert len({one.client for one in joined}) == 20
    assert len(value(apis[0].get("/api/session/clients/", token=joined[0].token))) == 20


def test_joins_with_one_token_are_one_client(apis: list[API]) -> None:
    session = apis[0].running()
    joined = spread(apis, 10, lambda api, _: api.join(session, "join", "VIEWER", "agent", "0123456789abcdef"))
    assert len(set(joined)) == 1
    assert count(apis[0], Client) == 1


def test_a_token_is_taken_in_one_session_only(apis: list[API]) -> None:
    sessions = [apis[0].running(), apis[0].start()]
    answers = spread(apis, 10, lambda api, n: api.io("JOIN_SESSION", "join", sessions[n // 2 % 2], "VIEWER", "a", "0123456789abcdef"))
    assert statuses(answers).keys() == {200, 400}
    assert count(apis[0], Client) == 1


def test_of_the_last_who_leave_together_one_ends_the_session(apis: list[API]) -> None:
    for _ in range(3):
        session = apis[0].running() if _ == 0 else apis[0].start()
        joined = [apis[0].join(session) for _ in range(4)]
        answers = spread(apis, 4, lambda api, n: value(api.io("CLOSE_SESSION", "join", session, joined[n].client, False)))  # noqa: B023
        assert Counter(answers) == {False: 3, True: 1}
        assert joinable(apis[0]) == []
        nothing_left(apis[0])


def test_whoever_joins_while_the_last_one_leaves_is_in_or_finds_nothing(apis: list[API]) -> None:
    session = apis[0].running()
    last = apis[0].join(session)
    closed, *joins = at_once(
        lambda: apis[0].io("CLOSE_SESSION", "join", session, last.client, False),
        *(lambda n=n: apis[n % 2].io("JOIN_SESSION", "join", session, "VIEWER") for n in range(4)),
    )
    if value(closed):
        assert joinable(apis[1]) == []
    assert statuses(joins).keys() <= {200, 404}
    if not value(closed):
        assert 200 in statuses(joins)
    nothing_left(apis[0])


def test_a_kill_during_joins_leaves_nothing(apis: list[API]) -> None:
    session = apis[0].running()
    hold(apis[0], apis[0].join(session), 0)
    answers = spread(
        apis,
        12,
        lambda api, n: api.io("KILL_SESSION", "host", session) if n == 5 else api.io("JOIN_SESSION", "join", session, "VIEWER"),
    )
    assert value(answers.pop(5)) is True
    assert statuses(answers).keys() <= {200, 404}
    nothing_left(apis[0])


def test_of_many_kills_one_ends_it(apis: list[API]) -> None:
    session = apis[0].running()
    answers = spread(apis, 8, lambda api, _: value(api.io("KILL_SESSION", "host", session)))
    assert Counter(answers) == {True: 1, False: 7}


def test_keepers_and_clients_at_once_leave_nothing(apis: list[API]) -> None:
    session = apis[0].running()
    joined = [apis[0].join(session) for _ in range(6)]
    for one in joined:
        seat = apis[0].parts.seats.seat(one.token, one.client)
        assert seat.client is not None
        apis[0].parts.activity.note(seat.client.id, session, polled=True)
    apis[0].parts.keeper.keep()
    apis[0].clock.move(33)
    spread(
        apis,
        8,
        lambda api, n: api.parts.keeper.keep() if n < 4 else api.io("CLOSE_SESSION", "join", session, joined[n - 4].client, False),
    )
    apis[0].parts.keeper.keep()
    assert count(apis[0], Client, Client.released_at.is_(None)) == 0
    nothing_left(apis[0])


def test_notes_of_two_processes_do_not_wait_for_each_other(apis: list[API]) -> None:
    joined = [apis[0].join(session) for session in (apis[0].running(), apis[0].start(), apis[0].start()) for _ in range(4)]
    refs = []
    for one in joined:
        seat = apis[0].parts.seats.seat(one.token, one.client)
        assert seat.client is not None
        refs.append((seat.client.id, one.id))

    def note(api: API, n: int) -> None:
        for client, session in refs if n % 2 else reversed(refs):
            api.parts.activity.note(client, session, polled=True)
        api.parts.keeper.flush()

    spread(apis, 8, note)
    assert count(apis[0], Client, Client.polled.is_(True)) == 12


def test_a_project_that_is_thrown_away_is_not_started(apis: list[API]) -> None:
    """Whoever throws a project away locks it and looks for its sessions; whoever starts it has locked it, too."""
    for _ in range(4):
        name = apis[0].project(f"demo{_}")

        def trash(name: str = name) -> bool:
            def work(transaction: Transaction) -> bool:
                project = transaction.execute(sa.select(Project).where(Project.name == name).with_for_update()).scalar_one()
                runs = sa.select(Session.id).where(Session.project_id == project.id, Session.ended_at.is_(None))
                if transaction.scalars(runs).first() is not None:
                    return False
                project.trashed_at = apis[1].clock.now()
                return True

            return apis[1].parts.database.run(work)

        started, trashed = at_once(functools.partial(apis[0].io, "START_NEW_SESSION", "host", "MULTI", name), trash)
        assert (started.status_code, trashed) in ((200, False), (404, True))


def test_a_start_that_breaks_off_leaves_nothing(make_api: MakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    api = make_api()
    api.project()

    def breaks(*_: Any) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(steps, "join", breaks)
        assert api.io("JOIN_OR_START", "host", "MULTI", "demo").status_code == 500
    assert count(api, ItemList) == 0
    assert joinable(api) == []
    assert value(api.io("START_NEW_SESSION", "edit", "EDITOR", "demo")) == 1
