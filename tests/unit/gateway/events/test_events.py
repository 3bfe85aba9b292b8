"""From a refusal to the receiver, and that the refused request waits for none of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.common.core_database import CoreDatabase
from services.common.webhooks.courier import Courier
from services.common.webhooks.outbox import Call
from services.common.webhooks.signing import signature
from services.gateway import refusals
from services.gateway.definitions.event_schema import EVENTS
from services.gateway.definitions.model import LOG, WEBHOOK, EventHandler
from services.gateway.events import messages
from services.gateway.events.events import Events
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.refusals import Refusal
from services.gateway.settings import Settings
from services.gateway.stores.events import Outbox
from services.gateway.stores.hooks import HookStore, SigningSecrets
from services.gateway.stores.oauth import OAuthStore
from services.gateway.stores.sealing import Sealing
from services.gateway.wire.heads.requests import HeaderSection
from services.gateway.wiring import create_events
from tests.support.log_lines import captured
from tests.support.waiting import wait_until

QUOTA = Refusal(refusals.QUOTA_EXCEEDED)


def hooks_of(database: CoreDatabase, master_key: str = "m" * 32) -> HookStore:
    return HookStore(database, Sealing(database, Settings(master_key=master_key)))


def made(database: CoreDatabase, templates: Path, **courier_options: Any) -> Events:
    """As a worker makes it."""
    outbox = Outbox(database)
    courier = Courier(outbox, SigningSecrets(hooks_of(database)).of, (IPv4Network("127.0.0.0/8"),), **courier_options)
    return Events(outbox, courier, messages.Templates(templates))


def api(*handlers: EventHandler, event: str = "QuotaExceeded") -> Any:
    return SimpleNamespace(api_id="one", event_handlers={event: handlers} if handlers else {})


def hook(url: str, **more: Any) -> EventHandler:
    return EventHandler(WEBHOOK, id=more.pop("id", "h1"), target_path=f"{url}/hook", **more)


def exchange(api: Any, path: str = "/one/a", key: str = "public-id") -> Exchange:
    refused = Exchange("GET", path, "", HeaderSection.of([]), "127.0.0.1", "127.0.0.1", "r1", 0.0)
    refused.api = api
    refused.key = Key(key)
    return refused


@contextmanager
def started(told: Events) -> Iterator[Events]:
    asyncio.run(told.start())
    try:
        yield told
    finally:
        asyncio.run(told.stop())


@pytest.mark.parametrize(("allowed", "state"), [((IPv4Network("127.0.0.0/8"),), "delivered"), ((), "dead")])
def test_what_receivers_and_operators_of_the_gateway_see(
    database: CoreDatabase, receiver: Any, allowed: tuple[IPv4Network, ...], state: Any
) -> None:
    """As a worker is wired: it calls under Tyk's name, and a call that is refused says which setting would allow it."""
    settings = Settings(master_key="m" * 32, webhook_allow=allowed)
    with started(create_events(settings, database, hooks_of(database), OAuthStore(database, Sealing(database, settings)))) as told:
        told.refused(exchange(api(hook(receiver.url))), QUOTA)
        wait_until(lambda: told.outbox.page(state, 0, 1)[1])
    [call] = told.outbox.page(None, 0, 1)[0]
    assert (call.hook_id, call.subject) == ("h1", "one")
    if allowed:
        assert receiver.calls[0].headers["user-agent"] == "Tyk-Hookshot"
    else:
        assert call.last_error == "the target is in a private network; GATEWAY_WEBHOOK_ALLOW can name networks that may be called"
        assert receiver.calls == []


@pytest.fixture
def told(database: CoreDatabase, tmp_path: Path) -> Iterator[Events]:
    with started(made(database, tmp_path)) as events:
        yield events


def test_a_refusal_is_told_within_a_moment(database: CoreDatabase, tmp_path: Path, receiver: Any) -> None:
    """The courier is woken: it would look by itself only after an hour."""
    with started(made(database, tmp_path, look=3600.0)) as told:
        told.refused(exchange(api(hook(receiver.url, header_map=(("X-Tyk-Test-Header", "BANANA"),)))), QUOTA)
        wait_until(lambda: receiver.calls)
    [call] = receiver.calls
    said = json.loads(call.body)
    assert (said["event"], said["message"], said["path"], said["origin"], said["key"]) == (
        "QuotaExceeded",
        "Key Quota Limit Exceeded",
        "/one/a",
        "127.0.0.1",
        "public-id",
    )
    assert (said["api_id"], call.headers["x-tyk-test-header"]) == ("one", "BANANA")


def test_an_event_that_was_told_is_told_again_after_its_time(told: Events, receiver: Any) -> None:
    """Another path and another key are other events; so is another hook."""
    two = api(hook(receiver.url, event_timeout=600), hook(receiver.url, id="h2", event_timeout=600))
    for path, key in (("/one/a", "k"), ("/one/a", "k"), ("/one/b", "k"), ("/one/a", "k2"), ("/one/b", "k")):
        told.refused(exchange(two, path, key), QUOTA)
    asyncio.run(told.stop())
    assert told.outbox.page(None, 0, 100)[1] == 6


