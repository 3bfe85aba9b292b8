"""A worker's parts: how many clients they have room for; at its end what cannot be written keeps nothing else from being written."""

from __future__ import annotations

import asyncio
import resource
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
        master_key_path=tmp_path / "master.key",
        definitions=tmp_path / "none",
        access_log=str(tmp_path / "access.log"),
    )
    return Gateway(settings)


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
