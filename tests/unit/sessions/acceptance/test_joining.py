"""Cases of joining, tokens, leaving and time-outs."""

from __future__ import annotations

import pytest

from tests.unit.sessions.acceptance.conftest import BOTH_MODES, Mode, at_once, update
from tests.unit.sessions.conftest import API, Joined, refused, value

MINUTE = 60


def listed(api: API, who: str = "join") -> list[int]:
    """The ids of the sessions that a person may join."""
    return [one["id"] for one in value(api.io("GET_JOINABLE_SESSIONS", who))]


def test_y16_y17_the_domain_sees_its_sessions(api: API) -> None:
    session = api.running()
    found = value(api.send("POST", "/api/services/event/IOServicesEventType/GET_JOINABLE_SESSIONS/?f=JSON", "join"))
    assert [one["id"] for one in found] == [session]
    assert (found[0]["name"], found[0]["language"], found[0]["sessionType"]) == ("demo", "EN", "MULTI")
    assert (found[0]["tokenPair"], found[0]["appType"]) == (None, None)
    assert listed(api, "out") == []


@pytest.mark.parametrize("more", [("", "agent", ""), ("agent",)], ids=["Y18", "Y19"])
def test_a_join_answers_both_tokens(api: API, more: tuple[str, ...]) -> None:
    session = api.running()
    found = value(api.io("JOIN_SESSION", "join", session, "VIEWER", *more))
    assert found["client"]["clientToken"]
    assert found["client"]["computerName"] == "agent"
    assert found["serverToken"] == found["apiToken"]
    assert len(found["apiToken"]) == 32
    assert int(found["apiToken"][:8], 16) == session
    assert found["languague"] == found["language"] == "EN"


def test_y20_a_known_client_token_is_the_same_client(api: API) -> None:
    joined = api.join(api.running())
    assert api.join(joined.id, "join", "VIEWER", "", "agent", joined.client) == joined


def test_y21_other_domains_find_nothing(api: API) -> None:
    refused(api.io("JOIN_SESSION", "out", api.running(), "VIEWER"), 404, "")


@BOTH_MODES
def test_y22_y23_y24_the_session_token_opens(moded: API, mode: Mode) -> None:
    first = moded.join(moded.running())
    second = moded.join(moded.start())
    assert moded.get("/api/session/", token=first.token).status_code == 200
    other = "a" if first.token[-1] != "a" else "b"
    for token in ("", first.token[:-1] + other, first.token[:8] + second.token[8:]):
        answer = moded.get("/api/session/", token=token)
        refused(answer, mode.token, "INVALID_TOKEN")
        assert answer.headers["X-Status-Detail"] == "498"


def test_y25_a_stakeholder_has_one_holder(api: API) -> None:
    session = api.running()
    clients = [api.join(session), api.join(session)]

    def select(joined: Joined) -> object:
        return api.fire("STAKEHOLDER_SELECT", joined, 0, joined.client)

    answers = at_once(*[lambda joined=joined: select(joined) for joined in clients])
    assert sorted(value(answer) for answer in answers) == [False, True]


def test_y34_y36_the_last_who_leaves_ends_the_session(api: API) -> None:
    first = api.join(api.running())
    second = api.join(first.id)
    assert value(api.io("CLOSE_SESSION", "join", first.id, first.client, False)) is False
    assert value(api.io("CLOSE_SESSION", "join", first.id, second.client, True)) is False
    assert listed(api) == [first.id]
    third = api.join(first.id)
    assert value(api.io("CLOSE_SESSION", "join", first.id, third.client, False)) is True
    assert listed(api) == []


def test_y37_an_unknown_client_leaves_nobody(api: API) -> None:
    joined = api.join(api.running())
    assert value(api.io("CLOSE_SESSION", "join", joined.id, "bogus", False)) is False
    assert value(api.fire("STAKEHOLDER_SELECT", joined, 0, joined.client)) is True


def test_y40_reading_keeps_no_session(api: API) -> None:
    joined = api.join(api.running())
    for _ in range(3):
        api.clock.move(5 * MINUTE)
        api.get("/api/session/items/TIMES/", token=joined.token)
    api.clock.move(1)
    assert listed(api) == []
    refused(api.get("/api/session/items/TIMES/", token=joined.token), 400, "INVALID_TOKEN")


def test_y41_polling_keeps_it(api: API) -> None:
    joined = api.join(api.running())
    for _ in range(6):
        api.clock.move(10 * MINUTE)
        joined = api.join(joined.id, "join", "VIEWER", "", "", joined.client)
        assert update(api, joined, {"TIMES": -1}).status_code == 200
    assert listed(api) == [joined.id]


def test_y42_keep_alive_keeps_it(api: API) -> None:
    session = api.running()
    assert value(api.io("SET_SESSION_KEEP_ALIVE", "host", session, "SHORT")) is True
    assert value(api.io("GET_SESSION_KEEP_ALIVE", "host", session)) == "SHORT"
    api.clock.move(24 * 60 * MINUTE)
    assert listed(api) == [session]


def test_y53_invented_client_tokens_take_nothing(api: API) -> None:
    joined = api.join(api.running())
    assert value(api.fire("STAKEHOLDER_SELECT", joined, 0, joined.client)) is True
    made = {api.join(joined.id, "join", "VIEWER", "", "", f"invented-client-token-{number}").client for number in range(10)}
    assert len(made) == 10
    assert joined.client not in made
    assert value(api.fire("STAKEHOLDER_SELECT", joined, 0, joined.client)) is True
    other = api.join(joined.id)
    assert value(api.fire("STAKEHOLDER_SELECT", other, 0, other.client)) is False