def test_nobody_listens(told: Events) -> None:
    told.refused(exchange(api()), QUOTA)
    told.refused(exchange(api(hook("http://x"), event="AuthFailure")), QUOTA)
    told.refused(exchange(api(hook("http://x"))), Refusal(refusals.KEY_MISSING))
    told.refused(exchange(None), QUOTA)
    told.fire("TokenCreated", None, {})
    told.fire("TokenCreated", api(), {})
    assert told.pending() == 0


def test_other_events_are_told_from_any_thread(told: Events, receiver: Any) -> None:
    told.fire("TokenCreated", api(hook(receiver.url), event="TokenCreated"), {"Message": "Key created.", "Key": "public-id", "Org": 5})
    wait_until(lambda: receiver.calls)
    said = json.loads(receiver.calls[0].body)
    assert (said["event"], said["message"], said["key"], said["path"]) == ("TokenCreated", "Key created.", "public-id", "")


def test_a_template_of_the_folder_is_used(told: Events, receiver: Any, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('{"what": "{{.EventMetaData.Path}}"}')
    told.refused(exchange(api(hook(receiver.url, template_path="own.json")), '/one/"q"'), QUOTA)
    wait_until(lambda: receiver.calls)
    assert json.loads(receiver.calls[0].body) == {"what": '/one/"q"'}


def test_a_log_handler_writes_a_line(told: Events) -> None:
    with captured() as lines:
        told.refused(exchange(api(EventHandler(LOG, prefix="PFX"), event="AuthFailure")), Refusal(refusals.KEY_UNKNOWN))
        wait_until(lambda: lines)
    assert [(line["event"], line["key_id"], line["origin"], line["path"], line["api"]) for line in lines] == [
        ("PFX:AuthFailure:Auth Failure", "public-id", "127.0.0.1", "/one/a", "one")
    ]


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_log_handler_writes_a_line_of_every_event(told: Events, event: str) -> None:
    with captured() as lines:
        told.fire(event, api(EventHandler(LOG, prefix="PFX"), event=event), {"Message": "What happened"})
        wait_until(lambda: lines)
    assert [(line["event"], line["api"]) for line in lines] == [(f"PFX:{event}:What happened", "one")]


def test_the_secret_of_the_stored_hook_signs_and_is_read_again(database: CoreDatabase, told: Events, receiver: Any) -> None:
    hooks_of(database).create({"id": "h1", "name": "n"}, "of the store")
    for id in ("h1", "", "unknown"):
        told.refused(exchange(api(hook(receiver.url, id=id))), QUOTA)
    wait_until(lambda: len(receiver.calls) == 3)
    signed = [call for call in receiver.calls if "webhook-signature" in call.headers]
    assert len(signed) == 1
    given = (signed[0].headers["webhook-id"], signed[0].headers["webhook-timestamp"], signed[0].body)
    assert signed[0].headers["webhook-signature"] == signature("of the store", *given)


def test_ten_thousand_refusals_block_nobody(database: CoreDatabase, tmp_path: Path) -> None:
    """The outbox stands still: what is refused is noted up to a bound, the rest is counted. A call that waited for it would never end."""
    told = made(database, tmp_path)
    refused = exchange(api(hook("http://127.0.0.1:9")))
    with captured() as lines:
        for _ in range(10_100):
            told.refused(refused, QUOTA)
    assert (told.pending(), told.dropped) == (10_000, 100)
    assert len([line for line in lines if line["level"] == "error"]) == 1


def test_nobody_listening_costs_next_to_nothing(database: CoreDatabase, tmp_path: Path) -> None:
    """Nothing is called for it."""
    told = made(database, tmp_path)
    refused = exchange(api())
    called: list[str] = []
    sys.setprofile(lambda frame, event, _: called.append(f"{event} {frame.f_code.co_name}"))
    try:
        told.refused(refused, QUOTA)
    finally:
        sys.setprofile(None)
    assert [one for one in called if "refused" not in one] == ["c_call test_nobody_listening_costs_next_to_nothing"]  # setprofile itself
    assert called[:2] == ["call refused", "return refused"]


def test_what_was_noted_is_in_the_outbox_after_the_stop(database: CoreDatabase, tmp_path: Path) -> None:
    told = made(database, tmp_path)
    one = api(hook("http://127.0.0.1:9"))
    with started(told):
        for number in range(500):
            told.refused(exchange(one, f"/one/{number}"), QUOTA)
    assert told.pending() == 0
    assert told.outbox.page(None, 0, 1)[1] == 500


def test_a_stop_without_a_start(database: CoreDatabase, tmp_path: Path) -> None:
    asyncio.run(made(database, tmp_path).stop())


class Away:
    """An outbox whose database is away until it is said to be back. poison: what it refuses for good."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.back = False
        self.asked = 0
        self.poison = ""

    def put(self, calls: Sequence[Call], now: float) -> int:
        self.asked += 1
        if not self.back:
            raise OperationalError("INSERT", {}, Exception("connection refused"))
        if any(self.poison in call.body for call in calls if self.poison):
            raise ValueError("not text")
        return self.outbox.put(calls, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outbox, name)


def assembled(away: Away, tmp_path: Path) -> Events:
    courier: Any = SimpleNamespace(start=lambda: None, stop=lambda: None, wake=lambda: None)
    build: Callable[..., Events] = Events
    return build(away, courier, messages.Templates(tmp_path))


def test_a_database_that_comes_back_gets_everything(outbox: Outbox, tmp_path: Path) -> None:
    away = Away(outbox)
    with captured() as lines, started(assembled(away, tmp_path)) as told:
        for number in range(50):
            told.refused(exchange(api(hook("http://127.0.0.1:9")), f"/one/{number}"), QUOTA)
        wait_until(lambda: away.asked >= 2)
        away.back = True
        wait_until(lambda: outbox.page(None, 0, 1)[1] == 50)
        assert told.dropped == 0
    assert len([line for line in lines if line["level"] == "error"]) == 1


def test_a_database_that_stays_away_holds_up_no_stop(outbox: Outbox, tmp_path: Path) -> None:
    """What the outbox does not take by then is counted as lost; nobody waits until the stop gives up."""
    away = Away(outbox)
    with started(assembled(away, tmp_path)) as told:
        told.refused(exchange(api(hook("http://127.0.0.1:9"))), QUOTA)
        wait_until(lambda: away.asked)
    assert told.dropped == 1


def test_one_event_that_the_database_refuses_is_lost_alone(outbox: Outbox, tmp_path: Path) -> None:
    away = Away(outbox)
    away.poison = "/one/7"
    away.back = True
    told = assembled(away, tmp_path)
    broken: Any = SimpleNamespace(handler_name=WEBHOOK)
    for number in range(10):
        told.refused(exchange(api(hook("http://127.0.0.1:9")), f"/one/{number}"), QUOTA)
    told.refused(exchange(api(broken)), QUOTA)
    with started(told):
        wait_until(lambda: outbox.page(None, 0, 1)[1] == 9)
    assert told.dropped == 2


def test_what_is_no_refusal_is_told_with_all_that_it_says(told: Events, receiver: Any) -> None:
    """Two shares of one quota are two events, although everything else of them is the same."""
    request = exchange(api(hook(receiver.url, event_timeout=3600), event="TriggerExceeded"))
    for share in ("80", "95", "80"):
        metadata = {"Message": "Quota trigger reached", "Key": "k1", "OrgID": "acme", "TriggerLimit": share, "UsagePercentage": share}
        told.tell(request, "TriggerExceeded", metadata)
    told.tell(request, "KeyExpired", metadata)  # nobody asked for it
    wait_until(lambda: len(receiver.calls) >= 2)
    said = sorted((json.loads(call.body) for call in receiver.calls), key=lambda one: one["trigger_limit"])
    assert [one["trigger_limit"] for one in said] == ["80", "95"]
    del said[0]["time"]
    assert said[0] == {
        "event": "TriggerExceeded", "message": "Quota trigger reached", "path": "", "origin": "127.0.0.1", "key": "k1", "api_id": "one",
        "org_id": "acme", "trigger_limit": "80", "usage_percentage": "80",
    }  # fmt: skip


def test_a_breaker_that_opens_and_closes_is_two_events(told: Events, receiver: Any) -> None:
    request = exchange(api(hook(receiver.url, event_timeout=3600), event="BreakerTriggered"))
    for message, number in (("Breaker Tripped", "0"), ("Breaker Reset", "1"), ("Breaker Tripped", "0")):
        told.tell(request, "BreakerTriggered", {"Message": message, "Path": "^/a", "CircuitEvent": number})
    wait_until(lambda: len(receiver.calls) >= 2)
    said = [json.loads(call.body) for call in receiver.calls]
    assert sorted((one["message"], one["path"]) for one in said) == [("Breaker Reset", "^/a"), ("Breaker Tripped", "^/a")]


def test_two_hosts_of_an_api_are_two_events(told: Events, receiver: Any) -> None:
    one = api(hook(receiver.url, event_timeout=3600), event="HostDown")
    for url in ("http://a/", "http://b/", "http://a/"):
        told.fire("HostDown", one, {"Message": "Uptime test failed", "HostInfo.CheckURL": url, "HostInfo.ResponseCode": "0"})
    wait_until(lambda: len(receiver.calls) >= 2)
    said = [json.loads(call.body) for call in receiver.calls]
    assert sorted((one["check_url"], one["response_code"]) for one in said) == [("http://a/", "0"), ("http://b/", "0")]


def test_an_event_without_an_api_is_told_to_nobody(told: Events) -> None:
    told.tell(exchange(None), "TriggerExceeded", {})
    assert told.pending() == 0
