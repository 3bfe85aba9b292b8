"""Calls as a receiver gets them, and what becomes of those that fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import pytest
import requests

from services.common.webhooks.courier import AT_ONCE_OF_LANE, Courier, pause_after
from services.common.webhooks.outbox import Call, Delivery, Outbox
from services.common.webhooks.signing import CannotSign, signature
from services.common.webhooks.targets import TargetRefused
from tests.support.waiting import wait_until

MakeCall = Callable[..., Call]
LOOPBACK = (ip_network("127.0.0.0/8"),)
DAY = 86_400.0


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def running(outbox: Outbox, **options: Any) -> Iterator[Courier]:
    options.setdefault("allowed", LOOPBACK)
    options.setdefault("secret_of", lambda _: "")
    courier = Courier(outbox, options.pop("secret_of"), options.pop("allowed"), look=0.02, **options)
    courier.start()
    try:
        yield courier
    finally:
        courier.stop()


def state_of(outbox: Outbox, id: str = "msg_1") -> Delivery:
    found = outbox.get(id)
    assert found is not None
    return found


def ended(outbox: Outbox, id: str = "msg_1") -> Delivery:
    wait_until(lambda: state_of(outbox, id).state != "pending", what="the end of the call")
    return state_of(outbox, id)


def attempted(outbox: Outbox, attempts: int) -> None:
    wait_until(lambda: state_of(outbox).attempts >= attempts, what=f"attempt {attempts}")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_a_call_as_the_receiver_gets_it(outbox: Outbox, make_call: MakeCall, receiver: Any, method: str) -> None:
    clock = Time()
    headers = (("x-tyk-test", "123456"), ("User-Agent", "mine"), ("Content-Length", "3"), ("Host", "other"))
    outbox.put([make_call(url=f"{receiver.url}/hook?a=1&b=%22", method=method, headers=headers, body='{"path": "ü"}')], clock.now)
    with running(outbox, now=clock):
        assert ended(outbox).state == "delivered"
    [call] = receiver.calls
    assert (call.method, call.path, call.body.decode()) == (method, "/hook?a=1&b=%22", '{"path": "ü"}')
    assert call.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-length": "14",
        "content-type": "application/json",
        "user-agent": "mine",
        "webhook-id": "msg_1",
        "webhook-timestamp": "1800000000",
        "x-tyk-test": "123456",
        "accept-encoding": "identity",
    }


def test_headers_beyond_latin_1(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    outbox.put([make_call(url=receiver.url, headers=(("X-Name", "Grün für 5 €"),))], 0)
    with running(outbox):
        assert ended(outbox).state == "delivered"
    assert receiver.calls[0].headers["x-name"].encode("latin-1").decode() == "Grün für 5 €"


@pytest.mark.parametrize(("options", "name"), [({}, "Gatehouse"), ({"user_agent": "Sentinel/2"}, "Sentinel/2")])
def test_the_user_agent_is_the_services(outbox: Outbox, make_call: MakeCall, receiver: Any, options: dict[str, str], name: str) -> None:
    outbox.put([make_call(url=receiver.url)], 0)
    with running(outbox, **options):
        ended(outbox)
    assert receiver.calls[0].headers["user-agent"] == name


@pytest.mark.parametrize(
    ("stored", "key"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        ("plain words", b"plain words"),
    ],
)
def test_the_signature_is_the_standard_one(outbox: Outbox, make_call: MakeCall, receiver: Any, stored: str, key: bytes) -> None:
    outbox.put([make_call(url=receiver.url)], 0)
    with running(outbox, secret_of={"hook": stored}.__getitem__):
        ended(outbox)
    headers = receiver.calls[0].headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + receiver.calls[0].body
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_the_sample_of_the_specification() -> None:
    """Standard Webhooks, the example that its libraries are tested with."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_pauses_grow_up_to_some_hours() -> None:
    pauses = [pause_after(attempts) for attempts in range(30)]
    assert 4 <= pauses[0] <= 6 and 12 <= pauses[1] <= 18 and 36 <= pauses[2] <= 54
    assert max(pauses) <= 4 * 3600 * 1.2
    assert pause_after(10**6) <= 4 * 3600 * 1.2


