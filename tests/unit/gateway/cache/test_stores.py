"""Both places where answers are kept, by the same tests; then what only one of them does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.gateway.cache.answers import Answer, Kept, Varying, decode, encode
from services.gateway.cache.memory import MemoryAnswers
from services.gateway.cache.port import AnswerStore, Found, NotPurged
from services.gateway.cache.valkey import ValkeyAnswers
from services.gateway.counters import resp
from tests.support.stores import Valkey
from tests.support.waiting import free_port

NAME = b"n" * 20
OTHER = b"o" * 20
Make = Callable[[], AnswerStore]


@pytest.fixture(params=["memory", "valkey"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    if request.param == "memory":
        return MemoryAnswers
    monkeypatch.setattr(resp, "ANSWER_S", 20.0)  # the machine may be busy
    server: Valkey = request.getfixturevalue("valkey")
    return lambda: ValkeyAnswers(server.url)


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.close()


def answer(body: bytes = b"body", seconds: float = 60) -> Answer:
    now = time.time()
    return Answer(200, ((b"A", b"\xe9"), (b"A", b"2")), body, b'"tag"', b"", now, now + seconds)


@asynccontextmanager
async def started(store: AnswerStore) -> AsyncIterator[AnswerStore]:
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def find(store: AnswerStore, name: bytes = NAME, api: str = "api") -> Found:
    found = store.find(api, name)
    return await found if isinstance(found, Awaitable) else found


async def kept(store: AnswerStore, what: Kept, name: bytes = NAME, api: str = "api") -> None:
    _, mark = await find(store, name, api)
    store.keep(api, name, what, mark)


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize(
    "making",
    [answer, lambda: answer(b""), lambda: answer(b"\n\0x"), lambda: Varying((b"accept", b"x"), b"\0\n", time.time() + 60)],
    ids=["an answer", "without a body", "any bytes", "what varies"],
)
def test_what_is_kept_is_found_by_its_name_and_api(make: Make, making: Callable[[], Kept]) -> None:
    what = making()  # it ends a minute after that, and the test may come late in its run

    async def scenario() -> None:
        async with started(make()) as store:
            assert (await find(store))[0] is None
            await kept(store, what)
            assert (await find(store))[0] == what
            assert (await find(store, OTHER))[0] is None
            assert (await find(store, api="other"))[0] is None
            store.forget("api", NAME)
            assert (await find(store))[0] is None

    run(scenario)


def test_a_purge_is_of_one_api_and_of_answers_that_are_on_their_way(make: Make) -> None:
    async def scenario() -> None:
        async with started(make()) as store:
            await kept(store, answer(), api="other")
            await kept(store, answer())
            _, mark = await find(store, OTHER)
            await store.purge("api")
            store.keep("api", OTHER, answer(), mark)
            assert [(await find(store, name))[0] for name in (NAME, OTHER)] == [None, None]
            assert (await find(store, api="other"))[0] is not None
            await kept(store, answer(b"new"))
            found, _ = await find(store)
            assert isinstance(found, Answer)
            assert found.body == b"new"

    run(scenario)


def test_it_ends(make: Make) -> None:
    async def scenario() -> None:
        async with started(make()) as store:
            await kept(store, answer(seconds=-1))
            assert (await find(store))[0] is None
            await kept(store, answer(seconds=0.05))
            deadline = time.monotonic() + 10
            while (await find(store))[0] is not None:
                assert time.monotonic() < deadline

    run(scenario)


def test_text_that_the_cache_did_not_write() -> None:
    for data in (b"", b"x", b"[]", b"{}", b"null", b"1", b"[1,2,3]", b'[200, [], "", "", 1, "x"]', encode(answer())[:20]):
        with pytest.raises(ValueError):
            decode(data)


def sized(size: int) -> Answer:
    empty = answer(b"").size
    return answer(b"x" * (size - empty))


def test_memory_is_bounded_and_the_api_that_has_most_gives_way() -> None:
    async def scenario() -> None:
        store = MemoryAnswers(100_000)
        for number in range(3):
            await kept(store, sized(5_000), b"%020d" % number, "small")
        for number in range(100):
            await kept(store, sized(5_000), b"%020d" % number, "greedy")
            assert store.size <= 100_000
        assert all([(await find(store, b"%020d" % number, "small"))[0] for number in range(3)])
        assert (await find(store, b"%020d" % 99, "greedy"))[0]
        assert not (await find(store, b"%020d" % 0, "greedy"))[0]
        await kept(store, sized(30_000), NAME, "huge")
        assert not (await find(store, NAME, "huge"))[0], "one answer does not push out all others"
        await store.purge("greedy")
        await store.purge("small")
        assert store.size == 0

    run(scenario)


def test_what_was_asked_for_last_stays() -> None:
    async def scenario() -> None:
        store = MemoryAnswers(100_000)
        for number in range(20):
            await kept(store, sized(5_000), b"%020d" % number)
        await find(store, b"%020d" % 0)
        await kept(store, sized(5_000), NAME)
        assert (await find(store, b"%020d" % 0))[0]
        assert not (await find(store, b"%020d" % 1))[0]

    run(scenario)


def test_an_answer_takes_the_place_of_the_one_before() -> None:
    async def scenario() -> None:
        store = MemoryAnswers(100_000)
        for size in (20_000, 10_000):
            await kept(store, sized(size))
            assert store.size == size

    run(scenario)


def test_workers_share_answers_and_purges(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resp, "ANSWER_S", 20.0)

    async def scenario() -> None:
        async with started(ValkeyAnswers(valkey.url)) as one, started(ValkeyAnswers(valkey.url)) as two:
            await kept(one, answer())
            await find(one)  # behind the write
            assert (await find(two))[0] == (await find(one))[0] is not None
            await two.purge("api")
            assert (await find(one))[0] is None
        async with started(ValkeyAnswers(valkey.url, "others")) as others:
            assert (await find(others))[0] is None

    run(scenario)


def test_names_and_lives_in_valkey(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resp, "ANSWER_S", 20.0)

    async def scenario() -> None:
        async with started(ValkeyAnswers(valkey.url)) as store:
            await kept(store, answer(seconds=50))
            await find(store)

    run(scenario)
    name = b"gatehouse:cache:api:" + NAME.hex().encode()
    assert set(valkey.client.keys()) - {b"gatehouse:cache:probe"} == {b"gatehouse:cache:api", name}
    assert 0 < valkey.client.pttl(name) <= 50_000


def test_without_valkey_nothing_is_kept_and_nobody_waits() -> None:
    async def scenario() -> None:
        async with started(ValkeyAnswers(f"redis://127.0.0.1:{free_port()}/0")) as store:
            assert store.find("api", NAME) == (None, None)
            store.keep("api", NAME, answer(), None)
            store.forget("api", NAME)
            with pytest.raises(NotPurged):
                await store.purge("api")

    run(scenario)


def test_a_frozen_valkey_holds_up_the_first_requests_for_a_moment_only(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyAnswers(own_valkey.url)) as store:
            own_valkey.hang()
            try:
                assert await asyncio.wait_for(find(store), 10) == (None, None)
                assert store.find("api", NAME) == (None, None), "at once, without a connection"
                with pytest.raises(NotPurged):
                    await asyncio.wait_for(store.purge("api"), 10)
            finally:
                own_valkey.go_on()

    run(scenario)


def test_what_a_worker_writes_into_valkey_is_bounded(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resp, "ANSWER_S", 20.0)

    async def scenario() -> None:
        async with started(ValkeyAnswers(valkey.url, most=100_000)) as store:
            await kept(store, sized(5_000), NAME, "small")
            for number in range(60):
                await kept(store, sized(5_000), b"%020d" % number)
                assert store.size <= 100_000
            assert (await find(store, NAME, "small"))[0], "the API that takes most gives way"
            assert not (await find(store, b"%020d" % 0))[0]
            assert (await find(store, b"%020d" % 59))[0]
            await kept(store, sized(30_000), OTHER)
            assert not (await find(store, OTHER))[0]

    run(scenario)
    assert len(valkey.client.keys()) < 25
