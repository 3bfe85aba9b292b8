"""Joining sessions, and going on with an earlier join."""

from __future__ import annotations

from tests.unit.sessions.conftest import API, refused, value

JOIN = "JOIN_SESSION"
MINE = "0f8fad5b-d9cb-469f-a165-70867728950e"


def clients(api: API, token: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = value(api.get("/api/session/clients/", token=token))
    return found


def test_both_generations_join(api: API) -> None:
    session = api.running()
    old = value(api.io(JOIN, "join", session, "VIEWER", "10.0.0.1", "agent", ""))
    new = value(api.send("POST", "/api/event/io/join/?f=JSON", "join", json=[session, "PARTICIPANT", "agent"]))
    for reply in (old, new):
        assert reply["serverToken"] == reply["apiToken"]
        assert len(reply["apiToken"]) == 32 and int(reply["apiToken"][:8], 16) == session
        assert reply["client"]["computerName"] == "agent"
        assert (reply["client"]["fullName"], reply["client"]["userName"]) == ("Join", "join@example.org")
        assert (reply["language"], reply["languague"], reply["project"]) == ("EN", "EN", "demo")
        assert (reply["sessionType"], reply["sessionID"], reply["client"]["connectionState"]) == ("MULTI", session, "CONNECTED")
    assert (old["client"]["address"], new["client"]["address"]) == ("10.0.0.1", "")
    assert old["client"]["clientToken"] != new["client"]["clientToken"]


def test_with_its_token_a_client_is_itself_again(api: API) -> None:
    session = api.running()
    first = api.join(session, "join", "VIEWER", "", "agent", "")
    assert api.join(session, "join", "VIEWER", "", "agent", first.client) == first
    assert len(clients(api, first.token)) == 1


def test_a_token_of_its_own_making_becomes_the_clients(api: API) -> None:
    session = api.running()
    joined = api.join(session, "join", "PARTICIPANT", "agent", MINE)
    assert joined.client == MINE
    assert api.join(session, "join", "PARTICIPANT", "agent", MINE) == joined
    assert len(clients(api, joined.token)) == 1


def test_a_token_that_is_none_is_refused(api: API) -> None:
    session = api.running()
    for token in ("bogus", "x" * 65, "with spaces in it, and more", "ünïcödeünïcödeünïcöde"):
        refused(api.io(JOIN, "join", session, "VIEWER", "agent", token), 400, "INVALID_REQUEST: clientToken")


def test_a_token_in_use_is_not_taken_over(api: API) -> None:
    session = api.running()
    other = api.start()
    joined = api.join(session, "join", "PARTICIPANT", "agent", MINE)
    refused(api.io(JOIN, "host", session, "VIEWER", "agent", MINE), 400, "INVALID_REQUEST: this clientToken is in use")
    refused(api.io(JOIN, "join", other, "VIEWER", "agent", MINE), 400, "INVALID_REQUEST: this clientToken is in use")
    assert [one["state"] for one in clients(api, joined.token)] == ["CONNECTED"]


def test_the_token_of_a_released_client_begins_a_new_one(api: API) -> None:
    session = api.running()
    stays = api.join(session)
    joined = api.join(session, "join", "PARTICIPANT", "agent", MINE)
    assert value(api.io("CLOSE_SESSION", "join", session, MINE, False)) is False
    again = api.join(session, "join", "PARTICIPANT", "agent", MINE)
    assert again == joined
    assert [one["state"] for one in clients(api, stays.token)] == ["CONNECTED", "CONNECTED", "RELEASED"]


def test_invented_tokens_disturb_nobody(api: API) -> None:
    session = api.running()
    real = api.join(session)
    made = [api.join(session, "join", "VIEWER", "agent", f"invented-token-{number:04}") for number in range(10)]
    assert len({one.client for one in made}) == 10
    assert len(clients(api, real.token)) == 11
    assert value(api.send("POST", "/api/session/resettimeout/?f=JSON", headers={"token": real.token, "clientToken": real.client})) is True


def test_only_those_join_who_may(api: API) -> None:
    api.project()
    session = value(api.io("START_NEW_SESSION", "edit", "MULTI", "demo"))
    refused(api.io(JOIN, "out", session, "VIEWER"), 404, f"There is no session '{session}'.")
    refused(api.io(JOIN, "root", session, "VIEWER"), 404, f"There is no session '{session}'.")
    refused(api.io(JOIN, "none", session, "VIEWER"), 400, "INSUFFICIENT_RIGHTS")
    refused(api.io(JOIN, "join", session + 1, "VIEWER"), 404, f"There is no session '{session + 1}'.")
    refused(api.io(JOIN, "join", session, "WATCHER"), 400, "INVALID_REQUEST: appType")
    value(api.io("KILL_SESSION", "edit", session))
    refused(api.io(JOIN, "join", session, "VIEWER"), 404, f"There is no session '{session}'.")


def test_an_editor_session_is_for_those_who_may_write(api: API) -> None:
    api.project()
    session = value(api.io("START_NEW_SESSION", "edit", "EDITOR", "demo"))
    for who in ("join", "host", "edit2"):
        refused(api.io(JOIN, who, session, "VIEWER"), 400, "INSUFFICIENT_RIGHTS")
        assert value(api.io("GET_JOINABLE_SESSIONS", who)) == []
    api.join(session, "admin", "EDITOR")
    refused(api.io("KILL_SESSION", "host", session), 400, "INSUFFICIENT_RIGHTS")


def test_tokens_of_one_session_open_no_other(api: API) -> None:
    first = api.join(api.running())
    second = api.join(api.start())
    assert api.get("/api/session/info/", token=first.token[:8] + second.token[8:]).status_code == 400
    refused(api.get(f"/api/slots/{second.id}/info/", token=first.token), 400, "INVALID_TOKEN")
    assert value(api.get(f"/api/slots/{first.id}/info/", token=first.token))["id"] == first.id


def test_clients_find_the_sessions_in_which_they_still_are(api: API) -> None:
    session = api.running()
    joined = api.join(session, "join", "FACILITATOR")
    left = api.join(session, "join", "VIEWER")
    foreign = api.join(session, "host", "VIEWER")
    value(api.io("CLOSE_SESSION", "join", session, left.client, False))
    pairs = [
        {"apiToken": joined.token, "clientToken": joined.client},
        {"serverToken": joined.token, "clientToken": joined.client},
        {"apiToken": joined.token[:-1] + "?", "clientToken": joined.client},
        {"apiToken": joined.token, "clientToken": left.client},
        {"apiToken": joined.token, "clientToken": foreign.client},
        {"apiToken": "", "clientToken": ""},
    ]
    (found,) = value(api.io("GET_CONTINUABLE_SESSIONS", "join", pairs))
    assert (found["id"], found["appType"], found["tokenPair"]["clientToken"]) == (session, "FACILITATOR", joined.client)
    assert value(api.io("GET_CONTINUABLE_SESSIONS", "host", pairs))[0]["tokenPair"]["clientToken"] == foreign.client
    assert value(api.io("GET_CONTINUABLE_SESSIONS", "out", pairs)) == []


def test_pairs_that_are_none_are_refused(api: API) -> None:
    none: list[object] = [{}, [1], [{"apiToken": 1, "clientToken": ""}], [{}], [{"apiToken": "", "clientToken": ""}] * 101]
    for pairs in none:
        refused(api.io("GET_CONTINUABLE_SESSIONS", "join", pairs), 400, "INVALID_REQUEST: tokenPairs")


def test_hosts_see_who_is_in_their_sessions(api: API) -> None:
    session = api.running()
    joined = api.join(session, "join", "VIEWER", "", "agent", "")
    (found,) = value(api.io("GET_SESSIONS", "host"))
    (client,) = found["clients"]
    assert (found["sessionID"], found["name"], found["keepAlive"], found["sessionType"]) == (session, "demo", "NEVER", "MULTI")
    assert (client["computerName"], client["connectionState"], client["clientToken"]) == ("agent", "CONNECTED", None)
    assert joined.client not in api.io("GET_SESSIONS", "host").text
    refused(api.io("GET_SESSIONS", "join"), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.io("GET_SESSIONS", "out")) == []


def test_the_clients_of_a_session_show_no_token(api: API) -> None:
    session = api.running()
    joined = api.join(session, "join", "VIEWER", "", "agent", "")
    assert clients(api, joined.token) == [
        {"id": clients(api, joined.token)[0]["id"], "computerName": "agent", "fullName": "Join", "appType": "VIEWER", "state": "CONNECTED"}
    ]


def test_joining_or_starting_joins_what_is_there(api: API) -> None:
    api.project()
    refused(api.io("JOIN_OR_START", "join", "MULTI", "demo"), 400, "INSUFFICIENT_RIGHTS")
    first = value(api.io("JOIN_OR_START", "host", "MULTI", "demo", None, "agent"))
    assert first["client"]["computerName"] == "agent"
    assert value(api.io("JOIN_OR_START", "join", "MULTI", "demo"))["sessionID"] == first["sessionID"]
    single = value(api.io("JOIN_OR_START", "host", "SINGLE", "demo"))
    group = value(api.io("JOIN_OR_START", "host", "MULTI", "demo", "class 3"))
    assert len({first["sessionID"], single["sessionID"], group["sessionID"]}) == 3
    assert value(api.io("JOIN_OR_START", "join", "MULTI", "demo", "class 3"))["sessionID"] == group["sessionID"]
    refused(api.io("JOIN_OR_START", "edit", "EDITOR", "demo"), 409, "Project demo is being played")
    refused(api.io("JOIN_OR_START", "out", "MULTI", "demo"), 404, "There is no project 'demo'.")
