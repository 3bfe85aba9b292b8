"""A client of 2015 and one of today play a whole session through the gateway, as deployed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from tests.support import sessions_client_2015 as of_2015
from tests.support import sessions_client_today as of_today
from tests.support.sessions_client_2015 import Refused, Update
from tests.support.sessions_house import PASSWORD, House, email
from tests.support.waiting import wait_until

SQUARE = [[10, 10], [60, 10], [60, 40], [10, 40]]
_names = count()


@pytest.fixture
def project(sessions_at_home: House) -> str:
    """The name of a project of domain d."""
    name = f"demo_{next(_names)}"
    today(sessions_at_home, "edit").io("add_project", name, "EN")
    return name


def old(house: House, name: str) -> of_2015.Connection:
    return of_2015.Connection(house.url, email(name), PASSWORD)


def today(house: House, name: str) -> of_today.Connection:
    return of_today.Connection(house.url, email(name), PASSWORD)


def refused(call: Callable[..., Any], *arguments: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value


def is_heard(host: of_today.Connection, session: int, name: str) -> bool:
    """Say whether this person's client in a session has polled."""
    found = next(one for one in host.io("get_sessions") if one["sessionID"] == session)
    return any(one["userName"] == email(name) and one["updated"] for one in found["clients"])


def watched(poll: Future[Update | None]) -> Update:
    """What a waiting poll was answered."""
    found = poll.result(30)
    assert found is not None
    return found


def test_a_client_of_2015_plays_a_session(sessions_at_home: House, project: str) -> None:
    host, player = old(sessions_at_home, "host"), old(sessions_at_home, "join")
    slot = host.start(f'["MULTI_PLAYER","{project}"]')
    assert [one["name"] for one in player.joinable() if one["id"] == slot] == [project]

    agent = player.join(slot)
    assert agent.reply["sessionType"] == "MULTI_PLAYER"
    assert agent.reply["project"] == project
    assert {"STAKEHOLDERS", "BUILDINGS"} <= set(agent.reply["lists"])
    assert player.join(slot, client_token=agent.client_token).client_token == agent.client_token

    assert agent.size("STAKEHOLDERS") == 4
    assert agent.item("STAKEHOLDERS", 0)["name"]
    assert agent.location()
    assert agent.select(0) is True
    other = old(sessions_at_home, "edit").join(slot)
    assert other.select(0) is False

    first = agent.update('{"STAKEHOLDERS":-1,"MESSAGES":-1}')
    assert first is not None
    assert {one["id"] for one in first.items["STAKEHOLDERS"]} == {0, 1, 2, 3}
    known = f'{{"STAKEHOLDERS":{first.newest("STAKEHOLDERS")}}}'
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(agent.update, known)
        assert other.select(1) is True
        seen = watched(poll)
        assert list(seen.items) == ["STAKEHOLDERS"]
        assert [one["id"] for one in seen.items["STAKEHOLDERS"]] == [1]
        assert seen.newest("STAKEHOLDERS") > first.newest("STAKEHOLDERS")
        assert not any(seen.deletes.values())

    assert player.close(slot, agent.client_token) is False
    assert refused(agent.update, known).text == "CLIENT_RELEASED"
    assert other.select(0) is True  # the one who left gave it back
    assert other.connection.close(slot, other.client_token) is True
    assert slot not in {one["id"] for one in player.joinable()}
    gone = refused(other.items, "STAKEHOLDERS")
    assert (gone.status, gone.text) == (400, "INVALID_TOKEN")
    assert host.kill(slot) is False


