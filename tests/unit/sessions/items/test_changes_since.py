"""What is new in the lists of a session, for clients that poll."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.sessions.items import store
from services.sessions.items.rules import lists
from services.sessions.models import Client, Item
from services.sessions.sessions import store as sessions
from tests.unit.sessions.conftest import API

MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def change(api: API, session_id: int, work: Callable[[store.Changes], Any]) -> Any:
    """Change the lists of a session in one transaction."""

    def run(transaction: Any) -> Any:
        session = sessions.lock(transaction, session_id)
        assert session is not None
        found = work(store.Changes(transaction, session))
        transaction.flush()
        return found

    return api.parts.database.run(run)


def there(changes: store.Changes, name: str, item_id: int) -> Item:
    """Return an item that is there."""
    found = changes.get(name, item_id)
    assert found is not None
    return found


def remove(number: int, changes: store.Changes) -> None:
    changes.remove(there(changes, "MESSAGES", number))


def log(number: int, changes: store.Changes) -> None:
    changes.log("TEST", None, "me", str(number), MOMENT)


def since(api: API, session_id: int, **known: int) -> dict[str, store.Changed]:
    with api.parts.database.read() as transaction:
        return store.changes_since(transaction, session_id, known)


def test_whoever_has_nothing_gets_all(api: API) -> None:
    running = api.running()
    for nothing in (-1, 0):
        found = since(api, running, STAKEHOLDERS=nothing, LOGS=nothing)
        assert [one["id"] for one in found["STAKEHOLDERS"].items] == [0, 1, 2, 3]
        assert (found["LOGS"].items, found["LOGS"].deletes, found["LOGS"].version) == ([], [], 1)
        assert all(one.full for one in found.values())


def test_only_lists_with_news_answer_and_only_with_what_is_new(api: API) -> None:
    running = api.running()
    assert since(api, running, STAKEHOLDERS=1, TIMES=1) == {}
    change(api, running, lambda changes: changes.change(there(changes, "STAKEHOLDERS", 2), {"name": "Council"}))
    found = since(api, running, STAKEHOLDERS=1, TIMES=1)
    assert list(found) == ["STAKEHOLDERS"]
    news = found["STAKEHOLDERS"]
    assert [(one["id"], one["name"], one["version"]) for one in news.items] == [(2, "Council", 2)]
    assert (news.deletes, news.version, news.full) == ([], 2, False)


def test_each_list_is_compared_with_its_own_version(api: API) -> None:
    running = api.running()
    change(api, running, lambda changes: changes.add("MESSAGES", {"text": "one"}))
    change(api, running, lambda changes: (changes.add("MESSAGES", {"text": "two"}), changes.add("LOGS", {"text": "a"})))
    found = since(api, running, MESSAGES=2, LOGS=1, BUILDINGS=1)
    assert {name: [one["text"] for one in news.items] for name, news in found.items()} == {"MESSAGES": ["two"], "LOGS": ["a"]}


def test_deletes_are_told(api: API) -> None:
    running = api.running()
    change(api, running, lambda changes: changes.add("MESSAGES", {"text": "one"}))
    change(api, running, lambda changes: changes.remove(there(changes, "MESSAGES", 0)))
    news = since(api, running, MESSAGES=2)["MESSAGES"]
    assert (news.items, news.deletes, news.version, news.full) == ([], [{"id": 0, "version": 3}], 3, False)
    assert since(api, running, MESSAGES=-1)["MESSAGES"].deletes == []


def test_a_version_to_come_means_that_the_client_knows_nothing(api: API) -> None:
    running = api.running()
    for version in (2, 999_999, 2**70):
        news = since(api, running, STAKEHOLDERS=version)["STAKEHOLDERS"]
        assert (len(news.items), news.full, news.version) == (4, True, 1)


def test_whoever_is_behind_the_horizon_gets_the_whole_list(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT_DELETIONS", 2)
    running = api.running()
    change(api, running, lambda changes: [changes.add("MESSAGES", {"text": str(number)}) for number in range(5)])
    for number in range(4):
        change(api, running, functools.partial(remove, number))
    # deletes of the versions 3 to 6: those of 5 and 6 are kept, so 4 is the last version from which there is a way
    near = since(api, running, MESSAGES=4)["MESSAGES"]
    assert (near.items, [one["id"] for one in near.deletes], near.full) == ([], [2, 3], False)
    far = since(api, running, MESSAGES=3)["MESSAGES"]
    assert ([one["id"] for one in far.items], [one["id"] for one in far.deletes], far.full) == ([4], [2, 3], True)


def test_a_stakeholder_shows_who_holds_it(api: API) -> None:
    running = api.running()
    api.join(running, "host", "PARTICIPANT", "agent")

    def take(changes: store.Changes) -> None:
        item = there(changes, "STAKEHOLDERS", 1)
        item.holder = changes._transaction.scalar(sa.select(Client.id))
        changes.change(item)

    change(api, running, take)
    with api.parts.database.read() as transaction:
        known = store.versions(transaction, running)["STAKEHOLDERS"] - 1
    (shown,) = since(api, running, STAKEHOLDERS=known)["STAKEHOLDERS"].items
    with api.parts.database.read() as transaction:
        assert shown["clientID"] == transaction.scalar(sa.select(Client.id))
    assert (shown["clientName"], shown["userName"]) == ("agent", "host@example.org")
    with api.parts.database.read() as transaction:
        assert store.items(transaction, running, "STAKEHOLDERS", 1) == [shown]
        assert [one["clientName"] for one in store.items(transaction, running, "STAKEHOLDERS")] == [None, "agent", None, None]


def test_nothing_new_is_one_query_and_news_are_two(api: API) -> None:
    running = api.running()
    asked: list[str] = []
    sa.event.listen(api.parts.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    everything = dict.fromkeys(lists.ALL, 1)
    since(api, running, **everything)
    quiet = sum("SELECT" in one for one in asked)
    asked.clear()
    since(api, running, **dict.fromkeys(lists.ALL, 0))
    assert (quiet, sum("SELECT" in one for one in asked)) == (1, 2)


def test_the_log_keeps_its_newest(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_LOGS", 3)
    running = api.running()
    for number in range(5):
        change(api, running, functools.partial(log, number))
    with api.parts.database.read() as transaction:
        assert [one["text"] for one in store.items(transaction, running, "LOGS")][-3:] == ["2", "3", "4"]
        assert store.size(transaction, running, "LOGS") == 3
