"""What clients do in a session: stakeholders, buildings, messages, settings, time."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.sessions.items.rules import lists
from tests.unit.sessions.conftest import API, Joined, refused, value

TODAY = "participant"
SQUARE = [[10, 10], [30, 10], [30, 25], [10, 25]]


def square(x: float, y: float, side: float = 10) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]


@dataclasses.dataclass
class Table:
    """A session with two players and a host."""

    api: API
    one: Joined
    two: Joined
    host: Joined

    @property
    def nobody(self) -> Joined:
        """Somebody with the session token only."""
        return dataclasses.replace(self.one, client="")

    def item(self, name: str, item_id: int) -> Any:
        return value(self.api.get(f"/api/session/items/{name}/{item_id}/", token=self.one.token))

    def version(self) -> int:
        found: list[int] = [one["version"] for one in value(self.api.get("/api/session/items/", token=self.one.token))]
        return max(found)

    def logged(self) -> list[str]:
        return [one["event"] for one in self.api.items(self.one, "LOGS")]


@pytest.fixture
def table(api: API) -> Table:
    running = api.running()
    return Table(api, api.join(running, "join"), api.join(running, "join"), api.join(running, "host"))


def test_a_client_of_2015_selects_and_is_told_whether_it_has_it(api: API, table: Table) -> None:
    assert value(api.fire("STAKEHOLDER_SELECT", table.one, 0, table.one.client)) is True
    assert value(api.fire("STAKEHOLDER_SELECT", table.one, 0, table.one.client)) is True
    assert value(api.fire("STAKEHOLDER_SELECT", table.two, 0, table.two.client)) is False
    shown = table.item("STAKEHOLDERS", 0)
    assert (shown["userName"], shown["clientName"]) == ("join@example.org", "")
    assert not {"holder", "clientToken"} & set(shown)
    assert table.one.client not in api.get("/api/session/items/STAKEHOLDERS/", token=table.one.token).text
    assert table.logged() == ["STAKEHOLDER_SELECT"]


def test_a_client_finds_its_own_stakeholder(api: API, table: Table) -> None:
    """Names do not tell: both clients are of one user."""
    value(api.fire("STAKEHOLDER_SELECT", table.one, 2))
    value(api.fire("STAKEHOLDER_SELECT", table.two, 0))
    ids = [value(api.get("/api/session/info/", token=one.token, clientToken=one.client))["clientID"] for one in (table.one, table.two)]
    assert [one["clientID"] for one in api.items(table.one, "STAKEHOLDERS")] == [ids[1], None, ids[0], None]
    assert set(ids) <= {one["id"] for one in value(api.get("/api/session/clients/", token=table.one.token))}
    assert value(api.get("/api/session/info/", token=table.one.token))["clientID"] is None
    value(api.fire("STAKEHOLDER_RELEASE", table.one, 2))
    assert table.item("STAKEHOLDERS", 2)["clientID"] is None


def test_a_client_is_told_its_level(api: API, table: Table) -> None:
    found = [value(api.get("/api/session/info/", token=one.token, clientToken=one.client)) for one in (table.one, table.host, table.nobody)]
    assert [one["level"] for one in found] == ["JOIN_ONLY", "HOST_SESSION", "JOIN_ONLY"]


def test_the_token_in_the_list_is_enough(api: API, table: Table) -> None:
    assert value(api.fire("STAKEHOLDER_SELECT", table.nobody, 1, table.two.client)) is True
    assert value(api.fire("STAKEHOLDER_RELEASE", table.two, 1)) is True
    refused(api.fire("STAKEHOLDER_SELECT", table.nobody, 1), 400, "INSUFFICIENT_RIGHTS: send the clientToken")
    refused(api.fire("STAKEHOLDER_SELECT", table.nobody, 1, "no-such-token-at-all"), 400, "INVALID_TOKEN")


def test_a_client_of_today_gets_the_next_free_one(api: API, table: Table) -> None:
    assert value(api.fire("STAKEHOLDER_SELECT", table.one, 2, group=TODAY)) == 2
    assert value(api.fire("STAKEHOLDER_SELECT", table.two, 2, group=TODAY)) == 3
    assert value(api.fire("STAKEHOLDER_SELECT", table.two, 2, group=TODAY)) == 3  # it keeps what it has
    assert value(api.fire("STAKEHOLDER_SELECT", table.host, 3, group=TODAY)) == 0  # from the start again
    more = [api.join(table.one.id, "join") for _ in range(2)]
    assert [value(api.fire("STAKEHOLDER_SELECT", one, None, group=TODAY)) for one in more] == [1, None]


def test_to_select_another_one_frees_the_first(api: API, table: Table) -> None:
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    value(api.fire("STAKEHOLDER_SELECT", table.one, 1))
    assert [one["userName"] is not None for one in api.items(table.one, "STAKEHOLDERS")] == [False, True, False, False]
    value(api.fire("STAKEHOLDER_SELECT", table.two, 0))
    assert value(api.fire("STAKEHOLDER_SELECT", table.one, 0)) is False
    assert table.item("STAKEHOLDERS", 1)["userName"] is not None  # the refused select took nothing away


def test_an_unknown_stakeholder_is_not_there(api: API, table: Table) -> None:
    refused(api.fire("STAKEHOLDER_SELECT", table.one, 9), 404, "There is no stakeholder '9'.")
    refused(api.fire("STAKEHOLDER_RELEASE", table.one, 9), 404, "There is no stakeholder '9'.")


def test_many_clients_select_at_once_and_one_gets_it(api: API, table: Table) -> None:
    clients = [api.join(table.one.id, "join") for _ in range(8)]
    start = threading.Barrier(len(clients))

    def select(client: Joined) -> bool:
        start.wait(10)
        found: bool = value(api.fire("STAKEHOLDER_SELECT", client, 0, client.client))
        return found

    with ThreadPoolExecutor(len(clients)) as pool:
        assert sorted(pool.map(select, clients)) == [False] * 7 + [True]


def test_release(api: API, table: Table) -> None:
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    refused(api.fire("STAKEHOLDER_RELEASE", table.two, 0), 400, "INSUFFICIENT_RIGHTS: stakeholder 0 is held by another client; send its")
    refused(api.fire("STAKEHOLDER_RELEASE", table.nobody, 0), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.fire("STAKEHOLDER_RELEASE", table.one, 0)) is True
    before = table.version()
    assert value(api.fire("STAKEHOLDER_RELEASE", table.one, 0)) is False
    assert table.version() == before
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    assert value(api.fire("STAKEHOLDER_RELEASE", table.host, 0)) is True


def test_session_release_frees_all_and_the_client_stays(api: API, table: Table) -> None:
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    assert value(api.fire("SESSION_RELEASE", table.nobody, table.one.client)) is True
    assert value(api.fire("SESSION_RELEASE", table.one)) is False
    assert table.item("STAKEHOLDERS", 0)["userName"] is None
    assert value(api.fire("STAKEHOLDER_SELECT", table.one, 0)) is True


def test_names_are_changed_by_players_and_hosts(api: API, table: Table) -> None:
    refused(api.fire("STAKEHOLDER_SET_NAME", table.one, 0, "Council"), 400, "INSUFFICIENT_RIGHTS: select stakeholder 0")
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    assert value(api.fire("STAKEHOLDER_SET_NAME", table.one, 0, "Council")) is True
    refused(api.fire("STAKEHOLDER_SET_NAME", table.two, 0, "Mine"), 400, "INSUFFICIENT_RIGHTS: stakeholder 0 is held")
    assert table.item("STAKEHOLDERS", 0)["name"] == "Council"
    assert value(api.fire("STAKEHOLDER_SET_NAME", table.host, 0, "Town")) is True
    assert {"color", "shortName"} <= set(table.item("STAKEHOLDERS", 0))


def test_a_building_is_placed_moved_and_removed(api: API, table: Table) -> None:
    number = value(api.fire("BUILDING_PLACE", table.one, 0, "House", 3, SQUARE))
    shown = table.item("BUILDINGS", number)
    assert {name: shown[name] for name in ("name", "stakeholderID", "floors", "areaM2", "floorAreaM2")} == {
        "name": "House", "stakeholderID": 0, "floors": 3, "areaM2": 300, "floorAreaM2": 900,
    }  # fmt: skip
    assert shown["polygons"] == {"type": "Polygon", "coordinates": [[*SQUARE, SQUARE[0]]]}
    assert value(api.fire("BUILDING_MOVE", table.one, 0, number, square(11, 11))) is True  # on its own old place
    moved = table.item("BUILDINGS", number)
    assert (moved["areaM2"], moved["floorAreaM2"], moved["name"]) == (100, 300, "House")
    assert moved["version"] > shown["version"]
    assert value(api.fire("BUILDING_REMOVE", table.one, 0, number)) is True
    refused(api.fire("BUILDING_REMOVE", table.one, 0, number), 404, f"There is no building '{number}'.")
    refused(api.fire("BUILDING_MOVE", table.one, 0, number, SQUARE), 404, f"There is no building '{number}'.")
    assert table.logged() == ["BUILDING_PLACE", "BUILDING_MOVE", "BUILDING_REMOVE"]
    assert value(api.fire("BUILDING_PLACE", table.one, 0, "Next", 1, SQUARE)) == number + 1  # no number comes again


def test_a_building_has_a_place_of_its_own(api: API, table: Table) -> None:
    first = value(api.fire("BUILDING_PLACE", table.one, 0, "House", 3, square(0, 0)))
    value(api.fire("BUILDING_PLACE", table.two, 1, "Next door", 1, square(10, 0)))  # they share a wall
    text = f"The polygon overlaps the building House (id {first}) by 25.00 m2."
    refused(api.fire("BUILDING_PLACE", table.two, 1, "Over", 1, square(-0.0, 5, 5)), 409, text)
    second = value(api.fire("BUILDING_PLACE", table.two, 1, "Far", 1, square(100, 100)))
    refused(api.fire("BUILDING_MOVE", table.two, 1, second, square(5, 5, 5)), 409, text)
    assert table.item("BUILDINGS", second)["areaM2"] == 100


def test_of_two_buildings_on_one_place_one_is_there(api: API, table: Table) -> None:
    start = threading.Barrier(2)

    def place(who: Joined) -> int:
        start.wait(10)
        return api.fire("BUILDING_PLACE", who, 0, "House", 1, SQUARE).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(place, [table.one, table.two])) == [200, 409]
    assert len(api.items(table.one, "BUILDINGS")) == 1


BAD_BUILDINGS: list[tuple[list[Any], str]] = [
    ([0, "House", 3, square(495, 0)], "INVALID_REQUEST: the polygon reaches over the edge of the map, which is 500 by 500 metres"),
    ([0, "House", 3, [[0, 0], [10, 10], [10, 0], [0, 10]]], "INVALID_REQUEST: polygon of BUILDING_PLACE: is not a valid polygon"),
    ([0, "House", 3, [[0, 0], [1e308, 10], [10, 0]]], "INVALID_REQUEST: polygon of BUILDING_PLACE: point 1 of the outer ring"),
    ([0, "House", 3, "POINT (1 1)"], "INVALID_REQUEST: polygon of BUILDING_PLACE: expected a list of [x, y]"),
    ([0, "House", 0, SQUARE], "INVALID_REQUEST: floors of BUILDING_PLACE: expected a whole number from 1 to 200"),
    ([0, "", 1, SQUARE], "INVALID_REQUEST: name of BUILDING_PLACE"),
    ([0, "House", 3], "INVALID_REQUEST: BUILDING_PLACE needs polygon"),
    ([-1, "House", 3, SQUARE], "INVALID_REQUEST: stakeholderID of BUILDING_PLACE"),
    ([0, "a\x00b", 3, SQUARE], "INVALID_REQUEST: name of BUILDING_PLACE: holds a character"),
]


def test_a_bad_building_is_refused(api: API, table: Table) -> None:
    before = table.version()
    for values, text in BAD_BUILDINGS:
        refused(api.fire("BUILDING_PLACE", table.one, *values), 400, text)
    assert table.version() == before


def test_buildings_are_changed_for_ones_own_stakeholder(api: API, table: Table) -> None:
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    number = value(api.fire("BUILDING_PLACE", table.one, 0, "House", 1, square(0, 0)))
    refused(api.fire("BUILDING_PLACE", table.two, 0, "House", 1, square(50, 0)), 400, "INSUFFICIENT_RIGHTS: stakeholder 0 is held")
    refused(api.fire("BUILDING_REMOVE", table.two, 0, number), 400, "INSUFFICIENT_RIGHTS: stakeholder 0 is held")
    refused(api.fire("BUILDING_REMOVE", table.two, 1, number), 400, f"INSUFFICIENT_RIGHTS: building {number} is of stakeholder 0, not of 1")
    refused(api.fire("BUILDING_MOVE", table.nobody, 1, number, SQUARE), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.fire("BUILDING_PLACE", table.nobody, 3, "Shed", 1, square(100, 100))) == number + 1  # nobody plays 3
    assert value(api.fire("BUILDING_REMOVE", table.host, 0, number)) is True


def test_there_is_room_for_so_many_buildings(api: API, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_BUILDINGS", 1)
    number = value(api.fire("BUILDING_PLACE", table.one, 0, "House", 1, square(0, 0)))
    refused(api.fire("BUILDING_PLACE", table.one, 0, "House", 1, square(50, 0)), 409, "This session has 1 buildings, as many as may be.")
    value(api.fire("BUILDING_REMOVE", table.one, 0, number))
    value(api.fire("BUILDING_PLACE", table.one, 0, "House", 1, square(50, 0)))


def test_there_is_room_for_so_many_points_of_buildings(api: API, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_POINTS", 9)  # a square has 5, its first one twice
    number = value(api.fire("BUILDING_PLACE", table.one, 0, "House", 1, square(0, 0)))
    text = "The buildings of this session have 5 points; with this one they would have more than 9."
    refused(api.fire("BUILDING_PLACE", table.one, 0, "House", 1, square(50, 0)), 409, text)
    triangle, fan = [[50, 0], [60, 0], [60, 10]], [[50 + x, x * x] for x in range(10)]
    other = value(api.fire("BUILDING_PLACE", table.one, 0, "Hut", 1, triangle))
    refused(api.fire("BUILDING_MOVE", table.one, 0, other, fan), 409, "The buildings of this session have 9 points")
    assert value(api.fire("BUILDING_MOVE", table.one, 0, other, [[x, y + 50] for x, y in triangle])) is True
    value(api.fire("BUILDING_REMOVE", table.one, 0, number))
    refused(api.fire("BUILDING_MOVE", table.one, 0, other, fan), 409, "The buildings of this session have 4 points")
    assert value(api.fire("BUILDING_MOVE", table.one, 0, other, fan[:8])) is True


def test_nothing_is_built_while_the_session_is_paused(api: API, table: Table) -> None:
    number = value(api.fire("BUILDING_PLACE", table.one, 0, "House", 1, square(0, 0)))
    refused(api.fire("SETTINGS_ALLOW_GAME_INTERACTION", table.one, False), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.fire("SETTINGS_ALLOW_GAME_INTERACTION", table.host, False)) is True
    for event, values in {
        "BUILDING_PLACE": [0, "House", 1, square(50, 0)],
        "BUILDING_MOVE": [0, number, square(50, 0)],
        "BUILDING_REMOVE": [0, number],
        "TIME_ADVANCE": [1],
    }.items():
        refused(api.fire(event, table.host, *values), 409, "The session is paused.")
    value(api.fire("MESSAGE_SEND", table.one, 0, None, "wait"))
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    before = table.version()
    assert value(api.fire("SETTINGS_ALLOW_GAME_INTERACTION", table.host, False)) is True
    assert table.version() == before  # nothing was new
    value(api.fire("SETTINGS_ALLOW_GAME_INTERACTION", table.host, True))
    value(api.fire("BUILDING_REMOVE", table.one, 0, number))


def test_messages(api: API, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_MESSAGES", 2)
    value(api.fire("STAKEHOLDER_SELECT", table.one, 0))
    number = value(api.fire("MESSAGE_SEND", table.one, 0, 1, "<b>hello</b>"))
    shown = table.item("MESSAGES", number)
    assert {name: shown[name] for name in ("from", "to", "text", "timeMS")} == {
        "from": 0, "to": 1, "text": "<b>hello</b>", "timeMS": int(api.clock.now().timestamp() * 1000),
    }  # fmt: skip
    refused(api.fire("MESSAGE_SEND", table.two, 0, 1, "I am 0"), 400, "INSUFFICIENT_RIGHTS: stakeholder 0 is held")
    refused(api.fire("MESSAGE_SEND", table.one, 0, 9, "hello"), 404, "There is no stakeholder '9'.")
    refused(api.fire("MESSAGE_REMOVE", table.one, number), 400, "INSUFFICIENT_RIGHTS")
    more = [value(api.fire("MESSAGE_SEND", table.one, 0, None, str(place))) for place in range(2)]
    assert [one["id"] for one in api.items(table.one, "MESSAGES")] == more  # the oldest is gone
    assert value(api.fire("MESSAGE_REMOVE", table.host, more[0])) is True
    refused(api.fire("MESSAGE_REMOVE", table.host, more[0]), 404, "There is no message")


def test_settings(api: API, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(api.fire("SETTINGS_SET", table.one, "RAIN", 5), 400, "INSUFFICIENT_RIGHTS")
    refused(api.fire("SETTINGS_SET", table.nobody, "RAIN", 5), 400, "INSUFFICIENT_RIGHTS")
    for written in (5, 5.5, True, "heavy"):
        assert value(api.fire("SETTINGS_SET", table.host, "rain", written)) is True
        (shown,) = [one for one in api.items(table.one, "SETTINGS") if one["name"] == "RAIN"]
        assert shown["value"] == written and type(shown["value"]) is type(written)
    for bad in ([1], {"a": 1}, 10**400, "a\x00b", "x" * 2001):
        refused(api.fire("SETTINGS_SET", table.host, "rain", bad), 400, "INVALID_REQUEST: value of SETTINGS_SET")
    refused(api.fire("SETTINGS_SET", table.host, "allow_game_interaction", 0), 400, "INVALID_REQUEST: ALLOW_GAME_INTERACTION is true")
    monkeypatch.setattr(lists, "MOST_SETTINGS", 2)
    refused(api.fire("SETTINGS_SET", table.host, "snow", 1), 409, "This session has 2 settings")


def test_time_passes(api: API, table: Table) -> None:
    before = table.item("TIMES", 1)["timeMS"]
    assert value(api.fire("TIME_ADVANCE", table.host, 2)) == before + 2 * 86_400_000
    assert table.item("TIMES", 1)["timeMS"] == before + 2 * 86_400_000
    assert table.item("TIMES", 0)["timeMS"] == before
    refused(api.fire("TIME_ADVANCE", table.one, 1), 400, "INSUFFICIENT_RIGHTS")
    for bad in (0, -1, 10**9, 1.5, "1"):
        refused(api.fire("TIME_ADVANCE", table.host, bad), 400, "INVALID_REQUEST: days of TIME_ADVANCE")


def test_time_ends(api: API, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.sessions.items.service.playing._LAST_MS", 0)
    refused(api.fire("TIME_ADVANCE", table.host, 1), 409, "Time ends with the year 9999.")


def test_what_happens_is_logged_in_the_same_step(api: API, table: Table) -> None:
    value(api.fire("BUILDING_PLACE", table.host, 1, "House", 1, SQUARE))
    (log,) = api.items(table.one, "LOGS")
    assert (log["stakeholderID"], log["userName"], log["event"]) == (1, "host@example.org", "BUILDING_PLACE")
    assert log["text"] == "Stakeholder 2 placed the building House (0)."
    assert log["version"] == table.item("BUILDINGS", 0)["version"]


def test_every_change_wakes_who_follows(api: API, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(api.parts.directory, "announce", told.append)
    value(api.fire("MESSAGE_SEND", table.one, 0, None, "hello"))
    value(api.fire("STAKEHOLDER_RELEASE", table.one, 0))  # nobody played it: nothing is new
    assert told == [table.one.id]
