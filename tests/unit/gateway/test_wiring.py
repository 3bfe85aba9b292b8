"""A worker's parts: how many clients they have room for; at its end what cannot be written keeps nothing else from being written."""

from __future__ import annotations

import asyncio
import json
import resource
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from services.gateway.settings import Settings
from services.gateway.wiring import Gateway


def away(*_: Any) -> NoReturn:
    raise OSError("the database is away")


@pytest.mark.parametrize(("tls", "files_of_one"), [(False, 2), (True, 3)])
def test_clients_and_their_upstreams_and_handshakes_have_room_among_the_files(
    tls: bool, files_of_one: int, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    certificate = tmp_path / "certificate.pem" if tls else None
    made = Gateway(
        Settings(database_url=sqlite_url, operator_key="operator-key-of-the-test", tls_certificate=certificate, tls_key=certificate)
    )
    assert 200 < made.max_connections * files_of_one < 1024 - 200


def test_a_stop_with_the_database_away_writes_the_access_log(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []

    async def life() -> None:
        await gateway.start()
        gateway.keys.give_back_used({"a key"})
        monkeypatch.setattr(gateway.keys_store, "mark_used", away)
        monkeypatch.setattr(gateway.events, "stop", away)
        end = gateway.access_log.stop

        def noted() -> None:
            stopped.append("access log")
            end()

        monkeypatch.setattr(gateway.access_log, "stop", noted)
        await gateway.stop()

    asyncio.run(life())
    assert stopped == ["access log"]


@pytest.mark.slow
def test_what_hangs_at_the_end_keeps_nothing_else_from_being_written(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    stopped: list[str] = []

    async def life() -> float:
        await gateway.start()
        gateway.keys.give_back_used({"a key"})
        for hanging in (gateway.keys_store, "mark_used"), (gateway.announcements, "stop"), (gateway.database, "dispose"):
            monkeypatch.setattr(*hanging, lambda *_: gate.wait(60))
        end = gateway.access_log.stop
        monkeypatch.setattr(gateway.access_log, "stop", lambda: (end(), stopped.append("access log")))
        loop = asyncio.get_running_loop()
        began = loop.time()
        await gateway.stop(0.2)
        return loop.time() - began

    assert asyncio.run(life()) < 30
    assert stopped == ["access log"]
    gate.set()


def test_a_stop_before_the_start_is_over(gateway: Gateway) -> None:
    asyncio.run(gateway.stop(5))


@pytest.mark.parametrize("copied", [True, False])
def test_a_worker_that_starts_without_its_database(copied: bool, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(gateway.database.engine.url.database or "").with_name("test.db.definitions")

    async def first_life() -> None:
        await gateway.start()
        await gateway.stop()

    async def second_life() -> None:
        monkeypatch.setattr("services.gateway.wiring.check_migrated", away)
        second = Gateway(gateway.settings)
        monkeypatch.setattr(second.definitions, "generation", away)
        await second.start()
        assert second.live.current.number == copied
        assert json.loads(second.health.hello().body)["status"] == "warn"
        await second.stop()

    asyncio.run(first_life())
    assert file.exists()
    if not copied:
        file.unlink()
    asyncio.run(second_life())
