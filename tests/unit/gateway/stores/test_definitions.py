"""Definitions in the database: revisions, lost updates, writers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.clock import SettableClock
from services.common.core_database import CoreDatabase
from services.gateway.definitions.claims import Claim
from services.gateway.stores.definition_model import ApiIdTaken, NotFound, PlaceTaken, RevisionConflict, Unchanged, same_json
from services.gateway.stores.definitions import DefinitionStore


@pytest.fixture
def store(database: CoreDatabase) -> DefinitionStore:
    return DefinitionStore(database, SettableClock())


def create(store: DefinitionStore, id: str, address: str | None = None, active: bool = True) -> Any:
    raw = {"id": f"i-{id}", "api_id": id, "name": f"Name {id}"}
    return store.create(raw, [], claim=Claim(address or f"/{id}/", active), who="ann")


def update(store: DefinitionStore, id: str, name: str, if_match: int | None = None, address: str | None = None) -> Any:
    return store.update(id, {"api_id": id, "name": name}, [], claim=Claim(address or f"/{id}/", True), who="bob", if_match=if_match)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """What each gave or raised, started together."""
    gate = threading.Barrier(len(work))
    results: list[Any] = [None] * len(work)

    def run(index: int) -> None:
        gate.wait(30)
        try:
            results[index] = work[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_generation_and_revision_rise_with_every_write(store: DefinitionStore) -> None:
    assert store.generation() == 0
    assert create(store, "a").revision == 1
    assert update(store, "a", "B").revision == 2
    assert store.generation() == 2
    store.delete("a", who="cy")
    assert store.generation() == 3
    assert [(one.number, one.action, one.who) for one in store.revisions("a")] == [
        (3, "deleted", "cy"),
        (2, "updated", "bob"),
        (1, "created", "ann"),
    ]
    assert create(store, "a").revision == 4


def test_only_what_changed_is_read(store: DefinitionStore) -> None:
    for number in range(9):
        create(store, f"a{number}")
    statements: list[str] = []
    sa.event.listen(store._database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    nothing = store.changed_since(9)
    assert nothing is not None
    assert (nothing.generation, nothing.definitions) == (9, {})
    assert sum("SELECT" in one for one in statements) == 1
    update(store, "a3", "B")
    store.delete("a5", who="cy")
    update(store, "a3", "C")
    statements.clear()
    changed = store.changed_since(9)
    assert changed is not None
    assert sum("SELECT" in one for one in statements) == 3
    assert (changed.generation, set(changed.definitions)) == (12, {"i-a3", "i-a5"})
    now = changed.definitions["i-a3"]
    assert now is not None
    assert (now.revision, now.raw["name"]) == (3, "C")
    assert changed.definitions["i-a5"] is None
    assert store.changed_since(13) is None, "an older copy of the database"


def test_a_refused_write_leaves_no_trace(store: DefinitionStore) -> None:
    create(store, "a")
    for refused, error in (
        (lambda: create(store, "a", "/else/"), ApiIdTaken),
        (lambda: create(store, "b", "/a/"), PlaceTaken),
        (lambda: update(store, "a", "X", if_match=7), RevisionConflict),
        (lambda: update(store, "none", "X"), NotFound),
        (lambda: store.delete("a", who="x", if_match=7), RevisionConflict),
        (lambda: store.delete("none", who="x"), NotFound),
        (lambda: store.revision("a", 9), NotFound),
    ):
        with pytest.raises(error):
            refused()
    assert store.generation() == 1
    assert [one.raw["name"] for one in store.all()] == ["Name a"]
    assert len(store.revisions("a")) == 1


def test_an_inactive_definition_owns_no_place(store: DefinitionStore) -> None:
    create(store, "a", "/p/")
    create(store, "b", "/p/", active=False)
    with pytest.raises(PlaceTaken):
        update(store, "b", "B", address="/p/")


def test_an_id_and_an_api_id_are_one_space_of_names(store: DefinitionStore) -> None:
    create(store, "a")
    with pytest.raises(ApiIdTaken):
        store.create({"id": "x", "api_id": "i-a"}, [], claim=Claim("/x/", True), who="ann")


def test_of_two_writers_that_saw_the_same_revision_one_wins(store: DefinitionStore) -> None:
    create(store, "a")
    for revision in range(1, 6):
        results = at_once(*(lambda n=n, r=revision: update(store, "a", f"w{r}-{n}", if_match=r) for n in range(3)))
        assert sum(isinstance(one, RevisionConflict) for one in results) == 2, results
    assert store.get("a").revision == 6  # type: ignore[union-attr]


def test_of_two_definitions_for_one_place_one_wins(store: DefinitionStore) -> None:
    create(store, "first")
    for round_ in range(5):
        results = at_once(*(lambda n=n, r=round_: create(store, f"a{r}-{n}", f"/r{r}/") for n in range(3)))
        assert sum(isinstance(one, PlaceTaken) for one in results) == 2, results
        same = at_once(*(lambda n=n, r=round_: create(store, f"same{r}", f"/s{r}-{n}/") for n in range(3)))
        assert sum(isinstance(one, ApiIdTaken) for one in same) == 2, same


def test_writers_of_different_definitions_do_not_hinder_each_other(store: DefinitionStore) -> None:
    create(store, "first")
    results = at_once(*(lambda n=n: create(store, f"a{n}") for n in range(6)))
    assert not [one for one in results if isinstance(one, Exception)]
    assert store.generation() == 7


def test_pages(store: DefinitionStore) -> None:
    for index in range(5):
        create(store, f"a{index}")
    assert [one.api_id for one in store.page(1, 2).items] == ["a2", "a3"]
    assert (len(store.page(0, 2).items), store.page(0, 2).total) == (2, 5)
    assert len(store.page(-1).items) == 5
    assert store.page(9, 2).items == []
    assert [one.api_id for one in store.page(query="/A3/").items] == ["a3"]
    assert store.page(query="_").items == []
    assert store.known({"a1", "none"}) == {"a1": "Name a1"}


def test_the_revision_before(store: DefinitionStore) -> None:
    create(store, "a", "/a/")
    update(store, "a", "second")
    store.delete("a", who="ann")
    assert store.revision_before("a", 1) is None
    assert [store.revision_before("a", number).number for number in (2, 3)] == [1, 2]  # type: ignore[union-attr]
    assert store.revision_before("a", 3).raw["name"] == "second"  # type: ignore[union-attr,index]
    assert store.revision_before("none", 5) is None
    assert not hasattr(store.revisions("a")[0], "raw"), "a list of many revisions must not hold all their documents"


def test_what_is_stored_already_is_not_written_again(store: DefinitionStore) -> None:
    create(store, "a")
    update(store, "a", "B")
    with pytest.raises(Unchanged) as same:
        update(store, "a", "B", if_match=2)
    assert (same.value.stored.revision, store.generation(), len(store.revisions("a"))) == (2, 2, 2)
    with pytest.raises(RevisionConflict):
        update(store, "a", "B", if_match=1)
    assert update(store, "a", "B", address="/elsewhere/").revision == 3, "another version may read another place out of it"
    undone = store.update("a", {"api_id": "a", "name": "B"}, [], claim=Claim("/elsewhere/", True), who="x", action="undone", target=2)
    assert undone.revision == 4, "a step is one, even when nothing differs"
    assert [one.target for one in store.revisions("a")] == [2, None, None, None]


def test_equal_json() -> None:
    assert same_json({"a": 1, "b": [True, None]}, {"b": [True, None], "a": 1})
    for one, other in ((1, True), (0, False), (1, 1.0), (None, {}), ("1", 1), ([1, 2], [2, 1]), ({"a": None}, {})):
        assert not same_json(one, other), (one, other)


def test_of_two_equal_saves_at_once_one_is_written(store: DefinitionStore) -> None:
    create(store, "a")
    for round_ in range(3):
        results = at_once(*(lambda r=round_: update(store, "a", f"w{r}") for _ in range(3)))
        assert sum(isinstance(one, Unchanged) for one in results) == 2, results
    assert store.get("a").revision == 4  # type: ignore[union-attr]


def test_what_was_deleted_comes_back_on_top_of_what_was_seen(store: DefinitionStore) -> None:
    create(store, "a")
    store.delete("a", who="x")

    def back(seen: int) -> Any:
        raw = {"id": "i-a", "api_id": "a"}
        return store.create(raw, [], claim=Claim("/a/", True), who="x", action="undone", target=1, if_match=seen)

    with pytest.raises(RevisionConflict) as conflict:
        back(1)
    assert conflict.value.current == 2
    results = at_once(*(lambda: back(2) for _ in range(3)))
    assert sum(isinstance(one, ApiIdTaken | RevisionConflict) for one in results) == 2, results
    newest = store.revisions("a")[0]
    assert (newest.number, newest.action, newest.target) == (3, "undone", 1)
    with pytest.raises(RevisionConflict):
        store.delete("a", who="x", if_match=2, action="redone", target=2)
    store.delete("a", who="x", if_match=3, action="redone", target=2)
    assert store.revision("a", 4).raw is None
