"""Long random stories against a naive model: what the service says is there is what ought to be there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from services.sessions.models import Client, Item, ItemList, Session
from services.sessions.sessions.service.keeper import GRACE_S
from tests.unit.sessions.conftest import API, MakeAPI, value
from tests.unit.sessions.sessions.test_ending import count

STEPS = 60
TIMEOUT_S, LOST_S = 900, 30


@dataclass
class Running:
    """What the model knows of a session. clients: moment of the last activity by token; polls: the tokens of those who poll."""

    type: str
    active_at: float
    kept: bool = False
    clients: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    polls: set[str] = field(default_factory=set)


class Story:
    """One service in two processes, one project, and a model of them."""

    def __init__(self, apis: list[API], seed: int) -> None:
        self.apis = apis
        self.random = random.Random(seed)
        self.now = 0.0
        self.sessions: dict[int, Running] = {}
        apis[0].project()

    def api(self) -> API:
        return self.random.choice(self.apis)

    def pass_time(self) -> None:
        """Let time pass; both processes keep, so that the model need not know what each has noted."""
        seconds = self.random.choice((1, 7, 25, 40, 400, 890, 910))
        self.apis[0].clock.move(seconds)
        self.now += seconds
        for number, one in list(self.sessions.items()):
            if not one.kept and self.now - one.active_at >= TIMEOUT_S:
                del self.sessions[number]
                continue
            for token in [token for token in one.polls if self.now - one.clients[token] >= LOST_S + GRACE_S]:
                self.leave(one, token)
        self.keep()

    def keep(self) -> None:
        for api in self.apis:
            api.parts.keeper.keep()

    def leave(self, one: Running, token: str) -> None:
        del one.clients[token]
        one.polls.discard(token)

    def start(self) -> None:
        kind = self.random.choice(("SINGLE", "MULTI", "MULTI", "EDITOR"))
        types = {one.type for one in self.sessions.values()}
        answer = self.api().io("START_NEW_SESSION", "edit", kind, "demo")
        if "EDITOR" in types or (kind == "EDITOR" and types):
            assert answer.status_code == 409
        else:
            assert answer.status_code == 200
            number = int(answer.text)
            assert number not in self.sessions
            self.sessions[number] = Running(kind, self.now)

    def chosen(self) -> tuple[int, Running] | None:
        return self.random.choice(list(self.sessions.items())) if self.sessions else None

    def join(self) -> None:
        found = self.chosen()
        if found is not None:
            number, one = found
            joined = self.api().join(number, "edit")
            one.clients[joined.client] = one.active_at = self.now
            one.tokens[joined.client] = joined.token

    def act(self, *, polls: bool) -> None:
        found = self.chosen()
        if found is None or not found[1].clients:
            return
        _, one = found
        token = self.random.choice(list(one.clients))
        api = self.api()
        seat = api.parts.seats.seat(one.tokens[token], token)
        assert seat.client is not None
        api.parts.activity.note(seat.client.id, seat.session.id, polled=polls)
        one.clients[token] = one.active_at = self.now
        if polls:
            one.polls.add(token)
        self.keep()

    def close(self) -> None:
        found = self.chosen()
        if found is None or not found[1].clients:
            return
        number, one = found
        token, keep_open = self.random.choice(list(one.clients)), self.random.random() < 0.3
        self.leave(one, token)
        ends = not (one.clients or keep_open or one.kept)
        assert self.api().io("CLOSE_SESSION", "edit", number, token, keep_open).json is ends
        if ends:
            del self.sessions[number]

    def kill(self) -> None:
        number = self.random.randint(1, 12)
        assert self.api().io("KILL_SESSION", "edit", number).json is (self.sessions.pop(number, None) is not None)

    def keep_alive(self) -> None:
        found = self.chosen()
        if found is not None:
            number, one = found
            one.kept, one.active_at = self.random.random() < 0.3, self.now
            self.api().io("SET_SESSION_KEEP_ALIVE", "edit", number, "LONG" if one.kept else "NEVER")

    def check(self) -> None:
        """Compare what is told and what is stored with the model."""
        found = {one["sessionID"]: one for one in value(self.api().io("GET_SESSIONS", "edit"))}
        assert {number: one["sessionType"] for number, one in found.items()} == {number: one.type for number, one in self.sessions.items()}
        assert {number: len(one["clients"]) for number, one in found.items()} == {n: len(one.clients) for n, one in self.sessions.items()}
        api = self.apis[0]
        ended = sa.select(Session.id).where(Session.ended_at.is_not(None))
        assert count(api, Client, Client.released_at.is_(None), Client.session_id.in_(ended)) == 0
        assert count(api, ItemList, ItemList.session_id.in_(ended)) == count(api, Item, Item.session_id.in_(ended)) == 0


@pytest.mark.parametrize(("seed", "database_url"), [(0, "sqlite"), (1, "postgresql")], indirect=["database_url"])
def test_a_random_story(make_api: MakeAPI, seed: int) -> None:
    story = Story([make_api(), make_api()], seed)
    deeds = (
        story.start,
        story.join,
        story.join,
        lambda: story.act(polls=False),
        lambda: story.act(polls=True),
        story.close,
        story.kill,
        story.keep_alive,
        story.pass_time,
    )
    for _ in range(STEPS):
        story.random.choice(deeds)()
        story.check()
