"""What is edited in a session becomes a version of its project, or a new project."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from services.common.database import Database
from services.sessions.items.store import Changes
from services.sessions.models import Project
from services.sessions.projects import rules, store
from services.sessions.sessions import store as sessions
from tests.unit.sessions.conftest import API, refused, value


def put(api: API, session_id: int, to: str, **content: Any) -> None:
    """Add an item to a list of a session."""

    def work(transaction: Any) -> None:
        session = sessions.lock(transaction, session_id)
        assert session is not None
        Changes(transaction, session).add(to, content)

    api.parts.database.run(work)


def content(api: API, name: str) -> dict[str, list[dict[str, Any]]] | None:
    """What new sessions of a project begin with."""
    database: Database[Any] = api.parts.database  # type: ignore[type-arg]
    with database.read() as transaction:
        project = store.by_name(transaction, name)
        assert isinstance(project, Project)
        return store.content_of(transaction, project)


def end(api: API, session_id: int) -> None:
    """End a session."""

    def work(transaction: Any) -> None:
        session = sessions.lock(transaction, session_id)
        assert session is not None
        session.ended_at = api.clock.now()

    api.parts.database.run(work)


def test_a_saved_project_begins_with_what_was_edited(api: API) -> None:
    number = api.start(api.project(), "EDITOR")
    assert content(api, "demo") is None
    put(api, number, "BUILDINGS", name="school", floors=2)
    put(api, number, "MESSAGES", text="look")
    assert value(api.io("SAVE_PROJECT", "edit", number)) is True
    found = content(api, "demo")
    assert found is not None
    assert found["BUILDINGS"] == [{"id": 0, "name": "school", "floors": 2}]
    assert [one["text"] for one in found["MESSAGES"]] == ["look"]
    assert len(found["STAKEHOLDERS"]) == 4
    data = value(api.io("GET_PROJECT", "join", "demo"))
    assert (data["activeVersion"], data["versionMap"]) == (1, {"0": "Base Version", "1": "Version 1"})
    end(api, number)
    api.clock.move(60)
    played = api.join(api.start("demo"))
    assert [one["name"] for one in api.items(played, "BUILDINGS")] == ["school"]
    assert {one["timeMS"] for one in api.items(played, "TIMES")} == {int(api.clock.now().timestamp() * 1000)}


def test_an_older_version_is_taken_back(api: API) -> None:
    number = api.start(api.project(), "EDITOR")
    for name in ("one", "two"):
        put(api, number, "BUILDINGS", name=name)
        value(api.io("SAVE_PROJECT", "edit", number))
    refused(api.io("SET_PROJECT_ACTIVE_VERSION", "edit", "demo", 1), 409, "The project 'demo' runs as a session.")
    end(api, number)
    refused(api.io("SET_PROJECT_ACTIVE_VERSION", "edit", "demo", 3), 404, "There is no version '3'")
    value(api.io("SET_PROJECT_ACTIVE_VERSION", "edit", "demo", 1))
    found = content(api, "demo")
    assert found is not None and [one["name"] for one in found["BUILDINGS"]] == ["one"]
    value(api.io("SET_PROJECT_ACTIVE_VERSION", "edit", "demo", 0))
    assert content(api, "demo") is None
    refused(api.io("SET_PROJECT_LOCATION", "edit", "demo", 52, 4, 900), 409, "The project 'demo' has been saved: the size")
    assert value(api.io("SET_PROJECT_LOCATION", "edit", "demo", 52, 4, 500)) is True


def test_only_the_newest_versions_stay(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "KEPT_VERSIONS", 2)
    number = api.start(api.project(), "EDITOR")
    for _ in range(4):
        value(api.io("SAVE_PROJECT", "edit", number))
    assert list(value(api.io("GET_PROJECT", "join", "demo"))["versionMap"]) == ["0", "3", "4"]


def test_what_cannot_be_saved(api: API) -> None:
    number = api.running()
    refused(api.io("SAVE_PROJECT", "edit", number), 409, f"Session {number} is played, not edited.")
    refused(api.io("SAVE_PROJECT", "host", number), 400, "INSUFFICIENT_RIGHTS")
    refused(api.io("SAVE_PROJECT", "out", number), 404, f"There is no session '{number}'")
    refused(api.io("SAVE_PROJECT", "edit", 999), 404, "There is no session '999'")
    end(api, number)
    value(api.io("SET_PROJECT_TEMPLATE", "admin", "demo", True))
    edited = api.start("demo", "EDITOR")
    refused(api.io("SAVE_PROJECT", "edit2", edited), 400, "INSUFFICIENT_RIGHTS: you may only read the project 'demo'")
    refused(api.io("SAVE_PROJECT_AS", "edit", edited, None, "X", True), 400, "INVALID_REQUEST: A project's name has")
    refused(api.io("SAVE_PROJECT_AS", "edit", edited, "e", "other", True), 400, "INSUFFICIENT_RIGHTS: another domain")
    end(api, edited)
    refused(api.io("SAVE_PROJECT", "edit", edited), 404, f"There is no session '{edited}'")
    assert content(api, "demo") is None


def test_a_template_is_saved_as_a_project_of_ones_own(api: API) -> None:
    value(api.io("SET_PROJECT_LOCATION", "edit", api.project(), 52, 4, 800))
    refused(api.io("START_NEW_SESSION", "edit2", "EDITOR", "demo"), 400, "INSUFFICIENT_RIGHTS")
    value(api.io("SET_PROJECT_TEMPLATE", "admin", "demo", True))
    number = api.start("demo", "EDITOR", "edit2")
    put(api, number, "BUILDINGS", name="school")
    put(api, number, "MESSAGES", text="look")
    assert value(api.io("SAVE_PROJECT_AS", "edit2", number, None, "mine", False)) is True
    mine = value(api.io("GET_PROJECT", "edit2", "mine"))
    assert (mine["owner"], mine["sizeM"], mine["activeVersion"], mine["editing"]) == ("edit2@example.org", [800, 800], 1, True)
    found = content(api, "mine")
    assert found is not None and [one["name"] for one in found["BUILDINGS"]] == ["school"]
    assert (found["MESSAGES"], found["LOGS"]) == ([], [])
    # the session goes on as one of the new project: what is saved now leaves the template alone
    put(api, number, "BUILDINGS", name="shop")
    value(api.io("SAVE_PROJECT", "edit2", number))
    found = content(api, "mine")
    assert found is not None and [one["name"] for one in found["BUILDINGS"]] == ["school", "shop"]
    assert content(api, "demo") is None
    assert value(api.io("SET_PROJECT_NAME", "edit", "demo", "free")) is True  # no session of the template runs any more
    refused(api.io("SET_PROJECT_NAME", "edit2", "mine", "other"), 409, "The project 'mine' runs as a session.")
    refused(api.io("SAVE_PROJECT_AS", "edit2", number, None, "free"), 409, "Project name is already used")


def test_saves_at_once_are_versions_one_after_the_other(api: API) -> None:
    number = api.start(api.project(), "EDITOR")
    found: list[int] = []

    def save() -> None:
        found.append(api.io("SAVE_PROJECT", "edit", number).status_code)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert found == [200] * 4
    data = value(api.io("GET_PROJECT", "join", "demo"))
    assert (list(data["versionMap"]), data["activeVersion"]) == (["0", "1", "2", "3", "4"], 4)


def test_versions_go_with_their_project(api: API) -> None:
    number = api.start(api.project(), "EDITOR")
    value(api.io("SAVE_PROJECT", "edit", number))
    end(api, number)
    value(api.io("SET_PROJECT_TRASHED", "edit", "demo", True))
    api.clock.move(4 * 86_400)
    assert api.parts.projects.remove_trashed() == 1
    api.project()
    assert content(api, "demo") is None
    assert list(value(api.io("GET_PROJECT", "join", "demo"))["versionMap"]) == ["0"]
