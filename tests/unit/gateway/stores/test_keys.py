"""Keys in the database."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest

from services.common.clock import SettableClock
from services.common.core_database import CoreDatabase
from services.gateway.settings import Settings
from services.gateway.stores.keys import KeyMissing, KeyStore, Search, SecretTaken
from services.gateway.stores.sealing import Sealing

RIGHTS = {"access_rights": {"a": {"versions": ["Default"]}}}


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def store(database: CoreDatabase, clock: SettableClock) -> KeyStore:
    return KeyStore(database, Sealing(database, Settings(master_key="m" * 32)), clock)


def test_a_key_is_opened_by_its_hash(store: KeyStore) -> None:
    made = store.create("h1", {**RIGHTS, "rate": 3})
    opened = store.by_hash("h1")
    assert opened is not None
    assert (opened.key.id, opened.key.rate, opened.key.hashes, opened.until) == (made.id, 3.0, ("h1",), None)
    assert store.by_hash("h2") is None
    with pytest.raises(SecretTaken):
        store.create("h1", RIGHTS)
    assert store.page()[1] == 1


def test_a_key_knows_when_it_was_saved(store: KeyStore, clock: SettableClock) -> None:
    id = store.create("h1", RIGHTS).id

    def saved_at() -> float:
        opened = store.by_hash("h1")
        assert opened is not None
        return opened.key.saved_at

    made = clock.now().timestamp()
    clock.move(5)
    store.mark_used([id], clock.now())
    assert saved_at() == made, "use is not a change"
    store.replace(id, {**RIGHTS, "rate": 4})
    assert saved_at() == made + 5


def test_a_rotated_secret_ends(store: KeyStore, clock: SettableClock) -> None:
    id = store.create("h1", RIGHTS).id
    rotated = store.rotate(id, "h2", 60)
    assert set(rotated.hashes) == rotated.changed == {"h1", "h2"}
    old = store.by_hash("h1")
    assert old is not None
    assert old.until == (clock.now() + dt.timedelta(seconds=60)).timestamp()
    clock.move(60)
    assert store.by_hash("h1") is None
    assert store.by_hash("h2").key.hashes == ("h2",)  # type: ignore[union-attr]
    rotated = store.rotate(id, "h3", 60)
    assert (set(rotated.hashes), rotated.changed) == ({"h2", "h3"}, {"h1", "h2", "h3"})
    with pytest.raises(SecretTaken):
        store.rotate(id, "h3", 60)


def test_a_deleted_key_leaves_nothing(store: KeyStore) -> None:
    id = store.create("h1", RIGHTS).id
    store.rotate(id, "h2", 60)
    assert set(store.delete(id).hashes) == {"h1", "h2"}
    assert store.get(id) is None
    assert store.by_hash("h2") is None
    for gone in (lambda: store.delete(id), lambda: store.replace(id, RIGHTS), lambda: store.rotate(id, "h", 1)):
        with pytest.raises(KeyMissing):
            gone()
    store.create("h1", RIGHTS)


def test_lists_by_api(store: KeyStore, clock: SettableClock) -> None:
    named = store.create("h1", RIGHTS).id
    clock.move(1)
    master = store.create("h2", {"access_rights": {}}).id
    clock.move(1)
    other = store.create("h3", {"access_rights": {"b": {}}}).id
    assert [key.id for key in store.page(Search("a"))[0]] == [master, named]
    assert [key.id for key in store.page(size=2)[0]] == [other, master]
    assert store.page(size=2)[1] == 3
    assert (store.ids(), store.ids("a"), store.ids("none")) == ([other, master, named], [master, named], [master])
    assert store.ids(begins=named) == [named]
    assert store.ids(begins="%") == []
    store.replace(named, {"access_rights": {"b": {}}})
    assert [key.id for key in store.page(Search("a"))[0]] == [master]
    assert store.page(Search("b"), number=-1)[0][0].hashes == ("h3",)


def test_use_is_noted_without_a_new_generation(store: KeyStore, clock: SettableClock) -> None:
    ids = [store.create(f"h{index}", RIGHTS).id for index in range(3)]
    generation = store.generation()
    store.mark_used(ids[:2], clock.now())
    assert store.generation() == generation == 3
    assert [store.get(id).last_used_at for id in ids] == [clock.now(), clock.now(), None]  # type: ignore[union-attr]


def test_many_workers_note_a_use_once_a_minute(store: KeyStore, clock: SettableClock) -> None:
    id = store.create("h", RIGHTS).id
    first = clock.now()
    for later, noted in (0, 0), (40, 0), (30, 70), (59, 70):
        clock.move(later)
        store.mark_used([id], clock.now())
        found = store.get(id)
        assert found is not None and found.last_used_at == first + dt.timedelta(seconds=noted)


def test_several_keys_are_deleted_together_or_not_at_all(store: KeyStore) -> None:
    one, two, three = (store.create(f"h{n}", RIGHTS).id for n in range(3))
    generation = store.generation()
    with pytest.raises(KeyMissing) as missing:
        store.delete_all([one, "nope", two, "nada"])
    assert set(missing.value.ids) == {"nope", "nada"}
    assert (store.page()[1], store.generation()) == (3, generation)
    gone = store.delete_all([two, one, two])
    assert {(key.id, key.hashes) for key in gone} == {(one, ("h0",)), (two, ("h1",))}
    assert (store.ids(), store.by_hash("h0"), store.generation()) == ([three], None, generation + 1)


def test_of_two_who_delete_a_key_at_once_one_deletes_nothing_else(store: KeyStore) -> None:
    for round_ in range(5):
        shared, one, two = (store.create(f"h{round_}-{n}", RIGHTS).id for n in range(3))
        gate, missing = threading.Barrier(2), {}

        def delete(own: str, shared: str = shared, gate: threading.Barrier = gate, missing: dict[str, Any] = missing) -> None:
            gate.wait(30)
            try:
                store.delete_all([shared, own])
                missing[own] = ()
            except KeyMissing as error:
                missing[own] = error.ids

        threads = [threading.Thread(target=delete, args=(own,)) for own in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(missing.values()) == [(), (shared,)]
        assert {own for own in (one, two) if store.get(own) is None} == {own for own, ids in missing.items() if not ids}
