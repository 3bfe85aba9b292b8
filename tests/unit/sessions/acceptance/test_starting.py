"""Cases of starting and ending sessions, of formats and of rights."""

from __future__ import annotations

from tests.unit.sessions.acceptance.conftest import BOTH_MODES, Mode, at_once, io, post
from tests.unit.sessions.conftest import API, MakeAPI, refused, value

# case, who asks, method, address, body, status, how the text begins
REFUSED = [
    ("Y01", None, "GET", "/api/", None, 401, ""),
    ("Y03", "host", "GET", "/api/?f=JSON", None, 406, ""),
    ("Y04", "host", "GET", f"{io('START_NEW_SESSION')}?f=JSON", None, 405, ""),
    ("Y11", "host", "POST", f"{io('START_NEW_SESSION')}?f=JSON", '["EDITOR","demo"]', 400, "INSUFFICIENT_RIGHTS"),
    ("Y12", "join", "POST", f"{io('START_NEW_SESSION')}?f=JSON", '["MULTI","demo"]', 400, "INSUFFICIENT_RIGHTS"),
    ("Y13a", "host", "POST", f"{io('START_NEW_SESSION')}?f=JSON", '["PARTY","demo"]', 400, "INVALID_REQUEST"),
    ("Y13b", "host", "POST", f"{io('START_NEW_SESSION')}?f=JSON", "{", 400, "INVALID_REQUEST"),
    ("Y13c", "host", "POST", f"{io('START_NEW_SESSION')}?f=JSON", '"x"', 400, "INVALID_REQUEST"),
    ("Y13d", "host", "POST", f"{io('START_NEW_SESSION')}?f=JSON", "[]", 400, "INVALID_REQUEST"),
    ("Y14", "host", "POST", f"{io('START_NEW_SESSION')}?f=JSON", '["MULTI","nope"]', 404, "There is no project"),
    ("Y23", None, "GET", "/api/session/?f=JSON", None, 400, "INVALID_TOKEN"),
    ("Y49", "host", "GET", "/api/services/event/IOServicesEventType/?f=WEIRD", None, 406, ""),
]


def test_requests_are_refused(api: API) -> None:
    """And nothing has begun afterwards."""
    api.project()
    for case, who, method, path, body, status, text in REFUSED:
        answer = api.send(method, path, who, data=body, headers={"Content-Type": "application/json"} if body else {})
        assert answer.status_code == status, (case, answer.text)
        assert answer.text.startswith(text) or "<html" in answer.text, (case, answer.text)
        assert answer.mimetype in ("text/plain", "text/html"), case
        if status == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Basic"), case
        if status == 405:
            assert "POST" in answer.headers["Allow"], case
    assert value(api.io("GET_SESSIONS", "edit")) == []


def test_y05_y06_playable_sessions_run_side_by_side(api: API) -> None:
    api.project()
    first = value(api.io("START_NEW_SESSION", "host", "MULTI", "demo", "EN"))
    second = value(api.io("START_NEW_SESSION", "host", "MULTI_PLAYER", "demo"))
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert first != second


def test_y07_y08_y09_an_editor_is_alone(api: API) -> None:
    playing = api.running()
    refused(api.io("START_NEW_SESSION", "edit", "EDITOR", "demo"), 409, "")
    assert [one["sessionID"] for one in value(api.io("GET_SESSIONS", "host"))] == [playing]
    assert value(api.io("KILL_SESSION", "host", playing)) is True
    editing = api.start(kind="EDITOR")
    for kind in ("EDITOR", "SINGLE"):
        refused(api.io("START_NEW_SESSION", "edit", kind, "demo"), 409, "")
    joined = api.join(editing, "edit", "EDITOR")
    assert value(api.io("CLOSE_SESSION", "edit", editing, joined.client, False)) is True
    assert isinstance(api.start(kind="EDITOR"), int)


def test_y10_of_twenty_editors_one_starts(api: API) -> None:
    api.project()
    answers = at_once(*[lambda: api.io("START_NEW_SESSION", "edit", "EDITOR", "demo")] * 20)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    assert len(value(api.io("GET_SESSIONS", "edit"))) == 1


@BOTH_MODES
def test_y11_y12_y39_rights_in_both_modes(moded: API, mode: Mode) -> None:
    session = moded.running()
    refused(moded.io("START_NEW_SESSION", "host", "EDITOR", "demo"), mode.rights, "INSUFFICIENT_RIGHTS")
    refused(moded.io("START_NEW_SESSION", "join", "MULTI", "demo"), mode.rights, "INSUFFICIENT_RIGHTS")
    answer = moded.io("KILL_SESSION", "join", session)
    refused(answer, mode.rights, "INSUFFICIENT_RIGHTS")
    assert answer.headers["X-Status-Detail"] == "403"
    assert moded.join(session)  # it lives


def test_y38_the_second_kill_is_false(api: API) -> None:
    session = api.running()
    assert value(api.io("KILL_SESSION", "host", session)) is True
    assert value(api.io("KILL_SESSION", "host", session)) is False


def test_y46_names_are_validated(api: API) -> None:
    api.project()
    said = {name: value(api.io("VALIDATE_PROJECT_NAME", "edit", name)) for name in ("demo", "new_one", "x", "Ünï")}
    assert said.pop("demo") == "Project name is already used, please select another one."
    assert said.pop("new_one") == ""
    assert all(said.values())


def test_y47_a_project_that_runs_is_not_trashed(api: API) -> None:
    api.running()
    refused(api.io("SET_PROJECT_TRASHED", "edit", "demo", True), 409, "")


def test_y48_a_full_server_says_when_to_try_again(make_api: MakeAPI) -> None:
    api = make_api(limit=1)
    api.running()
    full = api.io("START_NEW_SESSION", "host", "MULTI", "demo")
    refused(full, 503, "")
    assert full.headers["Retry-After"].isdecimal()


def test_y13_a_list_may_be_an_object(api: API) -> None:
    api.project()
    assert isinstance(value(post(api, io("START_NEW_SESSION"), "host", '{"sessionType":"MULTI","project":"demo"}')), int)