@pytest.mark.parametrize("status", [500, 404, 429, 302])
def test_what_fails_is_tried_again_with_the_same_id(outbox: Outbox, make_call: MakeCall, receiver: Any, status: int) -> None:
    clock = Time()
    receiver.answers = [status, status]
    outbox.put([make_call(url=receiver.url)], clock.now)
    with running(outbox, now=clock):
        for attempts in (1, 2):
            attempted(outbox, attempts)
            noted = state_of(outbox)
            assert (noted.state, noted.last_status, noted.last_error) == ("pending", status, f"the target answered {status}")
            assert len(receiver.calls) == attempts
            clock.now = noted.next_at
        assert ended(outbox).state == "delivered"
    assert receiver.ids() == ["msg_1"] * 3
    assert [call.path for call in receiver.calls] == ["/"] * 3


def test_after_a_day_it_is_a_dead_letter_that_can_be_replayed(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    clock = Time()
    begun = clock.now
    receiver.answers = [500] * 100
    outbox.put([make_call(url=receiver.url)], clock.now)
    tries = 0
    with running(outbox, now=clock) as courier:
        while (noted := state_of(outbox)).state == "pending":
            clock.now = max(clock.now, noted.next_at)
            tries += 1
            attempted(outbox, noted.attempts + 1)
        assert noted.state == "dead"
        assert clock.now - begun == pytest.approx(DAY)
        assert noted.attempts == tries == len(receiver.calls) and 10 <= tries <= 20
        receiver.answers = []
        assert outbox.replay_dead("hook", clock.now) == 1
        courier.wake()
        assert ended(outbox).state == "delivered"
    assert set(receiver.ids()) == {"msg_1"}


def test_gone_is_dead_at_once(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    receiver.answers = [410]
    outbox.put([make_call(url=receiver.url)], 0)
    with running(outbox):
        noted = ended(outbox)
    assert (noted.state, noted.attempts, noted.last_status) == ("dead", 1, 410)


def test_a_private_target_is_refused_and_hears_nothing(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    outbox.put([make_call(url=receiver.url)], 0)
    with running(outbox, allowed=(), allowed_by="EXAMPLE_ALLOW"):
        noted = ended(outbox)
    assert (noted.state, noted.attempts) == ("dead", 1)
    assert noted.last_error == "the target is in a private network; EXAMPLE_ALLOW can name networks that may be called"
    assert receiver.calls == []


def test_a_receiver_that_is_away_or_hangs_up(outbox: Outbox, make_call: MakeCall) -> None:
    def call(*_: Any) -> int:
        raise requests.ConnectionError("http://user:password@x")

    outbox.put([make_call()], 0)
    with running(outbox, call=call, now=Time()):
        wait_until(lambda: state_of(outbox).attempts == 1)
    assert state_of(outbox).last_error == "the target could not be called (ConnectionError)"


def test_one_receiver_that_hangs_holds_up_no_other(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    """Forty calls wait for a receiver that does not answer; another one's call is made all the same, and a stop waits for none."""
    outbox.put([make_call(number, f"{receiver.url}/held/{number}", hook_id="") for number in range(40)], 0)
    outbox.put([make_call(99, receiver.url.replace("127.0.0.1", "localhost"), hook_id="")], 1)
    with running(outbox, allowed=(*LOOPBACK, ip_network("::1/128"))) as courier:
        assert ended(outbox, "msg_99").state == "delivered"
        wait_until(lambda: receiver.waiting >= AT_ONCE_OF_LANE)
        courier.wake()
        stopping = threading.Thread(target=courier.stop, args=(0.3,))
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
        assert receiver.waiting == AT_ONCE_OF_LANE
        receiver.held.set()


def test_two_workers_make_each_call_once(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    outbox.put([make_call(number, receiver.url) for number in range(60)], 0)
    with running(outbox), running(outbox):
        wait_until(lambda: outbox.page("delivered", 0, 1)[1] == 60, timeout=30)
    assert len(receiver.calls) == 60 == len(set(receiver.ids()))


def test_a_target_is_refused_by_the_call_only(outbox: Outbox, make_call: MakeCall) -> None:
    """A name that suddenly leads inside is dead at once; the operator sees why and can replay."""

    def call(*_: Any) -> int:
        raise TargetRefused("the target is in a private network")

    outbox.put([make_call()], 0)
    with running(outbox, call=call):
        assert ended(outbox).last_error == "the target is in a private network"


def test_a_call_that_cannot_be_signed_waits_and_never_goes_out_unsigned(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    clock = Time()
    sealed = True

    def secret_of(_: str) -> str:
        if sealed:
            raise CannotSign("the master key is another one")
        return "secret"

    outbox.put([make_call(url=receiver.url)], clock.now)
    with running(outbox, now=clock, secret_of=secret_of):
        attempted(outbox, 1)
        waiting = state_of(outbox)
        assert (waiting.state, waiting.last_status, waiting.last_error) == ("pending", None, "the master key is another one")
        assert not receiver.calls
        sealed = False
        clock.now = waiting.next_at
        assert ended(outbox).state == "delivered"
    [call] = receiver.calls
    assert "webhook-signature" in call.headers


def test_a_call_that_cannot_be_signed_for_a_day_is_kept_as_dead(outbox: Outbox, make_call: MakeCall, receiver: Any) -> None:
    clock = Time()

    def secret_of(_: str) -> str:
        raise CannotSign("the master key is another one")

    outbox.put([make_call(url=receiver.url)], clock.now)
    clock.now += DAY
    with running(outbox, now=clock, secret_of=secret_of):
        dead = ended(outbox)
    assert (dead.state, dead.last_error) == ("dead", "the master key is another one")
    assert not receiver.calls


def told(courier: Courier) -> dict[str, float]:
    """What `/metrics` tells of a courier, by name and outcome."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value for metric in courier.metrics.collect() for sample in metric.samples
    }


def test_metrics_tell_what_came_of_the_calls_and_what_waits(outbox: Outbox, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.webhooks.courier._COUNT", 0.0)
    clock = Time()
    answers = {1: 200, 2: 500, 3: 410}

    def call(method: str, url: str, headers: list[tuple[str, str]], *rest: Any) -> int:
        return answers[int(dict(headers)["webhook-id"].removeprefix("msg_"))]

    outbox.put([make_call(number, url=f"http://receiver-{number}.example/") for number in answers], clock.now)
    with running(outbox, now=clock, call=call) as courier:
        wait_until(lambda: told(courier)["webhook_calls_dead"] == 1)
        wait_until(lambda: told(courier)["webhook_calls_waiting"] == 1)
        found = told(courier)
        assert found["webhook_calls_total delivered"] == 1
        assert found["webhook_calls_total failed"] == 1
        assert found["webhook_calls_total given up"] == 1
        assert found["webhook_calls_overdue_seconds"] == 0, "it is due later"


def test_metrics_know_nothing_of_an_outbox_that_is_away(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.webhooks.courier._COUNT", 0.0)

    def away(*_: Any) -> Any:
        raise OSError("away")

    with running(outbox) as courier:
        wait_until(lambda: told(courier)["webhook_calls_waiting"] == 0)
        monkeypatch.setattr(outbox, "lease", away)
        wait_until(lambda: math.isnan(told(courier)["webhook_calls_waiting"]))
        assert math.isnan(told(courier)["webhook_calls_dead"])
        monkeypatch.undo()
        monkeypatch.setattr("services.common.webhooks.courier._COUNT", 0.0)
        wait_until(lambda: told(courier)["webhook_calls_waiting"] == 0)
