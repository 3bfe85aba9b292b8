"""Sets of keys by URL: when they are fetched, what stays in use, what is left out, and what a fetch may cost."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.keys import key_sets
from services.gateway.keys.key_sets import KeySet, KeySets, fetch_key_set, read_key_set
from services.gateway.refusals import KEY_SET_UNAVAILABLE, Refusal
from tests.support.log_lines import captured
from tests.support.token_issuer import Issuer, SigningKey
from tests.unit.gateway.exchanges import Time

ONE, TWO = SigningKey("ES256", "one"), SigningKey("ES256", "two")
URL = "https://issuer.example/keys?s3cret"


class Remote:
    """keys: None = it fails. gate: holds every answer back until it is opened."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys: tuple[SigningKey, ...] | None = keys
        self.fetched = 0
        self.gate: threading.Event | None = None

    def __call__(self, url: str) -> bytes:
        self.fetched += 1
        if self.gate is not None:
            self.gate.wait(60)
        if self.keys is None:
            raise ConnectionRefusedError(url)
        return json.dumps({"keys": [key.jwk for key in self.keys]}).encode()


async def settled(one: KeySet) -> None:
    if one._fetching is not None:
        await one._fetching


def run(scenario: Callable[[Remote, Time, KeySet], Any]) -> None:
    remote, clock = Remote(ONE), Time()
    asyncio.run(scenario(remote, clock, KeySets(remote, clock).of(URL)))


def test_a_set_is_fetched_when_it_is_asked_for_and_again_behind() -> None:
    async def scenario(remote: Remote, clock: Time, one: KeySet) -> None:
        assert one.known("one", "ES256") is None and remote.fetched == 0
        await asyncio.gather(*[one.ask() for _ in range(20)])
        key = one.known("one", "ES256")
        assert key is not None and remote.fetched == 1
        clock.now += 239
        assert one.known("one", "ES256") is key
        await settled(one)
        assert remote.fetched == 1
        clock.now += 2
        assert one.known("one", "ES256") is key, "before the answer is there"
        await settled(one)
        assert remote.fetched == 2
        assert one.known("one", "ES256") is key and not key.gone, "the same key is the same object"

    run(scenario)


def test_keys_come_and_go() -> None:
    async def scenario(remote: Remote, clock: Time, one: KeySet) -> None:
        await one.ask()
        left = one.known("one", "ES256")
        remote.keys = (TWO,)
        await one.ask()
        assert one.known("two", "ES256") is None and remote.fetched == 1, "it was asked a moment ago"
        clock.now += 11
        await one.ask()
        assert one.known("two", "ES256") is not None and remote.fetched == 2
        assert one.known("one", "ES256") is None and left is not None and left.gone

    run(scenario)


def test_the_last_key_that_leaves_is_not_used_any_more() -> None:
    async def scenario(remote: Remote, clock: Time, one: KeySet) -> None:
        await one.ask()
        left = one.known("one", "ES256")
        remote.keys = ()
        clock.now += 11
        with captured() as lines:
            for _ in range(3):
                with pytest.raises(Refusal) as refused:
                    await one.ask()
                assert refused.value.kind is KEY_SET_UNAVAILABLE
                assert one.known("one", "ES256") is None and left is not None and left.gone
                clock.now += 2
        assert (remote.fetched, one.due) == (4, float("inf"))
        assert [line["error"] for line in lines if "url" in line] == ["the set has no key that signatures could be checked with"]
        remote.keys = (ONE,)
        await one.ask()
        assert one.known("one", "ES256") is not None

    run(scenario)


def test_what_is_known_stays_in_use_for_a_day_while_fetching_fails() -> None:
    async def scenario(remote: Remote, clock: Time, one: KeySet) -> None:
        await one.ask()
        key = one.known("one", "ES256")
        assert key is not None
        remote.keys = None
        with captured() as lines:
            for _ in range(5):
                clock.now += 3600
                one.refresh()
                await settled(one)
                assert one.known("one", "ES256") is key
                await settled(one)
            clock.now += 86_400
            one.refresh()
            assert key.gone
            with pytest.raises(Refusal) as refused:
                await one.ask()
            assert refused.value.kind is KEY_SET_UNAVAILABLE
            assert one.known("one", "ES256") is None
            remote.keys = (ONE,)
            clock.now += 20
            await one.ask()
            assert one.known("one", "ES256") is not None
        told = [(line["event"], line["url"]) for line in lines if "url" in line]
        assert told == [(event, "https://issuer.example/keys") for event in ("key set not fetched", "key set fetched again")]

    run(scenario)


def test_a_set_that_was_never_there_is_asked_once_a_second() -> None:
    async def scenario(remote: Remote, clock: Time, one: KeySet) -> None:
        remote.keys = None
        for _ in range(3):
            with pytest.raises(Refusal):
                await one.ask()
        assert remote.fetched == 1 and one.due == float("inf")
        clock.now += 2
        remote.keys = (ONE,)
        await one.ask()
        assert one.known("one", "ES256") is not None

    run(scenario)


