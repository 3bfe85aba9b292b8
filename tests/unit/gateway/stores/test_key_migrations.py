"""Keys with HMAC secrets and with policies go through the migrations, there and back, and open no more than before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.common.sealing import NotOpened
from services.gateway.keys.model import Key
from services.gateway.settings import Settings
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.organisations import OrganisationStore
from services.gateway.stores.policies import PolicyStore
from services.gateway.stores.sealing import Sealing
from tests.support.migrating import migrate_to

MASTER = "the master key of this installation"
AT = "'2026-01-01 00:00:00.000000'"
ENDED = "'2025-01-01 00:00:00.000000'"
SIGNED = {"rate": 5, "per": 1, "hmac_enabled": True, "hmac_string": "signs", "access_rights": {"a": {"versions": ["Default"]}}}


@pytest.fixture
def database(database_url: str) -> Iterator[CoreDatabase]:
    """As it was before HMAC: two secrets of a key that was rotated, a third that has ended, and keys without."""
    opened = CoreDatabase(database_url)
    migrate_to("gateway", "0007", opened)
    with opened.engine.begin() as connection:
        for id, session in (("signer", SIGNED), ("plain", {"rate": 1}), ("empty", {"hmac_string": ""}), ("null", {"hmac_string": None})):
            made = (
                f"INSERT INTO keys VALUES ('{id}', '', '', '', NULL, {'false' if id == 'signer' else 'true'}, :session, {AT}, {AT}, NULL)"
            )
            connection.execute(sa.text(made).bindparams(sa.bindparam("session", type_=sa.JSON())), {"session": session})
        for hash, id, ends in (("h1", "signer", "NULL"), ("h2", "signer", "'2999-01-01 00:00:00.000000'"), ("h0", "signer", ENDED),
                               ("p", "plain", "NULL"), ("e", "empty", "NULL"), ("n", "null", "NULL")):  # fmt: skip
            connection.exec_driver_sql(f"INSERT INTO key_secrets VALUES ('{hash}', '{id}', {AT}, {ends})")
        connection.exec_driver_sql("INSERT INTO key_rights VALUES ('signer', 'a')")
    yield opened
    opened.dispose()


def keys_of(database: CoreDatabase) -> KeyStore:
    return KeyStore(database, Sealing(database, Settings(master_key=MASTER)))


def opened(keys: KeyStore, hash: str) -> Key:
    found = keys.by_hash(hash)
    assert found is not None
    return found.key


def everything(database: CoreDatabase, *tables: str) -> str:
    with database.read() as connection:
        return "\n".join(str(row) for table in tables for row in connection.execute(sa.text(f"SELECT * FROM {table}")))


def session_of(database: CoreDatabase, id: str) -> dict[str, Any]:
    with database.read() as connection:
        found: dict[str, Any] = json.loads(connection.scalar(sa.text(f"SELECT CAST(session AS TEXT) FROM keys WHERE id = '{id}'")) or "")
        return found


def test_hmac_secrets_leave_the_sessions_and_are_sealed(database: CoreDatabase, database_url: str) -> None:
    migrate("gateway", database_url)
    keys = keys_of(database)
    assert "hmac_string" not in session_of(database, "signer")
    assert [opened(keys, hash).hmac_secret for hash in ("h1", "h2", "p", "e", "n")] == ["signs", "signs", None, None, None]
    keys.seal_all()
    keys.seal_all()
    assert "signs" not in everything(database, "keys", "key_secrets")
    assert [opened(keys, hash).hmac_secret for hash in ("h1", "h2")] == ["signs", "signs"]
    assert (opened(keys, "h1").rate, keys.ids("a")) == (5.0, keys.ids())


def test_the_way_back_opens_them(database: CoreDatabase, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_MASTER_KEY", MASTER)

    def shape() -> list[Any]:
        seen = sa.inspect(database.engine)
        return [seen.get_indexes("key_secrets"), seen.get_foreign_keys("key_secrets"), seen.get_pk_constraint("key_secrets")]

    before = shape()
    migrate("gateway", database_url)
    keys_of(database).seal_all()
    migrate_to("gateway", "0007", database, command.downgrade)
    assert shape() == before
    assert session_of(database, "signer") == SIGNED
    assert session_of(database, "plain") == {"rate": 1}
    assert "hmac" not in everything(database, "key_secrets")
    migrate("gateway", database_url)  # and there again
    assert opened(keys_of(database), "h2").hmac_secret == "signs"


def test_what_an_earlier_version_writes_meanwhile_is_not_lost(database: CoreDatabase, database_url: str) -> None:
    migrate("gateway", database_url)
    keys = keys_of(database)
    with database.engine.begin() as connection:
        written = sa.text("UPDATE keys SET session = :session WHERE id = 'plain'").bindparams(sa.bindparam("session", type_=sa.JSON()))
        connection.execute(written, {"session": {"hmac_enabled": True, "hmac_string": "of the other"}})
    assert opened(keys, "p").hmac_secret == "of the other"
    keys.replace("plain", {"hmac_enabled": True, "rate": 5})
    assert (opened(keys, "p").hmac_secret, opened(keys, "p").rate) == ("of the other", 5.0)
    assert "of the other" not in everything(database, "keys", "key_secrets")
    keys.replace("plain", {"hmac_enabled": False})
    keys.replace("plain", {"hmac_enabled": True})
    assert opened(keys, "p").hmac_secret is None


def test_the_way_back_without_the_master_key_changes_nothing(
    database: CoreDatabase, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_MASTER_KEY", "another key of thirty-two characters")
    migrate("gateway", database_url)
    keys_of(database).seal_all()
    with pytest.raises(NotOpened):
        migrate_to("gateway", "0007", database, command.downgrade)
    assert opened(keys_of(database), "h1").hmac_secret == "signs"


def test_on_the_way_back_a_key_with_a_policy_is_switched_off(database: CoreDatabase, database_url: str) -> None:
    """Older code would read what the key says itself: no rights, which are all, and no limits."""
    migrate("gateway", database_url)
    keys = keys_of(database)
    PolicyStore(database).create({"id": "gold", "name": "Gold", "rate": 5, "per": 1, "access_rights": {"a": {}}})
    OrganisationStore(database).put("o", {"is_inactive": True})
    held = keys.create("g", {"apply_policies": ["gold"]}).id
    assert set(opened(keys, "g").access_rights or ()) == {"a"}
    migrate_to("gateway", "0008", database, command.downgrade)
    assert session_of(database, held) == {"apply_policies": ["gold"], "is_inactive": True}
    assert "is_inactive" not in session_of(database, "plain")
    assert "policies" not in sa.inspect(database.engine).get_table_names()
    migrate("gateway", database_url)
    assert opened(keys, "g").is_inactive
    assert OrganisationStore(database).ids() == []
