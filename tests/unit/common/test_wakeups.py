"""Wake-ups in one process and through Valkey: none is lost, none wakes a stranger, an outage wakes everybody."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from services.common.wakeups import InProcess, ThroughValkey, Wakeups, create
from tests.support.stores import Valkey
from tests.support.valkey_cluster import Cluster
from tests.support.waiting import wait_until


@pytest.fixture(params=["in process", "valkey"])
def wakeups(request: pytest.FixtureRequest) -> Iterator[Wakeups]:
    made: Wakeups
    if request.param == "valkey":
        valkey: Valkey = request.getfixturevalue("valkey")
        made = through = ThroughValkey(valkey.url, "example")
        assert through.wait_until_subscribed(30)
    else:
        made = InProcess()
    yield made
    made.close()


def test_a_wake_up_between_ticket_and_wait_is_not_lost(wakeups: Wakeups) -> None:
    with wakeups.ticket("a") as ticket:
        wakeups.publish(["a"])
        assert ticket.wait(30) is True


def test_another_topic_does_not_wake(wakeups: Wakeups) -> None:
    with wakeups.ticket("a") as mine, wakeups.ticket("b") as marker:
        wakeups.publish(["b"])
        assert marker.wait(30) is True
        assert mine.wait(0.05) is False


def test_any_of_several_topics_wakes(wakeups: Wakeups) -> None:
    with wakeups.ticket("a", "b") as ticket:
        wakeups.publish(["c", "b"])
        assert ticket.wait(30) is True


def test_all_who_wait_are_woken(wakeups: Wakeups) -> None:
    tickets = [wakeups.ticket("a") for _ in range(20)]
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda one=one: woken.append(one.wait(30))) for one in tickets]
    for thread in threads:
        thread.start()
    wakeups.publish(["a"])
    for thread in threads:
        thread.join()
    assert woken == [True] * 20


def test_the_time_ends(wakeups: Wakeups) -> None:
    with wakeups.ticket("a") as ticket:
        assert ticket.wait(0.01) is False
        assert ticket.wait(0) is False


def test_closing_sends_everybody_home(wakeups: Wakeups) -> None:
    ticket = wakeups.ticket("a")
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(ticket.wait(60)))
    waiter.start()
    wakeups.close()
    waiter.join(30)
    assert answers == [False]
    assert wakeups.closing
    assert ticket.wait(60) is False


def test_closing_does_not_wait_for_the_subscriber(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = redis.client.PubSub.get_message
    monkeypatch.setattr(redis.client.PubSub, "get_message", lambda subscription, timeout: patient(subscription, timeout=60))
    closing, staying = ThroughValkey(valkey.url, "example"), ThroughValkey(valkey.url, "example")
    for one in (closing, staying):
        assert one.wait_until_subscribed(30)
    with staying.ticket("a") as ticket:
        closing.close()
        closing._thread.join(30)
        assert not closing._thread.is_alive()
        assert ticket.wait(0.05) is False
        assert not staying.closing
    staying.close()


def test_closing_while_valkey_does_not_answer(valkey: Valkey) -> None:
    wakeups = ThroughValkey(valkey.url, "example")
    assert wakeups.wait_until_subscribed(30)
    valkey.hang()
    try:
        wakeups.close()
        wakeups._thread.join(30)
        assert not wakeups._thread.is_alive()
    finally:
        valkey.go_on()


def test_a_closed_ticket_leaves_nothing_behind() -> None:
    wakeups = InProcess()
    ticket = wakeups.ticket("a", "b")
    ticket.close()
    ticket.close()
    assert wakeups._board._waiting == {}


def test_one_process_wakes_another(valkey: Valkey) -> None:
    here, there = ThroughValkey(valkey.url, "example"), ThroughValkey(valkey.url, "example")
    assert here.wait_until_subscribed(30)
    assert there.wait_until_subscribed(30)
    with there.ticket("a") as ticket:
        here.publish(["a"])
        assert ticket.wait(30) is True
    here.close()
    there.close()


def test_the_nodes_of_a_cluster_pass_wake_ups_on(valkey_cluster: Cluster) -> None:
    here, there = (ThroughValkey(f"redis://127.0.0.1:{node.port}/0", "example") for node in valkey_cluster.primaries[:2])
    try:
        assert here.wait_until_subscribed(30) and there.wait_until_subscribed(30)
        with there.ticket("a") as ticket:
            here.publish(["a"])
            assert ticket.wait(30) is True
    finally:
        here.close()
        there.close()


def test_a_process_does_not_hear_itself_again(valkey: Valkey) -> None:
    here, there = ThroughValkey(valkey.url, "example"), ThroughValkey(valkey.url, "example")
    assert here.wait_until_subscribed(30)
    assert there.wait_until_subscribed(30)
    heard: list[str | None] = []
    here.listen(heard.append)
    here.publish(["mine"])
    there.publish(["theirs"])
    wait_until(lambda: "theirs" in heard, what="the wake-up of the other process")
    here.publish(["last"])
    with there.ticket("last") as ticket:
        here.publish(["last"])
        assert ticket.wait(30) is True
    assert heard == ["mine", "theirs", "last", "last"]
    here.close()
    there.close()


def test_who_listens_hears_before_those_who_wait(wakeups: Wakeups) -> None:
    heard: list[tuple[str | None, bool]] = []
    with wakeups.ticket("a") as ticket:
        wakeups.listen(lambda topic: heard.append((topic, ticket._event.is_set())))
        wakeups.publish(["a"])
        assert ticket.wait(30) is True
        wakeups.publish(["b"])
    assert heard == [("a", False), ("b", False)]


def test_nobody_waits_for_a_valkey_that_hangs_and_the_others_are_woken_when_it_goes_on(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who publishes never speaks with Valkey itself, so whatever that does holds nobody up."""
    here, there = ThroughValkey(valkey.url, "example"), ThroughValkey(valkey.url, "example")
    assert here.wait_until_subscribed(30)
    assert there.wait_until_subscribed(30)
    publish = here._client.publish
    speakers: set[threading.Thread] = set()

    def noted(channel: str, message: str) -> object:
        speakers.add(threading.current_thread())
        return publish(channel, message)

    monkeypatch.setattr(here._client, "publish", noted)
    with there.ticket("a") as ticket:
        valkey.hang()
        try:
            here.publish(["a"])
        finally:
            valkey.go_on()
        assert ticket.wait(30) is True
    assert speakers == {here._sender}
    here.close()
    there.close()


