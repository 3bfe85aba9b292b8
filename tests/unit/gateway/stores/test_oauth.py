"""OAuth2 clients and their tokens in the database: exactly one of two gets tokens, and nothing is left of what has ended."""

from __future__ import annotations

import datetime as dt
import json
import threading
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.clock import SystemClock
from services.common.core_database import CoreDatabase
from services.common.webhooks.outbox import Call
from services.gateway.keys.model import secret_hash
from services.gateway.settings import Settings
from services.gateway.stores import oauth as stores
from services.gateway.stores.events import Outbox
from services.gateway.stores.keys import GENERATION, KEYS, SECRETS, KeyStore
from services.gateway.stores.oauth import Client, ClientMissing, ClientTaken, Code, NewToken, OAuthStore, Spent
from services.gateway.stores.oauth_tables import CODES, NOTIFICATIONS, REFRESH_TOKENS, TOKENS
from services.gateway.stores.sealing import Sealing

CLIENT = Client("app", "one", "default", secret_hash("s" * 32), ("https://app.example/cb",), description="An app", meta_data={"a": 1})
SESSION: dict[str, Any] = {"access_rights": {"one": {"api_id": "one", "versions": ["Default"]}}, "org_id": "default"}


class Clock(SystemClock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def now(self) -> dt.datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sealing(database: CoreDatabase) -> Sealing:
    return Sealing(database, Settings(master_key="m" * 32))


@pytest.fixture
def store(database: CoreDatabase, sealing: Sealing, clock: Clock) -> OAuthStore:
    store = OAuthStore(database, sealing, clock)
    store.create(CLIENT)
    return store


@pytest.fixture
def keys(database: CoreDatabase, sealing: Sealing, clock: Clock) -> KeyStore:
    return KeyStore(database, sealing, clock)


def code(name: str = "code", client: str = "app", seconds: float = 300) -> Code:
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return Code(secret_hash(name), client, "f" * 32, "https://app.example/cb", "", "", SESSION, ends)


def token(name: str, family: str = "f" * 32, refresh: str = "", call: Call | None = None) -> NewToken:
    now = dt.datetime.now(dt.UTC)
    return NewToken(
        secret_hash(name),
        family,
        {**SESSION, "expires": int(now.timestamp()) + 3600},
        now + dt.timedelta(hours=1),
        secret_hash(refresh) if refresh else "",
        SESSION,
        now + dt.timedelta(days=14),
        call,
    )


def count(database: CoreDatabase, table: sa.Table) -> int:
    with database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_clients(store: OAuthStore) -> None:
    assert store.client("app") == CLIENT
    assert store.client("nobody") is None
    assert store.client("a\0b") is None
    assert store.clients("one") == ([CLIENT], 1)
    assert store.clients("two") == ([], 0)
    with pytest.raises(ClientTaken):
        store.create(CLIENT)
    store.replace(replace(CLIENT, description="Other"))
    assert store.client("app") == replace(CLIENT, description="Other")
    assert store.delete("app") is None
    for work in (lambda: store.delete("app"), lambda: store.replace(CLIENT), lambda: store.end_all("app"), lambda: store.add_code(code())):
        with pytest.raises(ClientMissing):
            work()


def test_a_token_is_a_key_that_knows_its_api(store: OAuthStore, keys: KeyStore) -> None:
    assert store.give("app", token("t1")) is None
    opened = keys.by_hash(secret_hash("t1"))
    assert opened is not None
    assert (opened.key.issued_by, opened.key.rate_counter) == ("one", "r:" + "f" * 32)
    assert [listed.id for listed in store.tokens("app", 10)] == [opened.key.id]
    keys.create(secret_hash("plain"), {**SESSION, "oauth_client_id": "app"})
    plain = keys.by_hash(secret_hash("plain"))
    assert plain is not None
    assert plain.key.issued_by == ""
    keys.delete(opened.key.id)
    assert store.tokens("app", 10) == []


@pytest.mark.parametrize("spent", ["code", "refresh"])
def test_of_two_at_once_one_gets_tokens(store: OAuthStore, keys: KeyStore, database: CoreDatabase, spent: Any) -> None:
    store.add_code(code("first"))
    name = "first"
    if spent == "refresh":
        store.give("app", token("t0", refresh="r0"), ("code", secret_hash("first")))
        name = "r0"
    outcomes: list[str] = []
    barrier = threading.Barrier(6)

    def ask(number: int) -> None:
        barrier.wait(10)
        try:
            store.give("app", token(f"t-{number}", refresh=f"r-{number}"), (spent, secret_hash(name)))
            outcomes.append(f"t-{number}")
        except Spent:
            outcomes.append("")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    [winner] = [outcome for outcome in outcomes if outcome]
    assert outcomes.count("") == 5
    assert keys.by_hash(secret_hash(winner)) is not None
    assert (count(database, KEYS), count(database, TOKENS)) == (1, 1)  # a token that follows another ends that one


def test_a_refresh_ends_the_token_before_it(store: OAuthStore, keys: KeyStore) -> None:
    store.give("app", token("t1", refresh="r1"))
    before = keys.generation()
    ended = store.give("app", token("t2", refresh="r2"), ("refresh", secret_hash("r1")))
    assert ended is not None
    assert (ended.generation, ended.hashes) == (before + 1, {secret_hash("t1"), secret_hash("t2")})
    assert keys.changes(before).items() == ended.hashes
    assert keys.by_hash(secret_hash("t1")) is None
    used, fresh = store.refresh_token(secret_hash("r1")), store.refresh_token(secret_hash("r2"))
    assert used is not None
    assert fresh is not None
    assert (used.used, fresh.used, fresh.family) == (True, False, "f" * 32)


def test_nothing_is_given_for_another_clients_code_or_one_that_has_ended(store: OAuthStore, database: CoreDatabase, clock: Clock) -> None:
    store.create(replace(CLIENT, id="other"))
    store.add_code(code())
    with pytest.raises(Spent):
        store.give("other", token("t1"), ("code", secret_hash("code")))
    clock.ahead = dt.timedelta(seconds=301)
    with pytest.raises(Spent):
        store.give("app", token("t1"), ("code", secret_hash("code")))
    assert count(database, KEYS) == 0


@pytest.mark.parametrize("table", [KEYS, SECRETS, TOKENS, REFRESH_TOKENS, NOTIFICATIONS])
def test_a_crash_leaves_no_token_without_its_record(store: OAuthStore, database: CoreDatabase, table: sa.Table) -> None:
    """All of it is one transaction: whatever statement is the last, nothing is given and the code is still good."""
    store.add_code(code())

    def crash(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(f"INSERT INTO {table.name} "):
            raise MemoryError

    sa.event.listen(database.engine, "after_cursor_execute", crash)
    call = Call("msg_1", "oauth-notifications", "http://a", "e", "one", "POST", "http://a/", (), "body", (), 0.0)
    with pytest.raises(MemoryError):
        store.give("app", token("t1", refresh="r1", call=call), ("code", secret_hash("code")))
    sa.event.remove(database.engine, "after_cursor_execute", crash)
    assert [count(database, one) for one in (KEYS, SECRETS, TOKENS, REFRESH_TOKENS, NOTIFICATIONS)] == [0] * 5
    store.give("app", token("t1", refresh="r1", call=call), ("code", secret_hash("code")))
    assert [count(database, one) for one in (KEYS, SECRETS, TOKENS, REFRESH_TOKENS, NOTIFICATIONS)] == [1] * 5


def test_the_outbox_does_not_hold_what_a_notification_says(store: OAuthStore, database: CoreDatabase) -> None:
    body = json.dumps({"new_oauth_token": "t0ken-in-clear"})
    call = Call("msg_1", "oauth-notifications", "http://a", "OAuthKeyChange", "one", "POST", "http://a/", (), body, (), 0.0)
    store.give("app", token("t1", call=call))
    delivery = Outbox(database).get("msg_1")
    assert delivery is not None
    assert delivery.body == ""
    assert store.notification("msg_1") == body
    assert store.notification("msg_2") is None
    with database.read() as connection:
        for name in (NOTIFICATIONS.name, "deliveries"):
            assert "in-clear" not in str(connection.exec_driver_sql(f"SELECT * FROM {name}").all())


def test_what_ends_what(store: OAuthStore, keys: KeyStore, database: CoreDatabase) -> None:
    store.create(replace(CLIENT, id="other"))
    store.create(replace(CLIENT, id="elsewhere", api_id="two"))
    for client, name in (("app", "a"), ("app", "b"), ("other", "c"), ("elsewhere", "d")):
        store.give(client, token(name, family=name * 32, refresh=f"r-{name}"))
    opened = keys.by_hash(secret_hash("b"))
    assert opened is not None
    assert store.end_token("other", opened.key.id) is None  # it is not that client's
    for ended, gone in (
        (store.end_family("app", "a" * 32), {"a"}),
        (store.end_family("app", "a" * 32), set()),
        (store.end_token("app", opened.key.id), {"b"}),
        (store.end_api("one"), {"c"}),
        (store.delete("elsewhere"), {"d"}),
    ):
        assert (set() if ended is None else set(ended.hashes)) == {secret_hash(name) for name in gone}
    assert [count(database, one) for one in (KEYS, TOKENS, REFRESH_TOKENS)] == [0] * 3
    assert store.clients("one")[1] == 2  # an undo of the API's deletion finds them again


def test_what_has_ended_is_removed_a_little_at_a_time(
    store: OAuthStore, keys: KeyStore, database: CoreDatabase, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_SLICE", 2)
    for number in range(3):
        store.add_code(code(f"c{number}"))
        store.give("app", token(f"t{number}", family=f"{number:032}", refresh=f"r{number}"))
    keys.create(secret_hash("plain"), {**SESSION, "expires": 1})
    assert store.sweep() == (None, False)
    clock.ahead = dt.timedelta(minutes=70)  # an ended token is known for an hour: its client hears that it has expired
    assert [store.sweep()[0], store.sweep()[0]] == [None, None]
    assert (count(database, CODES), count(database, TOKENS)) == (0, 3)
    clock.ahead = dt.timedelta(days=15)
    before, rounds, hashes = keys.generation(), 0, set()
    more = True
    while more:
        ended, more = store.sweep()
        rounds += 1
        hashes |= set() if ended is None else ended.hashes
    assert rounds == 2
    assert hashes == {secret_hash(f"t{number}") for number in range(3)} == keys.changes(before).items()
    assert [count(database, one) for one in (KEYS, TOKENS, REFRESH_TOKENS)] == [1, 0, 0]
    with database.read() as connection:
        assert connection.scalar(sa.text(f"SELECT number FROM generations WHERE name = '{GENERATION}'")) == before + 2


def test_a_client_that_asks_for_itself_again_and_again(store: OAuthStore, keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MOST_OF_FAMILY", 2)
    ended = [store.give("app", token(f"t{number}")) for number in range(3)]
    assert ended[:2] == [None, None]
    assert ended[2] is not None
    assert ended[2].hashes == {secret_hash("t0"), secret_hash("t2")}
    assert [keys.by_hash(secret_hash(f"t{number}")) is None for number in range(3)] == [True, False, False]


def test_sweepers_at_once_do_not_disturb_each_other(store: OAuthStore, database: CoreDatabase, clock: Clock) -> None:
    for number in range(20):
        store.give("app", token(f"t{number}", family=f"{number:032}"))
    clock.ahead = dt.timedelta(hours=3)
    faults: list[Exception] = []

    def sweep() -> None:
        try:
            while store.sweep()[1]:
                pass
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    store.sweep()
    assert count(database, KEYS) == 0
