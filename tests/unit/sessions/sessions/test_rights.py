"""Who may fire which event: levels, permissions of tokens, kinds of credentials."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from services.sessions import levels
from services.sessions.events.sets import ROOT, SESSION
from services.sessions.models import Project
from services.sessions.settings import MODERN
from tests.support.applications import Applications
from tests.support.fake_auth import FakeAuth
from tests.unit.sessions.conftest import API, MakeAPI, making, refused, value

LEVELS = {
    "START_NEW_SESSION": "HOST_SESSION",
    "GET_JOINABLE_SESSIONS": "JOIN_ONLY",
    "GET_SESSIONS": "HOST_SESSION",
    "GET_CONTINUABLE_SESSIONS": "JOIN_ONLY",
    "JOIN_SESSION": "JOIN_ONLY",
    "JOIN_OR_START": "JOIN_ONLY",
    "CLOSE_SESSION": "JOIN_ONLY",
    "KILL_SESSION": "HOST_SESSION",
    "SET_SESSION_KEEP_ALIVE": "HOST_SESSION",
    "GET_SESSION_KEEP_ALIVE": "HOST_SESSION",
    "SAVE_SESSION": "HOST_SESSION",
    "LOAD_SAVED_SESSION": "HOST_SESSION",
    "GET_PROJECT_SAVED_SESSIONS": "HOST_SESSION",
    "GET_SERVER_TIME": "JOIN_ONLY",
}
READING = {name for name in LEVELS if name.startswith("GET_")}
PERMISSIONS = ("full", "read", "write")


@pytest.fixture(scope="module")
def make_nowhere(apps: Applications, tmp_path_factory: pytest.TempPathFactory, house: FakeAuth) -> Iterator[MakeAPI]:
    """Builds applications without a store: rights are judged before it is asked."""
    folder = tmp_path_factory.mktemp("nowhere")
    with making(apps, f"sqlite:///{folder}/none.db", folder, house) as make:
        yield make


@pytest.fixture(scope="module")
def nowhere(make_nowhere: MakeAPI) -> API:
    return make_nowhere()


def fire(api: API, path: str, token: str, status: int = 400) -> str:
    """Fire an event with values that none takes; returns what it says."""
    answer = api.send("POST", f"{path}?f=JSON", json=["x"] * 50, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status, answer.text
    return answer.text


@pytest.mark.parametrize("level", levels.ALL)
def test_every_event_has_its_level_and_permission(nowhere: API, house: FakeAuth, level: str) -> None:
    named = {event.name: event for group in ROOT for event in group}
    assert LEVELS.keys() <= named.keys()
    for permission in PERMISSIONS:
        token = house.add(f"gh_{level}_{permission}", "somebody", permission=permission, level=level, domain="d")
        for group in ROOT:
            for event in group:
                wanted = LEVELS.get(event.name, event.level)
                changes = event.name not in READING if event.name in LEVELS else event.changes
                said = fire(nowhere, f"/api/services/event/{group.names[0]}/{event.name}/", token)
                if not levels.at_least(level, wanted):
                    assert said == "INSUFFICIENT_RIGHTS", event.name
                elif permission not in ("full", "write" if changes else "read"):
                    assert said == f"INSUFFICIENT_RIGHTS: this token may only {permission}", event.name
                else:
                    assert said.startswith(f"INVALID_REQUEST: {event.name} takes"), said


@pytest.mark.parametrize(
    ("kind", "scope", "status", "said"),
    [
        ("user", None, 400, "INVALID_REQUEST"),  # a sign-in in a browser
        ("account", None, 400, "INVALID_REQUEST"),
        ("user", "sessions", 400, "INVALID_REQUEST"),  # an application that the user allowed this
        ("client", "profile sessions", 400, "INVALID_REQUEST"),
        ("user", "devices", 400, "INSUFFICIENT_RIGHTS"),
        ("user", "", 400, "INSUFFICIENT_RIGHTS"),
        ("role", None, 401, "this is not a user's credential"),
        ("analysis", None, 401, "this is not a user's credential"),
        ("middleware", None, 401, "this is not a user's credential"),
    ],
)
def test_kinds_of_tokens(nowhere: API, house: FakeAuth, kind: str, scope: str | None, status: int, said: str) -> None:
    client = None if scope is None else "app"
    named = "none" if scope is None else f"scope-{scope.replace(' ', '-')}"  # an answer about a token is kept
    token = house.add(f"gh_{kind}_{named}", "somebody", kind=kind, level="EDITOR", client_id=client, scope=scope)
    assert fire(nowhere, "/api/event/io/kill/", token, status).startswith(said)


def test_credentials_that_are_none(nowhere: API) -> None:
    path = "/api/event/io/kill/?f=JSON"
    for headers in ({}, {"Authorization": "Bearer gh_unknown"}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Digest x=y"}):
        answer = nowhere.send("POST", path, json=[1], headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_page_of_data_is_for_those_who_may_read(nowhere: API, house: FakeAuth) -> None:
    token = house.add("gh_writes", "somebody", permission="write", domain="d")
    answer = nowhere.send("GET", "/api/sessions/?f=JSON", headers={"Authorization": f"Bearer {token}"})
    refused(answer, 400, "INSUFFICIENT_RIGHTS: this token may only write")


def test_todays_status_numbers(make_nowhere: MakeAPI) -> None:
    answer = make_nowhere(strict_status=MODERN).io("KILL_SESSION", "join", 1)
    refused(answer, 403, "INSUFFICIENT_RIGHTS")
    assert answer.headers["X-Status-Detail"] == "403"


def allow(api: API, **permissions: str) -> None:
    """Change the permissions of the only project."""
    api.parts.database.run(lambda transaction: transaction.execute(sa.update(Project).values(**permissions)))


def test_super_users_see_what_owners_let_them_see(api: API) -> None:
    session = api.running()
    assert value(api.io("GET_JOINABLE_SESSIONS", "root")) == []
    assert value(api.io("KILL_SESSION", "root", session)) is False

    allow(api, support_permission="READ")
    assert [one["id"] for one in value(api.io("GET_JOINABLE_SESSIONS", "root"))] == [session]
    api.join(session, "root")
    assert value(api.io("START_NEW_SESSION", "root", "MULTI", "demo")) == session + 1
    refused(api.io("START_NEW_SESSION", "root", "EDITOR", "demo"), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.io("KILL_SESSION", "root", session)) is True


def test_a_project_that_the_domain_may_not_read_is_its_owners(api: API) -> None:
    session = api.running()
    allow(api, domain_permission="NONE")
    assert value(api.io("GET_JOINABLE_SESSIONS", "join")) == []
    refused(api.io("JOIN_SESSION", "join", session, "VIEWER"), 400, "INSUFFICIENT_RIGHTS")
    refused(api.io("START_NEW_SESSION", "host", "MULTI", "demo"), 400, "INSUFFICIENT_RIGHTS")
    refused(api.io("KILL_SESSION", "host", session), 400, "INSUFFICIENT_RIGHTS")
    api.join(session, "edit")
    api.join(session, "admin")


def test_events_of_a_session_are_for_clients_of_their_level(api: API) -> None:
    session = api.running()
    watcher = dataclasses.replace(api.join(session), client="")
    seats = {
        "JOIN_ONLY": (watcher, api.join(session, "join")),
        "HOST_SESSION": (api.join(session, "host"),),
        "EDITOR": (api.join(session, "edit"),),
    }
    for level, several in seats.items():
        for joined in several:
            for event in SESSION:
                answer = api.fire(event.name, joined, *["x"] * 50)
                may = levels.at_least(level, event.level)
                refused(answer, 400, f"INVALID_REQUEST: {event.name} takes" if may else "INSUFFICIENT_RIGHTS")