def test_what_valkey_did_not_take_is_sent_again(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others keep their subscription over a short outage, so nothing else would tell them."""
    here, there = ThroughValkey(valkey.url, "example"), ThroughValkey(valkey.url, "example")
    assert here.wait_until_subscribed(30)
    assert there.wait_until_subscribed(30)
    publish, failed = here._client.publish, threading.Event()

    def fails_once(channel: str, message: str) -> object:
        if not failed.is_set():
            failed.set()
            raise redis.TimeoutError
        return publish(channel, message)

    monkeypatch.setattr(here._client, "publish", fails_once)
    with there.ticket("a") as ticket:
        here.publish(["a"])
        assert ticket.wait(30) is True
        assert failed.is_set()
    here.close()
    there.close()


def test_the_last_wake_up_before_the_end_is_sent(valkey: Valkey) -> None:
    here, there = ThroughValkey(valkey.url, "example"), ThroughValkey(valkey.url, "example")
    assert there.wait_until_subscribed(30)
    with there.ticket("a") as ticket:
        here.publish(["a"])
        here.close()
        assert ticket.wait(30) is True
    there.close()


def test_channels_are_kept_apart(valkey: Valkey) -> None:
    mine, other = ThroughValkey(valkey.url, "mine"), ThroughValkey(valkey.url, "other")
    assert mine.wait_until_subscribed(30)
    assert other.wait_until_subscribed(30)
    with mine.ticket("a") as ticket, other.ticket("a") as marker:
        other.publish(["a"])
        assert marker.wait(30) is True
        assert ticket.wait(0.1) is False
    mine.close()
    other.close()


def test_an_outage_wakes_everybody_because_something_may_have_been_lost() -> None:
    valkey = Valkey()
    wakeups = ThroughValkey(valkey.url, "example")
    assert wakeups.wait_until_subscribed(30)
    ticket = wakeups.ticket("a")
    valkey.stop()
    wait_until(lambda: not wakeups.wait_until_subscribed(0), 10, "the loss of the subscription")
    wakeups.publish(["b"])  # no error while Valkey is away
    assert ticket.wait(30) is True  # again and again, as long as nobody tells what others do
    assert ticket.wait(30) is True
    assert not wakeups.wait_until_subscribed(0)
    valkey.start()
    assert wakeups.wait_until_subscribed(30)
    assert ticket.wait(30) is True
    wakeups.close()
    valkey.close()


def test_the_settings_choose(valkey: Valkey) -> None:
    assert isinstance(create(None, "x"), InProcess)
    chosen = create(valkey.url.replace("redis://", "valkey://"), "x")
    assert isinstance(chosen, ThroughValkey)
    assert chosen.wait_until_subscribed(30)
    chosen.close()
