"""A project is created, started, joined and read."""

from __future__ import annotations

from tests.unit.sessions.conftest import API, refused, value


def test_a_project_is_started_joined_and_read(api: API) -> None:
    api.project()
    number = value(api.io("START_NEW_SESSION", "host", "MULTI_PLAYER", "demo"))
    joined = api.join(number, "join", "VIEWER", "", "agent", "")
    assert [one["id"] for one in api.items(joined, "stakeholders")] == [0, 1, 2, 3]
    refused(api.get("/api/session/items/TIMES/", token=joined.token[:-1] + "x"), 400, "INVALID_TOKEN")


def test_the_form_of_an_event_is_a_page(api: API) -> None:
    page = api.send("GET", "/api/services/event/IOServicesEventType/START_NEW_SESSION/", "host")
    assert page.status_code == 200
    assert 'name="sessionType"' in page.text