def test_a_slow_url_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "DEADLINE_S", 0.2)
    slow = Remote(ONE)
    slow.gate = threading.Event()

    async def scenario() -> None:
        sets = KeySets(lambda url: slow(url) if "slow" in url else Remote(TWO)(url), Time())
        waiting = [asyncio.create_task(sets.of(f"http://slow/{n}").ask()) for n in range(20)]
        others = sets.of("http://other/")
        await others.ask()
        assert others.known("two", "ES256") is not None
        assert not any(task.done() for task in waiting)
        assert {type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)} == {Refusal}, "after the deadline"

    try:
        asyncio.run(scenario())
    finally:
        slow.gate.set()


def test_one_client_that_goes_away_takes_nothing() -> None:
    async def scenario(remote: Remote, clock: Time, one: KeySet) -> None:
        remote.gate = threading.Event()
        first, second = (asyncio.create_task(one.ask()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        remote.gate.set()
        await second
        assert one.known("one", "ES256") is not None and remote.fetched == 1

    run(scenario)


def test_apis_share_a_set_for_as_long_as_one_names_it() -> None:
    sets = KeySets(Remote(), Time())
    one = sets.of("http://a/")
    assert sets.of("http://a/") is one and sets.of("http://b/") is not one
    del one
    gc.collect()
    assert len(sets._sets) == 0


def test_a_token_without_a_name_of_its_key() -> None:
    async def scenario(remote: Remote, clock: Time, one: KeySet) -> None:
        remote.keys = (ONE, SigningKey("ES384", "three"))
        await one.ask()
        assert one.known("", "ES256") is one.known("one", "ES256") is not None
        remote.keys = (ONE, TWO)
        clock.now += 11
        await one.ask()
        assert one.known("", "ES256") is None, "it may be either"

    run(scenario)


def test_what_a_set_holds() -> None:
    rsa = SigningKey("RS256", "rsa")
    private = {**ONE.jwk, "kid": "private", "d": "AAAA"}
    left_out: list[Any] = [
        5, {}, {"kty": "oct", "k": "AAAA", "kid": "o"}, {**ONE.jwk, "use": "enc"}, {**ONE.jwk, "key_ops": ["sign"]}, {**ONE.jwk, "kid": 5},
        {**ONE.jwk, "key_ops": 5}, {**ONE.jwk, "key_ops": "verify"},
        {**ONE.jwk, "alg": "RSA-OAEP"}, {**ONE.jwk, "x": "?"}, {**ONE.jwk, "crv": "P-999"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    ]  # fmt: skip
    listed = [*left_out, {**rsa.jwk, "alg": "RS384"}, rsa.jwk, SigningKey("EdDSA", "ed").jwk, private, SigningKey("ES512").jwk]
    found = [(key.kid, sorted(key.algorithms)) for key in read_key_set(json.dumps({"keys": listed}).encode())]
    assert found == [
        ("rsa", ["RS384"]),
        ("rsa", ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]),
        ("ed", ["EdDSA"]),
        ("private", ["ES256"]),
        ("", ["ES512"]),
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"keys": 5}', b'{"keys": {}}', b'{"keys": ""}', b"[" * 100_000])
def test_what_is_no_set(body: bytes) -> None:
    with pytest.raises(ValueError, match="set"):
        read_key_set(body)


def fetch(url: str) -> bytes:
    return fetch_key_set(ssl.create_default_context)(url)


def test_a_fetch() -> None:
    issuer = Issuer(ONE)
    try:
        assert json.loads(fetch(issuer.url + "?a=b")) == {"keys": [ONE.jwk]}
        issuer.status = 302
        with pytest.raises(ValueError, match="302"):
            fetch(issuer.url)
    finally:
        issuer.close()
    with pytest.raises(OSError, match="refused"):
        fetch(issuer.url)


def answering(*pieces: bytes, drips: bool = False) -> str:
    """A URL whose server answers these bytes, the last of them for as long as somebody reads."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        link, _ = listener.accept()
        listener.close()
        with link:
            link.recv(4096)
            try:
                for piece in pieces:
                    link.sendall(piece)
                while True:
                    if drips:
                        time.sleep(0.01)
                    link.sendall(pieces[-1])
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_an_answer_without_end() -> None:
    with pytest.raises(ValueError, match="larger than 1024 KB"):
        fetch(answering(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65_536))


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: "])
def test_an_answer_that_drips(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and the last one never."""
    monkeypatch.setattr(key_sets, "DEADLINE_S", 0.3)
    try:
        read_key_set(fetch(answering(head, b"a", drips=True)))
    except (OSError, ValueError, key_sets.http.client.HTTPException):
        return
    raise AssertionError("it was taken")
