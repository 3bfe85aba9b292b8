"""Starting sessions: types, exclusivity, numbers, places."""

from __future__ import annotations

from tests.unit.sessions.conftest import API, MakeAPI, refused, value

START = "START_NEW_SESSION"


def ids(api: API, who: str = "join") -> list[int]:
    return [one["id"] for one in value(api.io("GET_JOINABLE_SESSIONS", who))]


def test_a_played_project_is_not_edited_and_an_edited_one_is_not_opened(api: API) -> None:
    api.project()
    first = value(api.io(START, "host", "MULTI", "demo", "EN"))
    second = value(api.io(START, "host", "MULTI_PLAYER", "demo"))
    assert first != second
    refused(api.io(START, "edit", "EDITOR", "demo"), 409, "Project demo is being played")
    assert ids(api, "edit") == [first, second]
    for session in (first, second):
        assert value(api.io("KILL_SESSION", "host", session)) is True
    edited = value(api.io(START, "edit", "EDITOR", "demo"))
    for kind in ("EDITOR", "SINGLE", "MULTI"):
        refused(api.io(START, "edit", kind, "demo"), 409, "Project demo is being edited")
    assert ids(api, "edit") == [edited]


def test_what_cannot_start(api: API) -> None:
    api.project()
    for who, values, status, text in (
        ("host", ["EDITOR", "demo"], 400, "INSUFFICIENT_RIGHTS"),
        ("join", ["MULTI", "demo"], 400, "INSUFFICIENT_RIGHTS"),
        ("edit2", ["EDITOR", "demo"], 400, "INSUFFICIENT_RIGHTS"),  # may only read the project
        ("host", ["PARTY", "demo"], 400, "INVALID_REQUEST: sessionType"),
        ("host", [], 400, "INVALID_REQUEST: START_NEW_SESSION needs sessionType"),
        ("host", ["MULTI", "demo", "FR"], 400, "INVALID_REQUEST: language"),
        ("host", ["MULTI", "nope"], 404, "There is no project 'nope'."),
        ("out", ["MULTI", "demo"], 404, "There is no project 'demo'."),
        ("root", ["MULTI", "demo"], 404, "There is no project 'demo'."),  # its owner lets no support in
    ):
        refused(api.io(START, who, *values), status, text)
    assert ids(api, "edit") == []


def test_a_domain_admin_edits_the_projects_of_its_domain(api: API) -> None:
    api.project()
    assert value(api.io(START, "admin", "EDITOR", "demo")) == 1


def test_a_preferred_number_is_given_once(api: API) -> None:
    api.project()
    assert value(api.io(START, "host", "MULTI", "demo", None, 7)) == 7
    assert value(api.io(START, "host", "MULTI", "demo", None, 7)) == 1
    value(api.io("KILL_SESSION", "host", 7))
    value(api.io("KILL_SESSION", "host", 1))
    assert [value(api.io(START, "host", "MULTI", "demo", None, wanted)) for wanted in (7, 1, 0, -3)] == [2, 3, 4, 5]
    assert [value(api.io(START, "host", "MULTI", "demo")) for _ in range(3)] == [6, 8, 9]
    refused(api.io(START, "host", "MULTI", "demo", None, 2**40), 400, "INVALID_REQUEST: preferredSessionID")


def test_the_language_and_the_group_are_the_starters(api: API) -> None:
    api.project()
    value(api.io(START, "host", "MULTI", "demo", "nl", None, "class 3"))
    (found,) = value(api.io("GET_MY_JOINABLE_SESSIONS", "join"))
    assert (found["language"], found["groupToken"], found["tokenPair"], found["appType"]) == ("NL", "class 3", None, None)
    assert (found["mapSizeM"], found["timeoutMS"], found["name"], found["sessionType"]) == ([500, 500], 900_000, "demo", "MULTI")


def test_a_full_server_takes_no_more(make_api: MakeAPI) -> None:
    api = make_api(limit=2)
    api.project()
    for _ in range(2):
        value(api.io(START, "host", "MULTI", "demo"))
    answer = api.io(START, "host", "MULTI", "demo")
    refused(answer, 503, "The server is full.")
    assert (answer.headers["X-Status-Detail"], answer.headers["Retry-After"]) == ("599", "60")
    value(api.io("KILL_SESSION", "host", 1))
    assert value(api.io(START, "host", "MULTI", "demo")) == 3


def test_the_last_places_are_for_domains_with_few_sessions(make_api: MakeAPI) -> None:
    api = make_api(limit=10)
    api.project()
    api.project("other", "out")
    for _ in range(9):
        value(api.io(START, "host", "MULTI", "demo"))
    answer = api.io(START, "host", "MULTI", "demo")
    refused(answer, 503, "The server is nearly full")
    assert answer.headers["X-Status-Detail"] == "598"
    assert value(api.io(START, "out", "MULTI", "other")) == 10
    refused(api.io(START, "out", "MULTI", "other"), 503, "The server is full.")


def test_no_body_is_needed_where_nothing_is_sent(api: API) -> None:
    answer = api.send("POST", "/api/event/io/get_joinable_sessions/?f=JSON", "join")
    assert value(answer) == []


def test_the_listing_is_there_under_both_names(api: API) -> None:
    session = api.running()
    for path in ("/api/services/sessions/", "/api/sessions/"):
        assert [one["id"] for one in value(api.get(path, "join"))] == [session]
        assert value(api.get(path, "out")) == []
        assert api.get(path).status_code == 401
        refused(api.get(path, "none"), 400, "INSUFFICIENT_RIGHTS")


def test_anybody_may_ask_what_server_this_is(api: API) -> None:
    name, version = value(api.send("GET", "/test"))
    assert name == "Gatehouse sessions" and version
