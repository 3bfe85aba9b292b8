"""The memory of keys: what it keeps, what it forgets, and what happens while it asks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from services.gateway.keys.cache import CachedKeys
from services.gateway.keys.model import Key, Made, Opened, made_key, secret_hash
from services.gateway.refusals import KEYS_UNAVAILABLE, Refusal
from tests.support.log_lines import captured


class FakeStore:
    """Answers from a dictionary; `gate` holds every look back until it is opened."""

    def __init__(self, **secrets: Key) -> None:
        self.keys = {secret_hash(secret): Opened(key, None) for secret, key in secrets.items()}
        self.asked: list[str] = []
        self.gate: threading.Event | None = None
        self.fails = False

    def by_hash(self, hash: str) -> Opened | None:
        self.asked.append(hash)
        found = self.keys.get(hash)
        if self.gate is not None:
            self.gate.wait(60)
        if self.fails:
            raise OperationalError("SELECT", {}, Exception("connection refused"))
        return found

    def made(self, made: Made) -> Opened | None:
        self.asked.append(made.id)
        if self.fails:
            raise OperationalError("SELECT", {}, Exception("connection refused"))
        return self.keys.get(made.hash)


async def found(keys: CachedKeys, secret: str) -> Key | None:
    answer = keys.find(secret)
    return answer if answer is None or isinstance(answer, Key) else await answer


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_known_key_is_answered_without_asking_again() -> None:
    store = FakeStore(s=Key("k1"))

    async def scenario() -> None:
        keys = CachedKeys(store)
        assert await found(keys, "s") == Key("k1")
        assert keys.find("s") == Key("k1")
        assert len(store.asked) == 1

    asyncio.run(scenario())


def test_an_unknown_key_is_remembered_for_a_moment() -> None:
    store = FakeStore()

    async def scenario() -> None:
        keys = CachedKeys(store)
        assert await found(keys, "wrong") is None
        assert keys.find("wrong") is None
        assert len(store.asked) == 1
        keys.forget([secret_hash("wrong")])
        assert await found(keys, "wrong") is None
        assert len(store.asked) == 2

    asyncio.run(scenario())


def test_all_who_wait_for_a_key_share_one_look_and_one_who_leaves_takes_nothing() -> None:
    store = FakeStore(s=Key("k1"))
    store.gate = threading.Event()

    async def scenario() -> None:
        keys = CachedKeys(store)
        waiting = [asyncio.create_task(found(keys, "s")) for _ in range(10)]
        await until(lambda: bool(store.asked))
        waiting[0].cancel()
        assert store.gate is not None
        store.gate.set()
        assert await asyncio.gather(*waiting[1:]) == [Key("k1")] * 9
        assert len(store.asked) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("everything", [False, True])
def test_a_look_that_was_under_way_does_not_bring_the_old_state_back(everything: bool) -> None:
    store = FakeStore(s=Key("k1", rate=1))
    store.gate = threading.Event()

    async def scenario() -> None:
        keys = CachedKeys(store)
        early = asyncio.create_task(found(keys, "s"))
        await until(lambda: bool(store.asked))
        store.keys[secret_hash("s")] = Opened(Key("k1", rate=2), None)
        if everything:
            keys.clear()
        else:
            keys.forget([secret_hash("s")])
        assert store.gate is not None
        store.gate.set()
        await early
        assert await found(keys, "s") == Key("k1", rate=2)

    asyncio.run(scenario())


def test_a_look_that_was_under_way_is_kept_when_another_key_changes() -> None:
    store = FakeStore(s=Key("k1"))
    store.gate = threading.Event()

    async def scenario() -> None:
        keys = CachedKeys(store)
        early = asyncio.create_task(found(keys, "s"))
        await until(lambda: bool(store.asked))
        keys.forget([secret_hash("other")])
        assert store.gate is not None
        store.gate.set()
        await early
        assert keys.find("s") == Key("k1")

    asyncio.run(scenario())


def test_a_deleted_key_is_gone_once_it_is_forgotten() -> None:
    store = FakeStore(s=Key("k1"))

    async def scenario() -> None:
        keys = CachedKeys(store)
        assert await found(keys, "s") is not None
        store.keys.clear()
        keys.forget([secret_hash("s")])
        assert await found(keys, "s") is None

    asyncio.run(scenario())


def test_all_are_forgotten_before_any_is_freed_and_nobody_waits_for_it() -> None:
    """Freeing many takes a while, and lookups need the lock."""
    seen: list[tuple[int, bool]] = []

    class Watched(Key):
        def __del__(self) -> None:
            seen.append((len(keys), keys._lock.locked()))

    store = FakeStore(a=Watched("k1"), b=Watched("k2"))
    keys = CachedKeys(store)

    async def scenario() -> None:
        for secret in ("a", "b"):
            assert await found(keys, secret) is not None
        store.keys.clear()
        keys.clear()

    asyncio.run(scenario())
    assert seen == [(0, False), (0, False)]


def test_a_secret_that_was_rotated_out_ends_in_memory_too() -> None:
    store = FakeStore()
    store.keys[secret_hash("old")] = Opened(Key("k1"), 1000.0)
    now = 990.0

    async def scenario() -> None:
        nonlocal now
        keys = CachedKeys(store, now=lambda: now)
        assert await found(keys, "old") is not None
        assert keys.find("old") == Key("k1")
        assert len(store.asked) == 1
        now = 1000.0
        store.keys.clear()
        assert await found(keys, "old") is None

    asyncio.run(scenario())


def test_without_the_store_known_keys_work_and_others_are_refused() -> None:
    store = FakeStore(s=Key("k1"))

    async def scenario() -> None:
        keys = CachedKeys(store)
        await found(keys, "s")
        store.fails = True
        assert keys.find("s") == Key("k1")
        with pytest.raises(Refusal) as refused:
            await found(keys, "other")
        assert refused.value.kind is KEYS_UNAVAILABLE
        assert refused.value.headers == ((b"Retry-After", b"1"),)
        store.fails = False
        assert await found(keys, "other") is None

    asyncio.run(scenario())


def test_memory_is_bounded() -> None:
    store = FakeStore(**{f"s{index}": Key(f"k{index}") for index in range(50)})

    async def scenario() -> None:
        keys = CachedKeys(store, capacity=20)
        for index in range(50):
            assert await found(keys, f"s{index}") == Key(f"k{index}")
        assert len(keys) <= 20
        assert await found(keys, "s0") == Key("k0")

    asyncio.run(scenario())


def test_the_keys_that_were_used_are_told_once() -> None:
    store = FakeStore(s=Key("k1"), t=Key("k2"))

    async def scenario() -> None:
        keys = CachedKeys(store)
        await found(keys, "s")
        await found(keys, "s")
        await found(keys, "t")
        assert keys.take_used() == {"k1", "k2"}
        assert keys.take_used() == set()

    asyncio.run(scenario())


def test_bytes_that_are_no_text_have_a_hash() -> None:
    assert len(secret_hash("\udcff")) == 64


def test_a_key_of_a_session_object() -> None:
    rights = {"a": {"versions": ["v1"]}, "b": None}
    key = Key.from_session("k1", ["h"], {"access_rights": rights, "expires": None, "rate": 3, "quota_max": -1})
    assert key.access_rights == {"a": frozenset({"v1"}), "b": frozenset()}
    assert (key.expires, key.rate, key.quota_max, key.rate_counter, key.quota_counter) == (0.0, 3.0, -1, "r:k1", "q:k1")
    assert Key.from_session("k1", [], {"access_rights": {}}).access_rights is None


def test_looks_that_wait_keep_nobody_else_waiting_for_a_thread() -> None:
    store = FakeStore()
    store.gate = threading.Event()

    async def scenario() -> None:
        keys = CachedKeys(store)
        waiting = [asyncio.ensure_future(found(keys, f"unknown {number}")) for number in range(100)]
        await until(lambda: len(store.asked) >= 4)
        assert await asyncio.to_thread(lambda: "done") == "done"
        assert len(store.asked) == 4
        assert store.gate is not None
        store.gate.set()
        assert set(await asyncio.gather(*waiting)) == {None}

    asyncio.run(scenario())


def test_when_very_many_wait_others_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.keys.cache._MOST_ASKED", 10)
    store = FakeStore()
    store.gate = threading.Event()

    async def scenario() -> None:
        keys = CachedKeys(store)
        waiting = [asyncio.ensure_future(found(keys, f"unknown {number}")) for number in range(10)]
        await until(lambda: len(store.asked) >= 4)
        with pytest.raises(Refusal) as refused:
            await found(keys, "one more")
        assert refused.value.kind is KEYS_UNAVAILABLE
        assert store.gate is not None
        store.gate.set()
        assert set(await asyncio.gather(*waiting)) == {None}
        assert await found(keys, "one more") is None

    asyncio.run(scenario())


def test_a_store_that_is_away_is_told_once() -> None:
    store = FakeStore()
    store.fails = True

    async def scenario() -> None:
        keys = CachedKeys(store)
        for number in range(5):
            with pytest.raises(Refusal):
                await found(keys, f"unknown {number}")
        store.fails = False
        assert await found(keys, "known to nobody") is None
        store.fails = True
        with pytest.raises(Refusal):
            await found(keys, "another")

    with captured() as lines:
        asyncio.run(scenario())
    assert [line["event"] for line in lines if line["level"] == "error"] == ["key lookup failed"] * 2


MADE = made_key("o", "eve", ["p"])


def test_a_key_that_no_row_has_is_made_once_and_its_use_is_not_noted() -> None:
    store = FakeStore()
    store.keys[MADE.hash] = Opened(MADE.key(MADE.session), None)

    async def scenario() -> None:
        keys = CachedKeys(store)
        first = keys.find_made(MADE)
        assert not isinstance(first, Key) and first is not None
        key = await first
        assert key is not None and keys.find_made(MADE) is key
        assert store.asked == [MADE.id]
        assert keys.take_used() == set()
        keys.clear()
        store.keys.clear()
        again = keys.find_made(MADE)
        assert again is not None and not isinstance(again, Key) and await again is None
        assert keys.find_made(MADE) is None, "remembered for a moment"
        store.fails = True
        keys.clear()
        again = keys.find_made(MADE)
        assert again is not None and not isinstance(again, Key)
        with pytest.raises(Refusal) as refused:
            await again
        assert refused.value.kind is KEYS_UNAVAILABLE

    asyncio.run(scenario())


def test_no_secret_has_the_hash_of_a_made_key() -> None:
    """A key in memory is found by this hash alone."""
    asked = [made_key("o", "eve", ["p"]), made_key("o", "eve", ["q"]), made_key("p", "eve", ["p"]), made_key("o", "eva", ["p"])]
    assert len({made.hash for made in asked}) == 4
    assert len({made.id for made in asked}) == 3
    assert MADE.hash not in {secret_hash(text) for text in (MADE.id, MADE.hash, f'["{MADE.id}", "p"]', "made key")}
