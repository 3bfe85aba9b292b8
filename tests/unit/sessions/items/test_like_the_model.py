"""Random events against a naive model: the lists are what they should be, and whoever polls has what a reader sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.common.refusal import Refusal
from services.sessions.access import Seat
from services.sessions.items import store
from services.sessions.items.rules import lists, polygons
from tests.unit.sessions.conftest import API

WHO = st.integers(0, 3)  # a player, another one, the host, nobody
STAKEHOLDER = st.integers(0, 4)  # there is no 4
BUILDING = st.integers(0, 3)
CELL = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("select"), WHO, STAKEHOLDER | st.none(), st.booleans()),
    st.tuples(st.just("release"), WHO, STAKEHOLDER),
    st.tuples(st.just("release_all"), WHO),
    st.tuples(st.just("rename"), WHO, STAKEHOLDER, st.sampled_from("AB")),
    st.tuples(st.just("place"), WHO, STAKEHOLDER, CELL),
    st.tuples(st.just("move"), WHO, STAKEHOLDER, BUILDING, CELL),
    st.tuples(st.just("remove"), WHO, STAKEHOLDER, BUILDING),
    st.tuples(st.just("send"), WHO, STAKEHOLDER),
    st.tuples(st.just("remove_message"), st.integers(0, 5)),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("poll"), st.integers(0, 1)),
)
HOST, NOBODY = 2, 3


class Refused(Exception):
    """The model says no."""


class Model:
    """What a session should hold: simple, and slow if need be. Who: numbers as in `WHO`."""

    def __init__(self) -> None:
        self.holders: dict[int, int | None] = dict.fromkeys(range(4))
        self.names = {number: f"Stakeholder {number + 1}" for number in range(4)}
        self.buildings: dict[int, tuple[int, int]] = {}  # stakeholder, cell
        self.messages: list[int] = []
        self.paused = False
        self._placed = self._sent = 0

    def select(self, who: int, wanted: int | None, today: bool) -> int | None:
        if who == NOBODY:
            raise Refused
        mine = next((one for one, holder in self.holders.items() if holder == who), None)
        free = [one for one, holder in self.holders.items() if holder is None]
        if wanted is None:
            got = mine if mine is not None else next(iter(free), None)
        elif wanted not in self.holders:
            raise Refused
        elif self.holders[wanted] in (None, who):
            got = wanted
        elif not today:
            return None
        else:
            got = mine if mine is not None else next(iter([one for one in free if one > wanted] + free), None)
        if got is not None:
            self.release_all(who)
            self.holders[got] = who
        return got

    def release(self, who: int, stakeholder: int) -> bool:
        self._acts(who, stakeholder)
        held = self.holders[stakeholder] is not None
        self.holders[stakeholder] = None
        return held

    def release_all(self, who: int) -> bool:
        if who == NOBODY:
            raise Refused
        held = [one for one, holder in self.holders.items() if holder == who]
        for one in held:
            self.holders[one] = None
        return bool(held)

    def rename(self, who: int, stakeholder: int, name: str) -> bool:
        self._acts(who, stakeholder)
        if who != HOST and self.holders[stakeholder] != who:
            raise Refused
        self.names[stakeholder] = name
        return True

    def place(self, who: int, stakeholder: int, cell: int) -> int:
        self._builds(who, stakeholder)
        if cell in [other for _, other in self.buildings.values()]:
            raise Refused
        self.buildings[self._placed] = stakeholder, cell
        self._placed += 1
        return self._placed - 1

    def move(self, who: int, stakeholder: int, building: int, cell: int) -> bool:
        self._owns(who, stakeholder, building)
        if cell in [other for number, (_, other) in self.buildings.items() if number != building]:
            raise Refused
        self.buildings[building] = self.buildings[building][0], cell
        return True

    def remove(self, who: int, stakeholder: int, building: int) -> bool:
        self._owns(who, stakeholder, building)
        del self.buildings[building]
        return True

    def send(self, who: int, stakeholder: int) -> int:
        self._acts(who, stakeholder)
        self.messages = [*self.messages, self._sent][-lists.MOST_MESSAGES :]
        self._sent += 1
        return self._sent - 1

    def remove_message(self, message: int) -> bool:
        if message not in self.messages:
            raise Refused
        self.messages.remove(message)
        return True

    def _acts(self, who: int, stakeholder: int) -> None:
        if stakeholder not in self.holders or (who != HOST and self.holders[stakeholder] not in (None, who)):
            raise Refused

    def _builds(self, who: int, stakeholder: int) -> None:
        self._acts(who, stakeholder)
        if self.paused:
            raise Refused

    def _owns(self, who: int, stakeholder: int, building: int) -> None:
        self._builds(who, stakeholder)
        if building not in self.buildings or (who != HOST and self.buildings[building][0] != stakeholder):
            raise Refused


class Poller:
    """A client that keeps what it was told, as clients do."""

    def __init__(self) -> None:
        self.known = dict.fromkeys(lists.ALL, -1)
        self.items: dict[str, dict[int, Any]] = {name: {} for name in lists.ALL}

    def apply(self, news: dict[str, store.Changed]) -> None:
        for name, changed in news.items():
            mine = self.items[name]
            if changed.full:
                mine.clear()
            for one in changed.items:
                assert mine.get(one["id"]) != one, "told twice"
                mine[one["id"]] = one
            for gone in changed.deletes:
                mine.pop(gone["id"], None)  # it may have come and gone between two polls
            before = -1 if changed.full else self.known[name]
            self.known[name] = max(one["version"] for one in ({"version": before}, *changed.items, *changed.deletes))
            assert changed.full or self.known[name] == changed.version > before


class Played:
    """One session with its clients, its model and two pollers."""

    def __init__(self, api: API) -> None:
        self.api = api
        self.id = api.start("demo")
        joined = [api.join(self.id, "join"), api.join(self.id, "join"), api.join(self.id, "host")]
        seats = [api.parts.seats.seat(one.token, one.client) for one in joined]
        self.seats = [*seats, Seat(seats[0].session, None)]
        self.model = Model()
        self.pollers = [Poller(), Poller()]
        self.version = 1

    def do(self, step: tuple[Any, ...]) -> None:
        name, *values = step
        if name == "poll":
            self.poll(self.pollers[values[0]])
            return
        try:
            expected = self._expected(name, values)
        except Refused:
            with pytest.raises(Refusal):
                self._real(name, values)
        else:
            assert self._real(name, values) == expected, step
        self._check()

    def poll(self, poller: Poller) -> None:
        with self.api.parts.database.read() as transaction:
            news = store.changes_since(transaction, self.id, poller.known)
            there = {name: store.items(transaction, self.id, name) for name in lists.ALL}
        poller.apply(news)
        assert {name: sorted(items.values(), key=lambda one: one["id"]) for name, items in poller.items.items()} == there

    def _expected(self, name: str, values: list[Any]) -> Any:
        if name == "pause":
            self.model.paused = values[0]
            return True
        found: Callable[..., Any] = getattr(self.model, name)
        return found(*values)

    def _real(self, name: str, values: list[Any]) -> Any:
        parts = self.api.parts
        if name == "pause":
            return parts.playing.allow_interaction(self.seats[HOST], not values[0])
        if name == "remove_message":
            return parts.playing.remove_message(self.seats[HOST], values[0])
        seat, *rest = self.seats[values[0]], *values[1:]
        match name:
            case "select":
                return parts.stakeholders.select(dataclasses.replace(seat, today=rest[1]), rest[0], None)
            case "release_all":
                return parts.stakeholders.release_all(seat, None)
            case "place":
                return parts.buildings.place(seat, rest[0], "House", 1, _outline(rest[1]))
            case "move":
                return parts.buildings.move(seat, rest[0], rest[1], _outline(rest[2]))
            case "remove":
                return parts.buildings.remove(seat, *rest)
            case "send":
                return parts.playing.send(seat, rest[0], None, "hello")
        return getattr(parts.stakeholders, name)(seat, *rest)

    def _check(self) -> None:
        """Compare with the model; the version grows with each change and stays without one."""
        with self.api.parts.database.read() as transaction:
            found = {name: store.items(transaction, self.id, name) for name in lists.ALL}
            versions = store.versions(transaction, self.id)
        holders = {one["id"]: one["clientID"] for one in found["STAKEHOLDERS"]}
        assert holders == {number: self._client_id(holder) for number, holder in self.model.holders.items()}
        assert {one["id"]: one["name"] for one in found["STAKEHOLDERS"]} == self.model.names
        assert {one["id"]: (one["stakeholderID"], _cell(one)) for one in found["BUILDINGS"]} == self.model.buildings
        assert [one["id"] for one in found["MESSAGES"]] == self.model.messages
        assert found["SETTINGS"][0]["value"] is not self.model.paused
        newest = max(versions.values())
        assert newest in (self.version, self.version + 1)
        assert all(one["version"] <= versions[name] for name, items in found.items() for one in items)
        self.version = newest

    def _client_id(self, place: int | None) -> int | None:
        client = None if place is None else self.seats[place].client
        return None if client is None else client.id


def _outline(cell: int) -> Any:
    """The squares of two cells share no more than an edge."""
    return polygons.read([[cell * 10, 0], [cell * 10 + 10, 0], [cell * 10 + 10, 10], [cell * 10, 10]])


def _cell(building: dict[str, Any]) -> int:
    found: float = building["polygons"]["coordinates"][0][0][0] / 10
    return int(found)


def test_like_the_model(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"MOST_LOGS": 4, "MOST_MESSAGES": 3}.items():
        monkeypatch.setattr(lists, name, most)
    monkeypatch.setattr(store, "KEPT_DELETIONS", 1)  # with a full log pollers are often behind the horizon, with items that they know
    api.project()

    @settings(max_examples=5, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=15, max_size=25))
    def play(steps: list[tuple[Any, ...]]) -> None:
        played = Played(api)
        for _ in range(lists.MOST_LOGS):
            played.do(("send", HOST, 0))
        for place, step in enumerate(steps):
            if place % 5 == 0:
                played.poll(played.pollers[place % 2])
            played.do(step)
        for poller in played.pollers:
            played.poll(poller)
        api.parts.database.run(lambda transaction: transaction.execute(sa.text("UPDATE sessions SET ended_at = started_at")))

    play()
