"""The owner of an API: switched off, its rate and its quota, which all of its APIs share."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.windows import Clocks
from services.gateway.keys.model import Key
from services.gateway.keys.organisations import Organisations, organisation_id
from services.gateway.middleware import organisation
from services.gateway.refusals import ORG_INACTIVE, ORG_QUOTA_EXCEEDED, ORG_RATE_LIMITED, Refusal
from tests.unit.gateway.exchanges import LateCounters, Time, Told, ask, built, exchange, ports, refusal, spec


def session(**more: Any) -> Key:
    return Key.from_session(organisation_id("o"), (), more)


class World:
    """Two APIs of one organisation. later: whether the counters answer later."""

    def __init__(self, of_org: Key | None, later: bool = False) -> None:
        self.time = Time()
        counters: Any = MemoryCounters(clocks=Clocks(self.time, self.time))
        self.told: list[Told] = []
        asked: Any = LateCounters(counters) if later else counters
        outside = ports(counters=asked, time=self.time, organisations={"o": of_org} if of_org else {}, told=self.told)
        self.apis = [built(organisation, outside, org_id="o", api_id=api_id) for api_id in ("one", "two")]

    def admitted(self, times: int) -> int:
        found = 0
        for number in range(times):
            try:
                ask(self.apis[number % 2], exchange())
                found += 1
            except Refusal:
                pass
        return found


def test_an_api_without_an_owner() -> None:
    assert spec(organisation) is None


@pytest.mark.parametrize("of_org", [None, session(), session(rate=0, per=60, quota_max=-1), session(rate=5, per=0, quota_max=0)])
def test_an_organisation_without_limits(of_org: Key | None) -> None:
    assert World(of_org).admitted(20) == 20


def test_one_that_is_switched_off() -> None:
    refusal(World(session(is_inactive=True)).apis[0], exchange(), ORG_INACTIVE)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("limits", "kind", "wait"),
    [
        ({"rate": 3, "per": 60}, ORG_RATE_LIMITED, b"60"),
        ({"rate": 0.5, "per": 30}, ORG_RATE_LIMITED, b"60"),
        ({"quota_max": 3, "quota_renewal_rate": 60}, ORG_QUOTA_EXCEEDED, b"60"),
        ({"rate": 9, "per": 60, "quota_max": 3, "quota_renewal_rate": 90}, ORG_QUOTA_EXCEEDED, b"90"),
    ],
)
def test_its_apis_share_its_limits(limits: dict[str, Any], kind: Any, wait: bytes, later: bool) -> None:
    world = World(session(**limits), later)
    allowed = 1 if limits.get("rate") == 0.5 else 3
    assert world.admitted(8) == allowed
    assert refusal(world.apis[1], exchange(), kind).headers == ((b"Retry-After", wait),)
    world.time.now += 90
    assert world.admitted(8) == allowed


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("rate", [{}, {"rate": 100, "per": 60}])
def test_shares_of_its_quota_are_told_by_the_api_whose_request_reaches_them(later: bool, rate: dict[str, Any]) -> None:
    world = World(session(quota_max=4, quota_renewal_rate=60, monitor={"trigger_limits": [50, 100]}, **rate), later)
    assert world.admitted(9) == 4
    assert [(one.name, one.metadata["TriggerLimit"], one.metadata["Key"], one.metadata["OrgID"]) for one in world.told] == [
        ("TriggerExceeded", "50", "o", "o"),
        ("TriggerExceeded", "100", "o", "o"),
    ]


def test_a_quota_that_is_not_renewed() -> None:
    world = World(session(quota_max=1))
    assert world.admitted(3) == 1
    told = refusal(world.apis[0], exchange(), ORG_QUOTA_EXCEEDED)
    assert (told.headers, told.detail) == ((), "The organisation's limit is 1 request; it is not renewed.")


class Sessions:
    """What a store says. asked: how often it was read whole."""

    def __init__(self) -> None:
        self.number = 0
        self.sessions: dict[str, dict[str, Any]] = {}
        self.asked = 0

    def generation(self) -> int:
        return self.number

    def all(self) -> tuple[int, dict[str, dict[str, Any]]]:
        self.asked += 1
        return self.number, self.sessions


class NoCopy:
    def write(self, sessions: object) -> None:
        pass

    def read(self) -> None:
        return None


def test_what_is_known_of_organisations() -> None:
    store = Sessions()
    known = Organisations(store, NoCopy())
    assert known.find("o") is None
    store.sessions, store.number = {"o": {"is_inactive": True}}, 1
    for _ in range(3):
        known.look()
    found = known.find("o")
    assert found is not None and found.is_inactive
    assert store.asked == 1
    store.sessions, store.number = {}, 2
    known.look()
    assert known.find("o") is None
