"""What scripts may ask and change of keys, on each store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.definitions.claims import Claim
from services.gateway.keys.model import secret_hash
from services.gateway.script_keys import ScriptKeys
from services.gateway.settings import Settings
from services.gateway.stores.certificates import CertificateStore
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.policies import PolicyStore
from services.gateway.stores.sealing import Sealing
from tests.support.waiting import wait_until
from tests.unit.gateway.exchanges import document


class House:
    """The stores, with one API of the organisation `default` and one of `other`; keys are made of sessions."""

    def __init__(self, database: CoreDatabase, folder: Path) -> None:
        settings = Settings(master_key="a master key of the tests, long enough", master_key_path=folder / "master.key")
        policies, definitions = PolicyStore(database), DefinitionStore(database)
        self.store = KeyStore(database, Sealing(database, settings), policies=policies)
        for org in ("default", "other"):
            raw = document(api_id=f"api-{org}", org_id=org, proxy={"listen_path": f"/{org}/", "target_url": "http://10.0.0.1/"})
            definitions.create({"id": f"id-{org}", **raw}, [], claim=Claim(f"/{org}/", True), who="test")
        self.published: list[frozenset[str]] = []
        self.keys = ScriptKeys(self.store, definitions, policies, CertificateStore(database), self.publish)

    def publish(self, generation: int, hashes: Iterable[str]) -> None:
        assert generation
        self.published.append(frozenset(hashes))

    def key(self, secret: str, **session: Any) -> str:
        rights = {"api-default": {"versions": []}}
        return self.store.create(secret_hash(secret), {"org_id": "default", "access_rights": rights, **session}).id

    def ask(self, name: str, *arguments: str, org: str = "default") -> Any:
        return asyncio.run(self.keys.ask(org, name, list(arguments)))


@pytest.fixture
def house(database: CoreDatabase, tmp_path: Path) -> House:
    return House(database, tmp_path)


def test_a_session_without_its_secrets(house: House) -> None:
    id = house.key("secret", alias="me", basic_auth_data={"password": "hash"})
    for name in (id, "secret"):
        session = json.loads(house.ask("TykGetKeyData", name, "api"))
        assert (session["alias"], "basic_auth_data" in session) == ("me", False)


def test_keys_of_others_do_not_exist(house: House) -> None:
    house.key("secret")
    for name, org in (("secret", "other"), ("nobody", "default")):
        assert json.loads(house.ask("TykGetKeyData", name, "api", org=org))["status"] == "error"
        with pytest.raises(ValueError, match="does not exist"):
            house.ask("TykSetKeyData", name, "{}", "0", org=org)


def test_a_session_is_replaced(house: House) -> None:
    id = house.key("secret", alias="me")
    session = json.loads(house.ask("TykGetKeyData", id, "api"))
    changed = {**session, "alias": "you", "org_id": "other", "apply_policies": []}
    house.ask("TykSetKeyData", "secret", json.dumps(changed), "0")
    stored = house.store.get(id)
    assert stored is not None
    assert (stored.session["alias"], stored.session["org_id"]) == ("you", "default")
    assert house.published == [frozenset({secret_hash("secret")})]


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"rate": "x"}', '{"access_rights": {"api-other": {"versions": []}}}', '{"apply_policies": ["unknown"]}']
)
def test_sessions_that_are_wrong(house: House, text: str) -> None:
    id = house.key("secret")
    with pytest.raises(ValueError, match="session"):
        house.ask("TykSetKeyData", id, text, "0")
    assert house.published == []


def test_meta_data_is_saved_behind_the_answer(house: House) -> None:
    id = house.key("secret", alias="me", meta_data={"a": "b"})
    opened = house.store.by_hash(secret_hash("secret"))
    assert opened is not None
    house.keys.save_meta(opened.key, {"a": "c"})

    def saved() -> bool:
        stored = house.store.get(id)
        return stored is not None and stored.session.get("meta_data") == {"a": "c"} and stored.session["alias"] == "me"

    wait_until(saved, 10, "the saved meta_data")
    wait_until(lambda: house.published, 10, "the announcement")


def test_meta_data_takes_back_nothing_that_was_changed_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is switched off while a script's meta_data waits must not be on again."""
    id = house.key("secret", meta_data={"a": "b"})
    opened = house.store.by_hash(secret_hash("secret"))
    assert opened is not None
    get = house.store.get

    def got_too_early(id: str) -> Any:
        found = get(id)
        assert found is not None
        if not found.session.get("is_inactive"):
            house.store.replace(id, {**found.session, "is_inactive": True})
        return found

    monkeypatch.setattr(house.store, "get", got_too_early)
    house.keys.save_meta(opened.key, {"a": "c"})
    wait_until(lambda: house.published, 10, "the announcement")
    stored = get(id)
    assert stored is not None
    assert (stored.session["meta_data"], stored.session.get("is_inactive")) == ({"a": "c"}, True)