def test_a_client_of_today_plays_a_session(sessions_at_home: House, project: str) -> None:
    host, player = today(sessions_at_home, "host"), today(sessions_at_home, "join").with_login_key()
    session = host.start(project)
    assert player.joinable()[session]["name"] == project
    mine, theirs = player.join(session), host.join(session, "TOOLS")
    assert mine.ask("GET", "", client=False)
    info = mine.ask("GET", "info/", client=False)
    assert (info["sessionType"], info["type"], info["state"]) == ("MULTI", "MULTI", "NORMAL")

    assert mine.select(0) == 0
    given = theirs.select(0)
    assert given != 0  # held by another: the next free one
    assert mine.update({"BUILDINGS": -1}, timeout=0) is None  # nothing is there
    known = {name: mine.number(name, "version") for name in ("BUILDINGS", "MESSAGES")}
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(theirs.update, known)
        building = mine.event("building_place", 0, "Library", 3, SQUARE)
        seen = watched(poll)
    assert [one["name"] for one in seen.items["BUILDINGS"]] == ["Library"]
    assert mine.number("BUILDINGS", "size") == 1
    assert building == seen.items["BUILDINGS"][0]["id"]
    places = mine.ask("GET", "items/BUILDINGS/", f="GEOJSON")
    assert (places["type"], len(places["features"])) == ("FeatureCollection", 1)

    other = refused(mine.event, "building_place", given, "Shed", 1, [[100, 100], [110, 100], [110, 110]])
    assert other.status == 400  # a host may act for every stakeholder, this one for its own
    assert other.text.startswith("INSUFFICIENT_RIGHTS")
    theirs.event("settings_allow_game_interaction", False, group="logic")
    assert refused(mine.event, "building_remove", 0, building).status == 409
    theirs.event("settings_allow_game_interaction", True, group="logic")
    known["BUILDINGS"] = seen.newest("BUILDINGS")
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(theirs.update, {"BUILDINGS": known["BUILDINGS"]})
        mine.event("building_remove", 0, building)
        assert [one["id"] for one in watched(poll).deletes["BUILDINGS"]] == [building]

    watcher = today(sessions_at_home, "edit").join(session)
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(watcher.update, {"TIMES": watcher.number("TIMES", "version")})
        wait_until(lambda: is_heard(host, session, "edit"), what="the poll")  # else it comes to a session that is gone
        assert host.io("kill", session) is True
        ended = poll.exception(30)
    assert isinstance(ended, of_today.RefusedToday)
    assert (ended.text, ended.detail) == ("CLIENT_RELEASED", of_today.RELEASED)
    after = refused(mine.items, "TIMES")
    assert isinstance(after, of_today.RefusedToday)
    assert (after.text, after.detail) == ("INVALID_TOKEN", of_today.ENDED)
    assert refused(player.close, session).status == 404


def test_both_generations_share_a_session(sessions_at_home: House, project: str) -> None:
    host = old(sessions_at_home, "host")
    slot = host.start(f'["MULTI_PLAYER","{project}","EN"]')
    before, now = old(sessions_at_home, "join").join(slot), today(sessions_at_home, "edit").join(slot)
    assert before.server_token == now.token
    assert before.select(0) is True
    assert now.select(0) != 0
    before.event("MESSAGE_SEND", '[0,1,"hello"]')
    assert [one["text"] for one in now.items("MESSAGES")] == ["hello"]
    assert host.kill(slot) is True


def test_a_domain_sees_only_its_own(sessions_at_home: House, project: str) -> None:
    slot = old(sessions_at_home, "host").start(f'["MULTI","{project}"]')
    stranger = old(sessions_at_home, "out")
    assert stranger.joinable() == []
    assert refused(stranger.join, slot).status == 404
    assert old(sessions_at_home, "host").kill(slot) is True


@pytest.mark.slow
def test_a_session_that_nobody_uses_ends(short_sessions: House) -> None:
    """GETs are no use of it."""
    today(short_sessions, "edit").io("add_project", "demo", "EN")
    host = old(short_sessions, "host")
    slot = host.start('["SINGLE_PLAYER","demo"]')
    agent = host.join(slot)

    def told() -> str:
        try:
            agent.items("TIMES")
        except Refused as error:
            return error.text
        return ""

    assert wait_until(told, 60, "the end of the session", pause=0.25) == "INVALID_TOKEN"
    assert host.joinable() == []
    assert old(short_sessions, "edit").start('["EDITOR","demo"]') > slot  # nothing of it is in the way
