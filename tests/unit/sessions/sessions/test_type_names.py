"""Types of sessions have other names today than in 2015: at the addresses of 2015 the starter's is answered, at today's today's."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.unit.sessions.conftest import API, refused, value

NAMES = [("MULTI", "MULTI"), ("multi_player", "MULTI"), ("SINGLE_PLAYER", "SINGLE"), ("EDITOR", "EDITOR")]


def of_2015(api: API, name: str, *values: Any) -> TestResponse:
    return api.io(name, "edit", *values)


def of_today(api: API, name: str, *values: Any) -> TestResponse:
    return api.send("POST", f"/api/event/io/{name.lower()}/?f=JSON", "edit", json=list(values))


def said(value: Any) -> list[str]:
    """Return each type of a session in an answer."""
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in ([inner] if name == "sessionType" else said(inner))]
    return [found for inner in value for found in said(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("start", [of_2015, of_today])
@pytest.mark.parametrize(("started_as", "today"), NAMES)
def test_each_generation_reads_its_own_names(api: API, start: Any, started_as: str, today: str) -> None:
    api.project()
    session = value(start(api, "START_NEW_SESSION", started_as, "demo"))
    then = started_as.upper()
    for ask, name in ((of_2015, then), (of_today, today)):
        joined = value(ask(api, "JOIN_SESSION", session, "EDITOR"))
        pair = {"apiToken": joined["apiToken"], "clientToken": joined["client"]["clientToken"]}
        assert joined["sessionType"] == name
        assert said(value(ask(api, "GET_CONTINUABLE_SESSIONS", [pair]))) == [name]
        assert said(value(ask(api, "GET_JOINABLE_SESSIONS"))) == [name]
        assert said(value(ask(api, "GET_SESSIONS"))) == [name]
    token = joined["apiToken"]
    for path, name in (
        ("/api/services/sessions/", then),
        ("/api/sessions/", today),
        (f"/api/slots/{session}/info/", then),
        ("/api/session/info/", today),
        (f"/api/slots/{session}/", then),
        ("/api/session/", today),
    ):
        assert said(value(api.get(path, "edit", token=token))) == [name], path
    assert value(api.get(f"/api/slots/{session}/info/", token=token))["type"] == today  # only today's clients read it


def test_both_names_mean_one_type(api: API) -> None:
    api.project()
    first = value(of_2015(api, "JOIN_OR_START", "MULTI_PLAYER", "demo"))
    again = value(of_today(api, "JOIN_OR_START", "MULTI", "demo"))
    other = value(of_2015(api, "JOIN_OR_START", "MULTI", "demo"))
    assert first["sessionID"] == again["sessionID"] == other["sessionID"]
    assert [one["sessionType"] for one in (first, again, other)] == ["MULTI_PLAYER", "MULTI", "MULTI_PLAYER"]
    refused(of_2015(api, "START_NEW_SESSION", "EDITOR", "demo"), 409, "Project demo is being played")
    refused(of_2015(api, "START_NEW_SESSION", "EDITOR_PLAYER", "demo"), 400, "INVALID_REQUEST: sessionType")


def test_a_saved_session_keeps_the_name_and_a_loaded_one_has_the_loaders(api: API) -> None:
    api.project()
    session = value(of_2015(api, "START_NEW_SESSION", "SINGLE_PLAYER", "demo"))
    value(of_today(api, "SAVE_SESSION", session, "monday"))
    assert said(value(of_2015(api, "GET_PROJECT_SAVED_SESSIONS", "demo"))) == ["SINGLE_PLAYER"]
    assert said(value(of_today(api, "GET_PROJECT_SAVED_SESSIONS", "demo"))) == ["SINGLE"]
    value(of_2015(api, "LOAD_SAVED_SESSION", "MULTI", "demo", "again", "monday"))
    assert said(value(of_2015(api, "GET_JOINABLE_SESSIONS"))) == ["SINGLE_PLAYER", "MULTI"]
