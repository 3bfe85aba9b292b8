"""What the endpoints cost the data plane: two threads, and a bounded number of requests that wait for them."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.gateway.exchange import Exchange, Reply
from services.gateway.oauth.door import OAuthDoor
from services.gateway.oauth.endpoints import Sent
from services.gateway.refusals import OAUTH_BUSY, OAUTH_METHOD, OAUTH_OPERATOR_KEY_WRONG, OAUTH_UNAVAILABLE, Refusal
from services.gateway.stores.sealing import WrongMasterKey
from services.gateway.wire.driving import Driver
from tests.unit.gateway.exchanges import exchange

NOBODY: Any = SimpleNamespace()


class Slow:
    """Endpoints that answer when they are told to."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.go = threading.Event()
        self.fails = fails
        self.asked: list[Sent] = []

    def answer(self, endpoint: str, api: Any, sent: Sent) -> Reply:
        self.asked.append(sent)
        assert self.go.wait(30)
        if self.fails is not None:
            raise self.fails
        return Reply(200, [])


def door(endpoints: Slow, **more: Any) -> OAuthDoor:
    return OAuthDoor(endpoints, "operator-key", **more)  # type: ignore[arg-type]


def request(method: str = "POST", **headers: str) -> Exchange:
    return exchange(method, "/api/oauth/token", [(name.replace("_", "-"), value) for name, value in headers.items()])


async def refused(waiting: Any) -> Any:
    with pytest.raises(Refusal) as caught:
        await waiting
    return caught.value.kind


def test_too_many_are_told_to_come_again() -> None:
    slow = Slow()

    async def main() -> None:
        made = door(slow, most=3)
        waiting = [asyncio.ensure_future(made.answer("/oauth/token", request(), NOBODY)) for _ in range(3)]
        await asyncio.sleep(0)
        assert await refused(made.answer("/oauth/token", request(), NOBODY)) is OAUTH_BUSY
        slow.go.set()
        assert [reply.status for reply in await asyncio.gather(*waiting)] == [200] * 3
        while True:  # there is room again once the threads have said so
            try:
                assert (await made.answer("/oauth/token", request(), NOBODY)).status == 200
            except Refusal:
                await asyncio.sleep(0.01)
                continue
            break

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.usefixtures("wait_for_of_3_12")
@pytest.mark.parametrize("late", [False, True])
def test_a_driven_connection_is_answered(late: bool) -> None:
    slow = Slow()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Any] = loop.create_future()
        made = door(slow, within=0.01 if late else 30)

        async def connection() -> None:
            try:
                found.set_result((await made.answer("/oauth/token", request(), NOBODY)).status)
            except Exception as error:
                found.set_result(error.kind if isinstance(error, Refusal) else error)

        loop.call_soon(Driver(connection(), loop).step)
        if not late:
            slow.go.set()
        said = await found
        slow.go.set()
        assert said == (OAUTH_BUSY if late else 200)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_who_waits_too_long_is_told_so() -> None:
    slow = Slow()

    async def main() -> None:
        assert await refused(door(slow, within=0.01).answer("/oauth/token", request(), NOBODY)) is OAUTH_BUSY
        slow.go.set()

    asyncio.run(main())


@pytest.mark.parametrize("fault", [OperationalError("", {}, Exception()), WrongMasterKey(""), TimeoutError(), OSError()])
def test_a_store_that_is_away(fault: Exception) -> None:
    slow = Slow(fault)
    slow.go.set()
    assert asyncio.run(refused(door(slow).answer("/oauth/token", request(), NOBODY))) is OAUTH_UNAVAILABLE


@pytest.mark.parametrize(
    ("endpoint", "method", "kind"),
    [
        ("/oauth/token", "GET", OAUTH_METHOD),
        ("/oauth/authorize", "DELETE", OAUTH_METHOD),
        ("/oauth/authorize", "HEAD", OAUTH_METHOD),
        ("/tyk/oauth/authorize-client", "POST", OAUTH_OPERATOR_KEY_WRONG),
    ],
)
def test_who_never_reaches_a_thread(endpoint: str, method: str, kind: Any) -> None:
    slow = Slow()
    assert asyncio.run(refused(door(slow).answer(endpoint, request(method, x_tyk_authorization="x"), NOBODY))) is kind
    assert slow.asked == []


def test_what_is_handed_over() -> None:
    slow = Slow()
    slow.go.set()
    asked = request(x_tyk_authorization="operator-key", authorization="Basic eDp5")
    asyncio.run(door(slow).answer("/tyk/oauth/authorize-client", asked, NOBODY))
    assert slow.asked == [Sent("POST", "", "Basic eDp5", b"")]
