"""The master key is rotated while gateways run: no secret of a webhook or a key is lost, and nobody seals what others cannot open."""

from __future__ import annotations

import functools
import threading

import pytest
import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.common.resealing import Lost, Resealed
from services.gateway import resealing
from services.gateway.settings import Settings
from services.gateway.stores.hooks import HOOKS, HookStore
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.sealing import Sealing, WrongMasterKey, note_key
from tests.support.stores import Prepare
from tests.support.waiting import wait_until

NEW, OLD = "the new key of this installation, here", "the key that this installation had before"
BOTH = f"{NEW}\n{OLD}"


@pytest.fixture(scope="session")
def prepare_database() -> Prepare:
    return functools.partial(migrate, "gateway")


def hooks_of(database: CoreDatabase, key: str) -> HookStore:
    return HookStore(database, Sealing(database, Settings(master_key=key)))


def keys_of(database: CoreDatabase, key: str) -> KeyStore:
    return KeyStore(database, Sealing(database, Settings(master_key=key)))


def signs_with(keys: KeyStore, hash: str) -> str | None:
    found = keys.by_hash(hash)
    assert found is not None
    return found.key.hmac_secret


def starts(database: CoreDatabase, key: str) -> bool:
    try:
        Sealing(database, Settings(master_key=key)).check()
    except WrongMasterKey:
        return False
    return True


def run(url: str, key: str) -> Resealed:
    return resealing.run(Settings(database_url=url, master_key=key), leave_lost=False)


def test_a_rotation_step_by_step(database_url: str) -> None:
    database = CoreDatabase(database_url)
    before, both, after = (hooks_of(database, key) for key in (OLD, BOTH, NEW))
    before.create({"id": "h1", "name": "h1"}, "secret of h1")
    assert [starts(database, key) for key in (OLD, BOTH, NEW)] == [True, True, False]
    both.create({"id": "h2", "name": "h2"}, "secret of h2")
    assert before.secret("h2") == "secret of h2"  # they share the database until the last one has both keys

    assert run(database_url, BOTH) == Resealed(again=2)
    assert [starts(database, key) for key in (OLD, BOTH, NEW)] == [False, True, True]
    both.create({"id": "h3", "name": "h3"}, "secret of h3")
    for hooks in (both, after):
        assert [hooks.secret(id) for id in ("h1", "h2", "h3")] == [f"secret of {id}" for id in ("h1", "h2", "h3")]
    with pytest.raises(WrongMasterKey):
        before.create({"id": "h4", "name": "h4"}, "secret")
    assert run(database_url, NEW) == Resealed(already=3)
    database.dispose()


def test_what_signatures_are_made_with(database_url: str) -> None:
    """Each secret that opens a key has its own; without its master key the key still opens what asks for no signature."""
    database = CoreDatabase(database_url)
    before, after = (keys_of(database, key) for key in (OLD, NEW))
    made = before.create("k1", {"hmac_enabled": True, "hmac_string": "one"}, other_hashes=["k2"]).id
    before.rotate(made, "k3", 60, "three")
    keys_of(database, BOTH).create("k4", {"hmac_enabled": True})  # which has none
    hooks_of(database, BOTH).create({"id": "h1", "name": "h1"}, "of h1")
    with pytest.raises(Lost, match=r"hooks.sealed of h1"):
        run(database_url, NEW)

    assert run(database_url, BOTH) == Resealed(again=4)
    assert [signs_with(after, hash) for hash in ("k1", "k2", "k3", "k4")] == ["one", "one", "three", None]
    assert [signs_with(before, hash) for hash in ("k1", "k3")] == [None, None]
    with pytest.raises(WrongMasterKey):
        before.rotate(made, "k5", 60, "five")
    assert before.by_hash("k5") is None and signs_with(after, "k3") == "three"
    assert run(database_url, NEW) == Resealed(already=4)
    database.dispose()


def test_with_a_wrong_key_it_is_refused_and_the_key_that_is_noted_stays(database_url: str) -> None:
    database = CoreDatabase(database_url)
    hooks_of(database, OLD).create({"id": "h1", "name": "h1"}, "secret")
    with pytest.raises(Lost, match=r"hooks.sealed of h1"):
        run(database_url, NEW)
    assert starts(database, OLD) and not starts(database, NEW)
    assert hooks_of(database, OLD).secret("h1") == "secret"
    database.dispose()


def test_a_key_that_is_lost_is_left_behind(database_url: str) -> None:
    """What it sealed stays lost until the webhook has a new secret; all else goes on."""
    database = CoreDatabase(database_url)
    hooks_of(database, OLD).create({"id": "h1", "name": "h1"}, "secret")
    settings = Settings(database_url=database_url, master_key=NEW)
    assert resealing.run(settings, leave_lost=True) == Resealed(lost=1, first_lost="hooks.sealed of h1")
    assert starts(database, NEW) and not starts(database, OLD)
    hooks = hooks_of(database, NEW)
    with pytest.raises(WrongMasterKey):
        hooks.secret("h1")
    hooks.replace("h1", {"id": "h1", "name": "h1"}, "another")
    assert hooks.secret("h1") == "another"
    database.dispose()


def test_before_anything_is_sealed_there_is_nothing_to_note(database_url: str) -> None:
    database = CoreDatabase(database_url)
    assert run(database_url, BOTH) == Resealed()
    assert starts(database, OLD) and starts(database, NEW)
    database.dispose()


def _scalar(database: CoreDatabase, statement: sa.TextClause) -> object:
    with database.read() as connection:
        return connection.scalar(statement)


def test_who_seals_meanwhile_waits(postgresql_url: str) -> None:
    """Else it would seal with the former key what is not sealed again any more. SQLite has one writer at a time."""
    database = CoreDatabase(postgresql_url)
    both = hooks_of(database, BOTH)
    hooks_of(database, OLD).create({"id": "h1", "name": "h1"}, "secret")
    late = threading.Thread(target=both.create, args=({"id": "h2", "name": "h2"}, "late"))
    waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    with database.transaction() as connection:
        note_key(connection, BOTH)
        late.start()
        wait_until(lambda: _scalar(database, waiting), 10, "a gateway that waits")
        assert connection.scalar(sa.select(sa.func.count()).select_from(HOOKS)) == 1
    late.join()
    assert hooks_of(database, NEW).secret("h2") == "late"
    database.dispose()
