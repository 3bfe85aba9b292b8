"""A worker's end: what cannot be written keeps nothing else from being written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NoReturn

import pytest

from services.common.migrations import migrate
from services.gateway.settings import Settings
from services.gateway.wiring import Gateway


@pytest.fixture
def gateway(sqlite_url: str, tmp_path: Path) -> Gateway:
    migrate("gateway", sqlite_url)
    settings = Settings(
        database_url=sqlite_url,
        operator_key="operator-key-of-the-test",
        definitions=tmp_path / "none",
        access_log=str(tmp_path / "access.log"),
    )
    return Gateway(settings)


def away(*_: Any) -> NoReturn:
    raise OSError("the database is away")


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


def test_keys_whose_use_could_not_be_noted_are_noted_later(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.keys.give_back_used({"a", "b"})
    with monkeypatch.context() as patched:
        patched.setattr(gateway.keys_store, "mark_used", away)
        with pytest.raises(OSError, match="away"):
            gateway._mark_used()
    noted: list[set[str]] = []
    monkeypatch.setattr(gateway.keys_store, "mark_used", lambda ids, when: noted.append(set(ids)))
    gateway._mark_used()
    assert noted == [{"a", "b"}]
