"""Policies from a file: as a seed, as the only truth, and the keys that are made of them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.keys.model import Key, made_key
from services.gateway.settings import Settings
from services.gateway.stores.definition_model import ReadOnly
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.policies import PolicyStore
from services.gateway.stores.policy_files import FilePolicies, seed_policies
from services.gateway.stores.sealing import Sealing
from tests.support.log_lines import captured

RIGHTS = {"api": {"versions": ["Default"]}}


def known(api_ids: set[str]) -> dict[str, str]:
    return {api_id: "Api" for api_id in api_ids if api_id == "api"}


def policy(**more: Any) -> dict[str, Any]:
    return {"name": "A policy", "access_rights": RIGHTS, "rate": 5, "per": 1, **more}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policies.json"


@pytest.fixture
def store(database: CoreDatabase) -> PolicyStore:
    return PolicyStore(database)


def keys(database: CoreDatabase, policies: PolicyStore | None = None) -> KeyStore:
    return KeyStore(database, Sealing(database, Settings(master_key="m" * 32)), policies=policies)


def put(file: Path, content: Any) -> None:
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def ids(store: PolicyStore) -> list[str]:
    return sorted(one["id"] for one in store.page(-1)[0])


def test_the_file_seeds_what_the_database_never_had(store: PolicyStore, database: CoreDatabase, file: Path) -> None:
    put(file, {"a": policy(), "b": policy(), "c": policy(org_id="o", id="c", quota_max=3)})
    before = keys(database).generation()
    assert seed_policies(store, file, known) == []
    assert ids(store) == ["a", "b", "c"]
    assert (store.get("a") or {})["org_id"] == "default"
    assert keys(database).changes(before).items() == {"*"}, "other nodes forget what they made without it"
    store.delete("a")
    store.replace({**policy(name="changed"), "id": "b"})
    store.create({**policy(), "id": "made"})
    store.delete("made")
    generation = keys(database).generation()
    put(file, {"a": policy(), "b": policy(), "d": policy(), "made": policy()})
    assert seed_policies(PolicyStore(database), file, known) == []
    assert ids(store) == ["b", "c", "d"], "what an operator deleted stays deleted"
    assert (store.get("b") or {})["name"] == "changed"
    assert keys(database).generation() == generation + 1
    seed_policies(store, file, known)
    assert keys(database).generation() == generation + 1


def test_of_several_processes_one_seeds(store: PolicyStore, database: CoreDatabase) -> None:
    for _ in range(2):
        store.seed([{**policy(), "id": "a"}])
    assert keys(database).generation() == 1


MISTAKES = {
    "good": policy(),
    "no-api": policy(access_rights={"none": {}}),
    "no-object": 5,
    "other-id": policy(id="another"),
    "a b": policy(),
    "wrong": policy(rate="5", quota_mx=1),
}
PLACES = {"/no-api/access_rights/none", "/no-object", "/other-id/id", "/a b", "/wrong/rate", "/wrong/quota_mx"}


def test_mistakes_stop_nothing(store: PolicyStore, database: CoreDatabase, file: Path) -> None:
    put(file, MISTAKES)
    files = FilePolicies(database, file, known)
    with captured() as lines:
        wrong = seed_policies(store, file, known)
        files.reload()
    assert ids(store) == ids(files) == ["good"]
    for told in (wrong, files.mistakes):
        assert [one.name for one in told] == ["policies.json"]
        assert {mistake.pointer for mistake in told[0].mistakes} == PLACES
    logged = [line for line in lines if line["event"] == "policies refused"]
    assert len(logged) == 2 and len(logged[0]["mistakes"]) == len(PLACES)


@pytest.mark.parametrize("content", ["{", "[]", '{"a": {}, "a": {}}', b"\xff"])
def test_a_file_that_cannot_be_read(store: PolicyStore, database: CoreDatabase, file: Path, content: str | bytes) -> None:
    put(file, {"a": policy()})
    files = FilePolicies(database, file, known)
    assert files.reload()
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert not files.reload()
    assert ids(files) == ["a"] and len(files.mistakes) == 1, "what it said before stays in force"
    assert len(seed_policies(store, file, known)) == 1


def test_no_file_is_no_mistake(store: PolicyStore, database: CoreDatabase, file: Path) -> None:
    assert seed_policies(store, file, known) == []
    files = FilePolicies(database, file, known)
    assert not files.reload() and files.mistakes == [] and files.page() == ([], 0)


def test_the_file_as_the_only_truth(store: PolicyStore, database: CoreDatabase, file: Path) -> None:
    store.create({**policy(), "id": "stored"})
    put(file, {"b": policy(name="B"), "a": policy(name="A", org_id="o"), "c": policy(access_rights={})})
    files = FilePolicies(database, file, known)
    assert [one["name"] for one in files.page(0, 2)[0]] == ["A", "A policy"], "read when it is first asked"
    assert files.page(1, 2) == ([files.get("b")], 3)
    assert files.get("stored") is None and files.owners(["a", "stored"]) == {"a": "o"}
    key_store = keys(database, files)
    key_store.create("h", {"apply_policies": ["b"], "org_id": "default"})
    with database.read() as connection:
        assert sorted(files.rights(connection)) == ["a", "b"]
    assert len(key_store.ids("api")) == 1
    opened = key_store.by_hash("h")
    assert opened is not None and (opened.key.rate, opened.key.is_inactive) == (5, False)
    put(file, {"b": policy(rate=9), "c": policy(rate="x")})
    assert files.reload()
    opened = key_store.by_hash("h")
    assert opened is not None and opened.key.rate == 9
    assert ids(files) == ["b", "c"] and not files.reload()
    for write in (files.create, files.replace, files.delete):
        with pytest.raises(ReadOnly):
            write("a")


# Keys that no row has.


def made(database: CoreDatabase, org_id: str, *policies: str) -> Key | None:
    opened = keys(database).made(made_key(org_id, "eve", policies))
    return None if opened is None else opened.key


def test_who_asks_while_the_file_is_read_waits_for_it(database: CoreDatabase, file: Path) -> None:
    put(file, {"a": policy()})
    others: list[Future[Any]] = []
    asked = threading.Event()

    def read(api_ids: set[str]) -> dict[str, str]:
        if not others:
            others.append(pool.submit(ask))
            assert asked.wait(10)
        return known(api_ids)

    def ask() -> Any:
        asked.set()
        return store.named(["a"])

    store = FilePolicies(database, file, read)
    with ThreadPoolExecutor(1) as pool:
        assert store.named(["a"]) != [None]
        assert others[0].result(10) != [None]


def test_a_key_that_is_made_of_policies(store: PolicyStore, database: CoreDatabase) -> None:
    store.create({**policy(), "id": "a", "org_id": "o"})
    store.create({**policy(rate=50, access_rights={"b": {}}), "id": "b", "org_id": "o"})
    key = made(database, "o", "a")
    assert key is not None
    assert (key.alias, key.rate, key.org_id, set(key.access_rights or ())) == ("eve", 5, "o", {"api"})
    assert (key.session["meta_data"], key.hashes) == ({"TykJWTSessionID": key.id}, ())
    assert key.id == made_key("o", "eve", ()).id
    both = made(database, "o", "a", "b")
    assert both is not None and set(both.access_rights or ()) == {"api", "b"}
    keys(database).mark_used([key.id], store._clock.now())  # there is no row, and that is no error


def test_a_policy_that_is_not_there_or_of_another_organisation_makes_no_key(store: PolicyStore, database: CoreDatabase) -> None:
    store.create({**policy(), "id": "a", "org_id": "o"})
    assert made(database, "o", "a", "none") is None
    assert made(database, "other", "a") is None
    assert made(database, "o", "a") is not None


def test_a_policy_that_is_switched_off_switches_its_keys_off(store: PolicyStore, database: CoreDatabase) -> None:
    store.create({**policy(active=False), "id": "a", "org_id": "o"})
    key = made(database, "o", "a")
    assert key is not None and key.is_inactive
