"""Saving a session, and going on from there."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session as Transaction

from services.sessions.items.store import Changes
from services.sessions.sessions import store
from services.sessions.sessions.rules import places
from tests.unit.sessions.conftest import API, MakeAPI, refused, value
from tests.unit.sessions.sessions.test_ending import hold

SAVE, LOAD = "SAVE_SESSION", "LOAD_SAVED_SESSION"


def rename(api: API, session_id: int, name: str) -> None:
    """Change the first stakeholder of a session."""

    def work(transaction: Transaction) -> None:
        session = store.lock(transaction, session_id)
        assert session is not None
        changes = Changes(transaction, session)
        item = changes.get("STAKEHOLDERS", 0)
        assert item is not None
        changes.change(item, {**item.content, "name": name})

    api.parts.database.run(work)


def test_a_saved_session_goes_on_where_it_was(api: API) -> None:
    session = api.running()
    hold(api, api.join(session), 1)
    rename(api, session, "Mayor")
    assert value(api.io(SAVE, "host", session, "monday")) is True
    rename(api, session, "Farmer")
    loaded = value(api.io(LOAD, "host", "MULTI", "demo", "Monday's session", "monday"))
    joined = api.join(loaded)
    assert [one["name"] for one in api.items(joined, "STAKEHOLDERS")][:2] == ["Mayor", "Stakeholder 2"]
    assert {one["id"]: one["name"] for one in value(api.io("GET_JOINABLE_SESSIONS", "join"))} == {
        session: "demo",
        loaded: "Monday's session",
    }
    again = api.join(value(api.io(LOAD, "host", "SINGLE", "demo", "x", "monday", "class 3", 9)))
    assert again.id == 9
    assert value(api.get("/api/session/info/", token=again.token))["groupToken"] == "class 3"


def test_a_save_of_the_same_name_is_replaced(api: API) -> None:
    session = api.running()
    value(api.io(SAVE, "host", session, "monday"))
    rename(api, session, "Mayor")
    api.clock.move(60)
    value(api.io(SAVE, "host", session, "monday"))
    (found,) = value(api.io("GET_PROJECT_SAVED_SESSIONS", "host", "demo"))
    assert (found["saveName"], found["sessionName"], found["projectName"]) == ("monday", "demo", "demo")
    assert found["saveTime"] == int(api.clock.now().timestamp() * 1000)
    assert value(api.io("GET_PROJECT_SAVED_SESSIONS", "host", None, "demo")) == [found]
    loaded = api.join(value(api.io(LOAD, "host", "MULTI", "demo", "again", "monday")))
    assert api.items(loaded, "STAKEHOLDERS")[0]["name"] == "Mayor"


def test_what_cannot_be_saved_or_loaded(api: API) -> None:
    session = api.running()
    value(api.io(SAVE, "host", session, "monday"))
    refused(api.io(SAVE, "join", session, "monday"), 400, "INSUFFICIENT_RIGHTS")
    refused(api.io(SAVE, "out", session, "monday"), 404, "There is no session")
    refused(api.io(SAVE, "host", session, ""), 400, "INVALID_REQUEST: saveToken")
    refused(api.io(LOAD, "host", "MULTI", "demo", "again", "tuesday"), 404, "There is no saved session 'tuesday'.")
    refused(api.io(LOAD, "host", "MULTI", "nope", "again", "monday"), 404, "There is no project 'nope'.")
    refused(api.io(LOAD, "edit", "EDITOR", "demo", "again", "monday"), 409, "Project demo is being played")
    refused(api.io("GET_PROJECT_SAVED_SESSIONS", "out", "demo"), 404, "There is no project 'demo'.")
    value(api.io("KILL_SESSION", "host", session))
    edited = value(api.io("START_NEW_SESSION", "edit", "EDITOR", "demo"))
    refused(api.io(SAVE, "edit", edited, "monday"), 409, "An EDITOR session is saved by SAVE_PROJECT.")


def test_a_project_has_so_many_saves(make_api: MakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_SAVES", 2)
    api = make_api()
    session = api.running()
    for name in ("a", "b", "a"):
        assert value(api.io(SAVE, "host", session, name)) is True
    refused(api.io(SAVE, "host", session, "c"), 409, "Project demo has 2 saved sessions.")
